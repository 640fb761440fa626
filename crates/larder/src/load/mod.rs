//! Loading: how a caller comes to a value.
//!
//! ```text
//!  look here ──fresh──────────────────────────────► answer (and renew behind, if it is due)
//!      │ nothing, stale, or due to be compared
//!      ▼
//!  join the key's flight ──follow──► wait, as long as this caller's timeouts allow
//!      │ lead
//!      ▼
//!  run.rs, a task of its own: look again → read the authority → fence → loader
//!      ▼
//!  commit.rs: write over the fence → copy here under the flight → publish to all who wait
//! ```

use std::hash::Hash;
use std::sync::Arc;

use larder_core::{Error, ErrorKind, Result, Timestamp};

use crate::event::Event;
use crate::key::CacheKey;
use crate::load::about::{About, Arrival, Caller, FlightKind};
use crate::load::chain::{Link, Waiting};
use crate::load::flight::{Follower, Join, Meet, Ticket};
use crate::load::freshness::{Verdict, judge};
use crate::load::inner::Inner;
use crate::load::loader::BoxLoader;
use crate::load::outcome::{Judge, Landed, Taken};
use crate::load::run::{Aim, Errand, Purpose};
use crate::options::Settings;
use crate::random;
use crate::stats::Count;
use crate::tier::held::{Held, Looked};
use crate::tier::mark::{Age, marks_due};
use crate::tier::shared::{Found, Shared};
use crate::tier::tag::Marks;

pub(crate) mod about;
pub(crate) mod asks;
mod beside;
pub(crate) mod chain;
mod commit;
pub(crate) mod flight;
mod foreign;
pub(crate) mod freshness;
pub(crate) mod future_set;
mod give_up;
pub(crate) mod inner;
pub(crate) mod lease;
pub(crate) mod limit;
pub(crate) mod loader;
pub(crate) mod outcome;
mod renewal;
pub(crate) mod run;
pub(crate) mod together;
mod wait;

/// A look-up that the fast path could not answer.
#[derive(Clone)]
pub(crate) struct Request<K: Hash + Eq, V> {
    pub(crate) inner: Arc<Inner<K, V>>,
    pub(crate) settings: Settings,
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) aim: Aim,
    pub(crate) caller: Caller,
    /// When the call began.
    pub(crate) arrived: Timestamp,
}

/// What a caller with a loader does next.
pub(crate) enum Turn<K: Hash + Eq, V> {
    /// It has its answer.
    Answer(Held<V>),
    /// It has its answer, which has come of age.
    Renew(Held<V>),
    /// It leads.
    Lead(Errand<K, V>),
    /// It waits for another.
    Follow(Follower<Landed<V>, About>),
}

