//! Two caches over one slow store, and what their callers do.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder_core::{BoxFuture, Clock as _, Error, ErrorKind, Result};
use larder_testkit::ManualClock;

use crate::cache::{Cache, Reach};
use crate::load::loader::{Load, Loaded};
use crate::memory::MemoryBackend;
use crate::options::Options;
use crate::simulation::backend::Remote;
use crate::simulation::gate::{Gates, Place};
use crate::simulation::mix::{Plan, Verb};
use crate::simulation::oracle::{Force, Node, Oracle, Read, Scope};
use crate::sync::lock;

/// All that a history is made of.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) clock: ManualClock,
    pub(super) gates: Gates,
    pub(super) remote: Remote,
    pub(super) nodes: [Cache<u64, u64>; 2],
    oracle: Mutex<Oracle>,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) node: Node,
    pub(super) key: u64,
    pub(super) loader: Loader,
}

/// How a call's loader behaves, should it run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loader {
    Loads,
    /// It says so if the stale value is still right.
    Compares,
    Fails,
}

/// The only tag.
pub(super) const TAG: &str = "t";

impl World {
    pub(super) fn new(plan: Plan, oracle: Oracle) -> Result<Self> {
        let clock = ManualClock::new();
        let gates = Gates::default();
        let memory = MemoryBackend::new(Arc::new(clock.clone()));
        let remote = Remote::new(memory, gates.clone());
        let node = || {
            let mut options = Options::new().grace(plan.grace).hard_timeout(plan.hard_timeout);
            if let Some(ttl) = plan.ttl {
                options = options.ttl(ttl);
            }
            if let Some(age) = plan.refresh_after {
                options = options.refresh_after(age);
            }
            Cache::builder()
                .capacity(8)
                .clock(Arc::new(clock.clone()))
                .backend(remote.clone())
                .backend_timeout(plan.backend_timeout)
                .local_ttl(plan.local_ttl)
                .tag_check(plan.tag_check)
                .wait_for_leases(plan.waits_for_leases)
                .defaults(options)
                .build()
        };
        let nodes = [node()?, node()?];
        Ok(Self { plan, clock, gates, remote, nodes, oracle: Mutex::new(oracle) })
    }

