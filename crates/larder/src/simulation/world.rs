//! Two caches over one slow store, and the calls of their callers.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder_core::{BoxFuture, Clock as _, Error, ErrorKind, Result};
use larder_testkit::ManualClock;

use crate::cache::Cache;
use crate::change::reach::Reach;
use crate::load::loader::{Load, Loaded};
use crate::options::Options;
use crate::simulation::backend::Remote;
use crate::simulation::gate::{Gates, Place};
use crate::simulation::loads::{self, Loads};
use crate::simulation::mix::{Plan, Verb};
use crate::simulation::oracle::{Force, Node, Oracle, Read, Scope};
use crate::support::sync::lock;

/// The parts of a history.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) clock: ManualClock,
    pub(super) gates: Gates,
    pub(super) remote: Remote,
    pub(super) nodes: [Cache<u64, u64>; 2],
    loads: Loads,
    oracle: Arc<Mutex<Oracle>>,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) node: Node,
    pub(super) key: u64,
    pub(super) loader: Loader,
    /// True if the call does not name the tag.
    pub(super) is_untagged: bool,
    /// The time that it waits where a stale value is there.
    pub(super) soft_timeout: Option<Duration>,
}

/// The behaviour of a call's loader, should it run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loader {
    Loads,
    /// Returns "not modified" if the stale value is still right.
    Compares,
    Fails,
    FindsNone,
    /// Never answers.
    Hangs,
}

/// The only tag.
pub(super) const TAG: &str = "t";

impl World {
    pub(super) fn new(plan: Plan, oracle: Oracle) -> Result<Self> {
        let clock = ManualClock::new();
        let gates = Gates::default();
        let oracle = Arc::new(Mutex::new(oracle));
        let remote = Remote::new(clock.clone(), gates.clone(), Arc::clone(&oracle));
        let node = || {
            let mut options = Options::new()
                .grace(plan.grace)
                .absent_ttl(plan.absent_ttl)
                .hard_timeout(plan.hard_timeout);
            if let Some(ttl) = plan.ttl {
                options = options.ttl(ttl);
            }
            if let Some(age) = plan.refresh_after {
                options = options.refresh_after(age);
            }
            let mut builder = Cache::builder();
            if let Some(limit) = plan.loads_at_once {
                builder = builder.max_concurrent_loads(limit);
            }
            builder
                .capacity(8)
                .strict(plan.is_strict)
                .clock(Arc::new(clock.clone()))
                .backend(remote.clone())
                .backend_timeout(plan.backend_timeout)
                .local_ttl(plan.local_ttl)
                .tag_check(plan.tag_check)
                .wait_for_leases(plan.waits_for_leases)
                .lease_limit(plan.lease_limit)
                .defaults(options)
                .build()
        };
        let nodes = [node()?, node()?];
        let loads = Loads::default();
        Ok(Self { plan, clock, gates, remote, nodes, loads, oracle })
    }