/// What a closer look here came to.
enum Close<V> {
    Serve(Held<V>),
    Renew(Held<V>),
    /// Stale, and no load is due.
    Rest(Looked<V>),
    /// Past its ttl, or due to be compared.
    Spent(Looked<V>),
    Nothing,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Request<K, V> {
    /// A value through the loader.
    pub(crate) async fn load(self, loader: BoxLoader<K, V>) -> Result<Held<V>> {
        self.check()?;
        let mut loader = Some(loader);
        loop {
            let follower = match self.turn().await? {
                Turn::Answer(held) => return Ok(held),
                Turn::Renew(held) => {
                    if let Some(loader) = loader.take() {
                        // Without a runtime the value is as good as it was.
                        let _ = self.start(Purpose::Renew, loader);
                    }
                    return Ok(held);
                }
                Turn::Lead(errand) => {
                    let loader = loader.take().ok_or_else(gone)?;
                    let follower = errand.ticket.follow();
                    self.inner.spawn(errand.run(loader))?;
                    follower
                }
                Turn::Follow(follower) => follower,
            };
            let _waiting = waiting(&follower)?;
            crate::runtime::require()?;
            if let Some(held) = self.answer(self.wait(follower).await)? {
                return Ok(held);
            }
        }
    }

    /// A value without a loader: from here, or copied from the shared tier.
    pub(crate) async fn get(self) -> Result<Option<Held<V>>> {
        self.inner.check_open()?;
        for _ in 0..GET_TRIES {
            if let Some(answer) = self.try_get().await? {
                return Ok(answer);
            }
        }
        Ok(self.allowed(None))
    }

    /// The same. None if what it has waited for does not count for this caller.
    async fn try_get(&self) -> Result<Option<Option<Held<V>>>> {
        let stale = match self.look_closer().await? {
            Close::Serve(held) | Close::Renew(held) => {
                self.inner.stats().hit();
                return Ok(Some(Some(held)));
            }
            Close::Rest(looked) => Some(looked),
            // Past that it is served for nobody's want: the authority may know better.
            Close::Spent(looked) => (self.inner.now() < looked.note.copy_due).then_some(looked),
            Close::Nothing => None,
        };
        let Some(shared) = self.inner.shared.clone() else { return Ok(Some(self.stale(stale))) };
        let answer = match self.fill(&shared).await? {
            Taken::Fresh(held) => {
                self.inner.stats().hit();
                Some(held)
            }
            Taken::Aged(held) | Taken::Stale(held) => self.allowed(Some(held)),
            Taken::Failed(error) if shared.strict => return Err(error),
            Taken::Failed(_) => self.stale(stale),
            Taken::Nothing => self.allowed(None),
            Taken::Again | Taken::Due(_) => return Ok(None),
        };
        Ok(Some(answer))
    }

    /// Starts a load in the background, unless one is under way; whether it did.
    pub(crate) fn start(&self, purpose: Purpose, loader: BoxLoader<K, V>) -> Result<bool> {
        let Some(errand) = self.claim(purpose) else { return Ok(false) };
        self.inner.spawn(errand.run(loader))?;
        Ok(true)
    }

    /// The key's flight, to be led for a refresh, unless a load is under way.
    pub(crate) fn claim(&self, purpose: Purpose) -> Option<Errand<K, V>> {
        match self.join(FlightKind::Load, About::met_by_refresh) {
            Join::Lead(ticket) => Some(self.errand(ticket, Aim { purpose, ..self.aim })),
            Join::Follow(_) | Join::Left => None,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.inner.check_open()?;
        self.settings.check()
    }

    /// One look, and if it has no answer a place in the key's flight.
    pub(crate) async fn turn(&self) -> Result<Turn<K, V>> {
        match self.look_closer().await? {
            Close::Serve(held) if !self.is_past(&held) => {
                self.inner.stats().hit();
                return Ok(Turn::Answer(held));
            }
            Close::Renew(held) if !self.is_past(&held) => {
                self.inner.stats().hit();
                return Ok(Turn::Renew(held));
            }
            Close::Rest(looked) if !self.is_past(&looked.held) => {
                self.inner.stats().stale_hit();
                return Ok(Turn::Answer(looked.held));
            }
            _ => {}
        }
        loop {
            match self.join(FlightKind::Load, About::met_by_load) {
                Join::Lead(ticket) => return Ok(Turn::Lead(self.errand(ticket, self.aim))),
                Join::Follow(follower) => {
                    self.inner.stats().coalesced();
                    return Ok(Turn::Follow(follower));
                }
                Join::Left => {}
            }
        }
    }

    /// What a load's wait came to. None if it has to try again.
    pub(crate) fn answer(&self, taken: Taken<V>) -> Result<Option<Held<V>>> {
        let stats = self.inner.stats();
        match taken {
            Taken::Fresh(held) if !self.is_past(&held) => {
                stats.miss();
                Ok(Some(held))
            }
            Taken::Stale(held) => {
                stats.stale_hit();
                Ok(Some(held))
            }
            Taken::Failed(error) => {
                stats.miss();
                Err(error)
            }
            Taken::Fresh(_) | Taken::Aged(_) | Taken::Nothing | Taken::Again | Taken::Due(_) => {
                Ok(None)
            }
        }
    }

    /// Copies the key from the shared tier, once for all who ask. A load that is under way is
    /// neither waited for nor disturbed.
    async fn fill(&self, shared: &Arc<Shared<V>>) -> Result<Taken<V>> {
        crate::runtime::require()?;
        let follower = match self.join(FlightKind::Fill, About::met_by_get) {
            Join::Lead(ticket) => {
                let follower = ticket.follow();
                let errand = self.errand(ticket, self.aim);
                self.inner.spawn(errand.fill(Arc::clone(shared)))?;
                follower
            }
            Join::Follow(follower) => follower,
            Join::Left => {
                let key = shared.key(&self.key);
                let find = shared.find(&key, self.inner.local.marks(), Age::Checked, None);
                let found = Box::pin(find).await;
                let landed = match found.map(Found::into_looked) {
                    Ok(Some(looked)) => run::landed(&looked),
                    Ok(None) => Landed::Miss,
                    Err(error) => {
                        self.inner.tell(&Event::SharedFailed(error.clone()));
                        Landed::Failed(error)
                    }
                };
                return Ok(self.judge_since(self.arrived).take(landed));
            }
        };
        Ok(self.wait(follower).await)
    }

    /// Looks at what the local tier holds, and compares its marks with the authority's if due.
    ///
    /// # Errors
    /// [`NoRuntime`](ErrorKind::NoRuntime) if it has to compare, outside of a runtime.
    async fn look_closer(&self) -> Result<Close<V>> {
        let mut are_marks_checked = false;
        loop {
            let Some(mut looked) = self.inner.look(self.hash, &self.key) else {
                return Ok(Close::Nothing);
            };
            if are_marks_checked {
                // However short the interval of checks is, this call has made one.
                looked.note.marks_due = Timestamp::FAR;
            }
            match judge(&looked, self.inner.now(), random::unit()) {
                Verdict::Serve => return Ok(Close::Serve(looked.held)),
                Verdict::Refresh => return Ok(Close::Renew(looked.held)),
                Verdict::Resting => return Ok(Close::Rest(looked)),
                Verdict::Stale | Verdict::CheckCopy => return Ok(Close::Spent(looked)),
                Verdict::CheckMarks => {
                    crate::runtime::require()?;
                    if let Err(error) = Box::pin(self.check_marks(&looked)).await {
                        self.inner.tell(&Event::SharedFailed(error));
                        return Ok(Close::Spent(looked));
                    }
                    are_marks_checked = true;
                }
            }
        }
    }

    /// Asks for the epoch and the entry's tags. Whatever has changed makes the entry dead or stale.
    async fn check_marks(&self, looked: &Looked<V>) -> Result<()> {
        let Some(shared) = &self.inner.shared else { return Ok(()) };
        let marks = self.inner.local.marks();
        let current = shared.authority.current(marks, &looked.seen.names(), Age::Checked).await?;
        let dropped = self.inner.flights.hold(self.hash, || {
            let mut there = self.inner.outline(self.hash, &self.key)?;
            let is_same = there.note.version == looked.note.version
                && there.note.written_at == looked.note.written_at;
            // All else of it may have changed meanwhile, and stays so.
            there.note.marks_due = marks_due(current.checked, shared.authority.tag_check);
            is_same.then(|| self.inner.retime(self.hash, &self.key, &there))
        });
        drop(dropped);
        Ok(())
    }

    fn join(
        &self,
        kind: FlightKind,
        meet: fn(&About, &Arrival, &Marks) -> Meet,
    ) -> Join<K, Landed<V>, About> {
        let marks = self.inner.local.marks();
        let now = self.inner.arrival(&self.caller);
        // A copy has the tags that its record names, whatever the options say.
        let may_add_tags = kind == FlightKind::Fill || self.aim.late_tags;
        let seen = marks.see(self.settings.tags());
        let limit = self.inner.join_limit(&self.settings);
        let about = About::new(kind, now.clone(), seen, may_add_tags, limit);
        let in_place_of = |older: Option<&About>| match older {
            // One that is no longer valid is not waited for.
            Some(older) if older.is_valid(&now, marks) => about.after(older),
            _ => about,
        };
        let meet = |met: &About| meet(met, &now, marks);
        self.inner.flights.join(self.hash, &self.key, K::clone, in_place_of, meet)
    }

    fn errand(&self, ticket: Ticket<K, Landed<V>, About>, aim: Aim) -> Errand<K, V> {
        Errand {
            inner: Arc::clone(&self.inner),
            ticket,
            hash: self.hash,
            key: self.key.clone(),
            settings: self.settings.clone(),
            aim,
        }
    }

    /// How this caller judges what a flight that began then found.
    pub(crate) fn judge_since(&self, began: Timestamp) -> Judge<'_> {
        let marks = self.inner.local.marks();
        let (now, arrived) = (self.inner.now(), self.arrived);
        Judge { marks, now, arrived, began, are_marks_checked: false }
    }

    /// A stale value that was found here, if it is not dead by now.
    fn stale(&self, found: Option<Looked<V>>) -> Option<Held<V>> {
        self.allowed(found.and_then(|looked| self.judge_since(self.arrived).take_stale(looked)))
    }

    /// A stale value, for those who take one.
    fn allowed(&self, held: Option<Held<V>>) -> Option<Held<V>> {
        let held = held.filter(|held| self.settings.allow_stale && !held.is_absent());
        let count = if held.is_some() { Count::StaleHits } else { Count::Misses };
        self.inner.stats().add(count);
        held
    }

    fn is_past(&self, held: &Held<V>) -> bool {
        self.aim.past_absence && held.is_absent()
    }
}

/// How often a `get` looks anew. Its own read answers it, unless the time stands still no longer.
const GET_TRIES: usize = 3;

/// Notes that the load this code runs in, if it runs in one, waits for another.
pub(crate) fn waiting<O>(follower: &Follower<O, About>) -> Result<Option<Waiting>> {
    let Some(me) = Link::current() else { return Ok(None) };
    follower.info().needed.notify_one();
    me.wait_for(&follower.info().link).map(Some).map_err(|_| {
        let message = "it asked, maybe through others, for the key it loads";
        Error::new(ErrorKind::Reentrant, "load", message)
    })
}

/// The task that ran the load has been dropped with its runtime, or has panicked outside of it.
pub(crate) fn gone() -> Error {
    let message = "the task that ran it is gone: it panicked, or its runtime has ended";
    Error::new(ErrorKind::Loader, "load", message)
}