    pub(super) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        lock(&self.oracle)
    }

    /// Makes a call to its end, and has its result judged.
    pub(super) async fn run(self: Arc<Self>, call: Call) {
        self.oracle().note(|| format!("{call:?} begins"));
        match call.verb {
            Verb::Load | Verb::LoadLate | Verb::Get | Verb::Peek => self.read(call).await,
            Verb::Refresh => {
                let started = self.tagged(call).refresh(&call.key, self.loader(call));
                if let Err(error) = started {
                    self.fail("a refresh", &error, &[]);
                }
            }
            Verb::Touch => self.tend(self.nodes[call.node].touch(&call.key).await),
            Verb::SetTtl => {
                let ttl = Duration::from_secs(4);
                self.tend(self.nodes[call.node].set_ttl(&call.key, ttl).await);
            }
            _ => self.change(call).await,
        }
        self.oracle().note(|| format!("{call:?} ends"));
    }

    async fn read(self: &Arc<Self>, call: Call) {
        // A load falls back on what is stale, also by a mark before its ttl is over.
        let takes_stale = matches!(call.verb, Verb::Load | Verb::LoadLate)
            && (self.plan.loaders_fail || self.plan.mix.has_faults());
        let read = self.begin_read(call.node, call.key, takes_stale);
        let found = match call.verb {
            Verb::Get => self.nodes[call.node].get(&call.key).await,
            Verb::Peek => self.nodes[call.node].peek(&call.key).await,
            _ => self.tagged(call).load(&call.key, self.loader(call)).await,
        };
        let allowed: &[ErrorKind] = match (call.verb, self.plan.mix.has_faults()) {
            (Verb::Get | Verb::Peek, _) => &[],
            (_, true) => &[ErrorKind::Loader, ErrorKind::Timeout],
            _ if self.plan.loaders_fail => &[ErrorKind::Loader],
            _ => &[],
        };
        match found {
            Ok(Some(value)) => {
                self.oracle().note(|| format!("{call:?} yields {value}"));
                self.oracle().judge(read, value, self.plan.bounds());
            }
            Ok(None) => self.oracle().note(|| format!("{call:?} yields none")),
            Err(error) => self.fail("a read", &error, allowed),
        }
    }

    pub(super) fn begin_read(&self, node: Node, key: u64, takes_stale: bool) -> Read {
        let is_alone = self.nodes[node].seats() == 0;
        let (began, time) = (self.oracle().tick(), self.clock.now());
        Read { node, key, began, time, is_alone, takes_stale }
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
            _ => self.take_away(call).await,
        };
        let reliable = !matches!(
            call.verb,
            Verb::Insert
                | Verb::Invalidate
                | Verb::InvalidateTag
                | Verb::MarkTagStale
                | Verb::InvalidateAll
                | Verb::MarkAllStale
        ) && self.plan.mix.has_faults();
        let allowed: &[ErrorKind] =
            if reliable { &[ErrorKind::Unavailable, ErrorKind::Timeout] } else { &[] };
        let is_confirmed = match confirmed {
            Ok(confirmed) => confirmed,
            Err(error) => {
                self.fail("a change", &error, allowed);
                false
            }
        };
        self.oracle().end(change, is_confirmed, self.clock.now());
        self.oracle().note(|| format!("change {change} ends, confirmed: {is_confirmed}"));
    }

    async fn insert(&self, call: Call, change: usize) -> Result<bool> {
        let value = self.oracle().insert(change, call.key, self.plan.is_tagged);
        let cache = self.tagged(call);
        match call.verb {
            Verb::InsertIfAbsent => cache.insert_if_absent(call.key, value).await,
            Verb::Replace => cache.replace(call.key, value).await,
            _ => cache.insert(call.key, value).await.map(|reach| reach == Reach::Confirmed),
        }
    }

    async fn take_away(&self, call: Call) -> Result<bool> {
        let cache = &self.nodes[call.node];
        let reach = match call.verb {
            Verb::Remove => return cache.remove(&call.key).await.map(|_| true),
            Verb::MarkStale => return cache.mark_stale(&call.key).await.map(|_| true),
            Verb::InvalidateTag => cache.invalidate_tag(TAG).await,
            Verb::MarkTagStale => cache.mark_tag_stale(TAG).await,
            Verb::InvalidateAll => cache.invalidate_all().await,
            Verb::MarkAllStale => cache.mark_all_stale().await,
            _ => cache.invalidate(&call.key).await,
        };
        reach.map(|reach| reach == Reach::Confirmed)
    }

    /// A change of life says nothing about values.
    fn tend(&self, tended: Result<bool>) {
        let allowed: &[ErrorKind] = if self.plan.mix.has_faults() {
            &[ErrorKind::Unavailable, ErrorKind::Timeout]
        } else {
            &[]
        };
        if let Err(error) = tended {
            self.fail("a change of life", &error, allowed);
        }
    }

    fn fail(&self, what: &str, error: &Error, allowed: &[ErrorKind]) {
        self.oracle().fail(what, error.kind(), allowed);
    }

    /// The node's cache, with the tag in its options unless the loader names it.
    fn tagged(&self, call: Call) -> Cache<u64, u64> {
        let cache = &self.nodes[call.node];
        if self.plan.is_tagged && call.verb != Verb::LoadLate {
            cache.with(Options::new().tags([TAG]))
        } else {
            cache.clone()
        }
    }

    fn loader(
        self: &Arc<Self>,
        call: Call,
    ) -> impl FnOnce(Load<u64, u64>) -> BoxFuture<'static, Result<Loaded<u64>>> + Send + 'static
    {
        let world = Arc::clone(self);
        move |load| Box::pin(async move { world.load(call, load.stale).await })
    }

    async fn load(&self, call: Call, stale: Option<u64>) -> Result<Loaded<u64>> {
        self.gates.pass(Place::Source).await;
        let is_unmodified = stale.is_some_and(|stale| self.oracle().is_unmodified(stale));
        let value = self.oracle().read_source(call.node, call.key, self.plan.is_tagged);
        self.gates.pass(Place::Return).await;
        if call.loader == Loader::Fails {
            let message = "the source cannot be read";
            return Err(Error::new(ErrorKind::Unavailable, "load", message));
        }
        let loaded = if call.loader == Loader::Compares && is_unmodified {
            Loaded::not_modified()
        } else {
            Loaded::new(value)
        };
        let is_late = self.plan.is_tagged && call.verb == Verb::LoadLate;
        Ok(if is_late { loaded.tags([TAG]) } else { loaded })
    }
}