    pub(super) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        lock(&self.oracle)
    }

    /// Makes a call to its end, and has its result judged.
    pub(super) async fn run(self: Arc<Self>, call: Call) {
        self.oracle().note(|| format!("{call:?} begins"));
        match call.verb {
            Verb::Load
            | Verb::LoadLate
            | Verb::LoadEarly
            | Verb::GetWith
            | Verb::Get
            | Verb::GetStale
            | Verb::Peek => self.read(call).await,
            Verb::Refresh => {
                let started = self.tagged(call).refresh(&call.key, self.loader(call));
                if let Err(error) = started {
                    self.fail("a refresh", &error, &[]);
                }
            }
            Verb::Touch | Verb::SetTtl => {
                self.tend(call).await;
            }
            _ => self.change(call).await,
        }
        self.oracle().note(|| format!("{call:?} ends"));
    }

    async fn read(self: &Arc<Self>, call: Call) {
        let plan = &self.plan;
        let loads = !matches!(call.verb, Verb::Get | Verb::GetStale | Verb::Peek);
        // A load falls back on a stale value, also one that a mark made stale before its ttl was
        // over.
        let may_fail = plan.loaders_fail || plan.loaders_hang || plan.mix.has_faults();
        let may_fall_back = may_fail || call.soft_timeout.is_some();
        let takes_stale = call.verb == Verb::GetStale || (loads && may_fall_back);
        let read = self.begin_read(call.node, call.key, takes_stale);
        let node = &self.nodes[call.node];
        let found = match call.verb {
            Verb::Get => node.get(&call.key).await,
            Verb::GetStale => node.with(Options::new().allow_stale(true)).get(&call.key).await,
            Verb::Peek => node.peek(&call.key).await,
            Verb::GetWith => {
                let world = Arc::clone(self);
                let load =
                    move || async move { world.load(call, None).await.map(|(value, _)| value) };
                self.tagged(call).try_get_with(&call.key, load).await.map(Some)
            }
            _ => self.tagged(call).load(&call.key, self.loader(call)).await,
        };
        let mut allowed = self.failures(plan.is_strict);
        // A load of the other node that hangs is a failure for the calls that have waited for it.
        if loads && (plan.loaders_fail || plan.loaders_hang || plan.mix.has_faults()) {
            allowed.push(ErrorKind::Loader);
        }
        if loads && (plan.loaders_hang || plan.mix.has_faults()) {
            allowed.push(ErrorKind::Timeout);
        }
        match found {
            Ok(Some(value)) => {
                self.oracle().note(|| format!("{call:?} yields {value}"));
                self.oracle().judge(read, value, self.plan.bounds());
            }
            Ok(None) => self.oracle().note(|| format!("{call:?} yields none")),
            Err(error) => self.fail("a read", &error, &allowed),
        }
    }

    pub(super) fn begin_read(&self, node: Node, key: u64, takes_stale: bool) -> Read {
        let (began, time) = (self.oracle().tick(), self.clock.now());
        let grace = if takes_stale { self.plan.grace } else { Duration::ZERO };
        let longest = self.plan.ttl.map(|ttl| ttl + grace);
        Read { node, key, began, time, takes_stale, longest }
    }

    async fn change(self: &Arc<Self>, call: Call) {
        let (scope, force) = match call.verb {
            Verb::MarkStale => (Scope::Key(call.key), Force::Soft),
            Verb::InvalidateTag => (Scope::Tag, Force::Hard),
            Verb::MarkTagStale => (Scope::Tag, Force::Soft),
            Verb::InvalidateAll => (Scope::All, Force::Hard),
            Verb::MarkAllStale => (Scope::All, Force::Soft),
            _ => (Scope::Key(call.key), Force::Hard),
        };
        let change = self.oracle().begin(call.node, scope, force);
        let confirmed = match call.verb {
            Verb::Insert | Verb::InsertIfAbsent | Verb::Replace => self.insert(call, change).await,
            _ => self.take_away(call, change).await,
        };
        let tells = matches!(
            call.verb,
            Verb::InsertIfAbsent | Verb::Replace | Verb::Remove | Verb::MarkStale
        );
        let allowed = self.failures(tells || self.plan.is_strict);
        let is_confirmed = match confirmed {
            Ok(confirmed) => confirmed,
            Err(error) => {
                self.fail("a change", &error, &allowed);
                false
            }
        };
        self.oracle().end(change, is_confirmed, self.clock.now());
        self.oracle().note(|| format!("change {change} ends, confirmed: {is_confirmed}"));
    }

    async fn insert(&self, call: Call, change: usize) -> Result<bool> {
        let value = self.oracle().insert(change, call.key, self.tags(call));
        let cache = self.tagged(call);
        match call.verb {
            Verb::InsertIfAbsent => {
                let is_done = cache.insert_if_absent(call.key, value).await?;
                self.check_presence(change, call, !is_done);
                Ok(is_done)
            }
            Verb::Replace => {
                let is_done = cache.replace(call.key, value).await?;
                self.check_presence(change, call, is_done);
                Ok(is_done)
            }
            _ => cache.insert(call.key, value).await.map(|reach| reach == Reach::Confirmed),
        }
    }

    async fn take_away(&self, call: Call, change: usize) -> Result<bool> {
        let cache = &self.nodes[call.node];
        let reach = match call.verb {
            Verb::Remove => {
                let removed = cache.remove(&call.key).await?;
                self.check_presence(change, call, removed.is_some());
                return Ok(true);
            }
            Verb::MarkStale => return cache.mark_stale(&call.key).await.map(|_| true),
            Verb::InvalidateTag => cache.invalidate_tag(TAG).await,
            Verb::MarkTagStale => cache.mark_tag_stale(TAG).await,
            Verb::InvalidateAll => cache.invalidate_all().await,
            Verb::MarkAllStale => cache.mark_all_stale().await,
            Verb::Invalidate => cache.invalidate(&call.key).await,
            verb => unreachable!("{verb:?} is called nowhere"),
        };
        reach.map(|reach| reach == Reach::Confirmed)
    }

    /// Checks a change that tells whether a fresh value was there. A value that no change can have
    /// removed was there.
    fn check_presence(&self, change: usize, call: Call, was_there: bool) {
        let plan = &self.plan;
        if was_there || plan.loses_records || plan.ttl.is_some() || plan.mix.has_faults() {
            return;
        }
        let mut oracle = self.oracle();
        if let Some(insert) = oracle.surely_there(change, call.key) {
            oracle.blame(|| format!("{call:?} does not find what change {insert} inserted"));
        }
    }

    /// Changes a life, which says nothing about values.
    async fn tend(&self, call: Call) {
        let cache = &self.nodes[call.node];
        let tended = match call.verb {
            Verb::Touch => cache.touch(&call.key).await,
            _ => cache.set_ttl(&call.key, Duration::from_secs(4)).await,
        };
        if let Err(error) = tended {
            self.fail("a change of life", &error, &self.failures(true));
        }
    }

    /// Returns the errors by which a call may fail that reports the store's failures.
    fn failures(&self, tells: bool) -> Vec<ErrorKind> {
        if tells && self.plan.mix.has_faults() {
            vec![ErrorKind::Unavailable, ErrorKind::Timeout]
        } else {
            Vec::new()
        }
    }

    fn fail(&self, what: &str, error: &Error, allowed: &[ErrorKind]) {
        self.oracle().fail(what, error.kind(), allowed);
    }

    /// Returns the node's cache, with the tag in its options unless the loader names it.
    fn tagged(&self, call: Call) -> Cache<u64, u64> {
        let mut options = Options::new();
        if self.tags(call) && !matches!(call.verb, Verb::LoadLate | Verb::LoadEarly) {
            options = options.tags([TAG]);
        }
        if let Some(timeout) = call.soft_timeout {
            options = options.soft_timeout(timeout);
        }
        self.nodes[call.node].with(options)
    }

    /// True if the value that the call writes has the tag.
    fn tags(&self, call: Call) -> bool {
        self.plan.is_tagged && !call.is_untagged
    }

    fn loader(
        self: &Arc<Self>,
        call: Call,
    ) -> impl FnOnce(Load<u64, u64>) -> BoxFuture<'static, Result<Loaded<u64>>> + Send + 'static
    {
        let world = Arc::clone(self);
        move |load| {
            Box::pin(async move {
                if world.tags(call) && call.verb == Verb::LoadEarly {
                    load.tags([TAG]).await?;
                }
                let (value, is_unmodified) = world.load(call, load.stale).await?;
                let loaded = match call.loader {
                    Loader::Compares if is_unmodified => {
                        // The callers get the stale value with a new life, whether or not that is
                        // stored.
                        load.stale.into_iter().for_each(|stale| world.keep(stale));
                        Loaded::not_modified()
                    }
                    Loader::FindsNone => Loaded::absent(),
                    _ => Loaded::new(value),
                };
                let is_late = world.tags(call) && call.verb == Verb::LoadLate;
                Ok(if is_late { loaded.tags([TAG]) } else { loaded })
            })
        }
    }

    /// Reads the source. Returns its value, and whether the stale value is the same.
    async fn load(&self, call: Call, stale: Option<u64>) -> Result<(u64, bool)> {
        let began = self.clock.now();
        let over = stale.map(|stale| loads::Load::new(&self.oracle(), call.node, stale, began));
        self.gates.pass(Place::Source).await;
        if call.loader == Loader::Hangs {
            return pending().await;
        }
        let is_tagged = self.tags(call);
        let is_unmodified =
            stale.is_some_and(|stale| self.oracle().is_unmodified(stale, is_tagged));
        let value = self.oracle().read_source(call.node, call.key, is_tagged);
        self.gates.pass(Place::Return).await;
        if call.loader == Loader::Fails {
            let message = "the source cannot be read";
            return Err(Error::new(ErrorKind::Unavailable, "load", message));
        }
        if self.plan.mix.has_faults() {
            self.keep(value);
        }
        if let Some(load) = over {
            self.loads.note(&self.plan, &mut self.oracle(), load);
        }
        Ok((value, is_unmodified))
    }

    /// Lets a node keep the value on its own from now on: where the store cannot be reached, once
    /// the node knows that.
    fn keep(&self, value: u64) {
        let calls = if self.plan.mix.has_faults() { 3 } else { 0 };
        self.oracle().store(value, self.clock.now().after(self.plan.backend_timeout * calls));
    }
}
