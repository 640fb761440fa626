//! The state that all handles of one cache share.

use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use larder_core::{BoxFuture, Error, ErrorKind, Life, Outcome, Result, Timestamp, Version};

use crate::flight::flights::Flights;
use crate::flight::info::{Arrival, Caller, FlightInfo, JoinLimit};
use crate::flight::limit::LoadLimit;
use crate::flight::outcome::Landed;
use crate::inner::together::Together;
use crate::inner::work::{Counted, Running, Work};
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::observe::event::{Event, Observer};
use crate::observe::stats::Counters;
use crate::options::Settings;
use crate::snapshot::Keeper;
use crate::support::clock::LocalClock;
use crate::support::runtime::{self, apart};
use crate::tier::entry::{Content, Entry, Metadata};
use crate::tier::freshness::attend_at;
use crate::tier::local::{Candidate, Dropped, LocalTier, View};
use crate::tier::message::ChangeListener;
use crate::tier::stack::Stack;

pub(crate) mod future_set;
pub(crate) mod together;
pub(crate) mod work;

/// The tiers, the flights and the work that runs beside them.
pub(crate) struct Inner<K: Hash + Eq, V> {
    pub(crate) local: Arc<LocalTier<K, Content<V>, Metadata>>,
    pub(crate) flights: Arc<Flights<K, Landed<V>, FlightInfo>>,
    pub(crate) stack: Stack<V>,
    /// The keeper of a snapshot of the local tier.
    pub(crate) keeper: Option<Arc<Keeper<K, V>>>,
    /// The neighbours that are told of each change.
    pub(crate) listeners: Vec<Arc<dyn ChangeListener>>,
    pub(crate) observer: Observer,
    pub(crate) loads: Loads,
    pub(crate) work: Arc<Work>,
    /// The batch that this is a view for, if it is one.
    together: Option<Arc<Together>>,
}

/// The settings of loads.
pub(crate) struct Loads {
    /// A limit on the loaders that run at once; none without a limit.
    pub(crate) limit: Option<LoadLimit>,
    /// True if loads wait for other processes' leases.
    pub(crate) wait_for_leases: bool,
    /// The longest life of a lease that its load can renew.
    pub(crate) lease_limit: Duration,
    /// The time for which a result is kept here while the authority cannot be reached.
    pub(crate) degraded_ttl: Duration,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    pub(crate) fn new(
        local: Arc<LocalTier<K, Content<V>, Metadata>>,
        stack: Stack<V>,
        observer: Observer,
        loads: Loads,
        work: Work,
    ) -> Self {
        Self {
            local,
            flights: Arc::new(Flights::new(FLIGHT_STRIPES)),
            stack,
            keeper: None,
            listeners: Vec::new(),
            observer,
            loads,
            work: Arc::new(work),
            together: None,
        }
    }

    /// Returns a view for calls that run together, and the runner of those calls. Loaders there
    /// take no permit: the one that runs for all of them takes it.
    pub(crate) fn together(&self) -> (Arc<Self>, Arc<Together>) {
        let (stack, gather) = self.stack.together();
        let together = Arc::new(Together::new(gather));
        let view = Self { stack, together: Some(Arc::clone(&together)), ..self.unlimited() };
        (Arc::new(view), together)
    }

    /// Returns a view whose loaders take no permit.
    pub(crate) fn unlimited(&self) -> Self {
        Self {
            local: Arc::clone(&self.local),
            flights: Arc::clone(&self.flights),
            stack: self.stack.clone(),
            keeper: self.keeper.clone(),
            listeners: self.listeners.clone(),
            observer: self.observer.clone(),
            loads: Loads { limit: None, ..self.loads },
            work: Arc::clone(&self.work),
            together: self.together.clone(),
        }
    }

    /// Returns this state with a snapshot of its local tier.
    pub(crate) fn kept_by(mut self, keeper: Option<Arc<Keeper<K, V>>>) -> Self {
        if let Some(keeper) = keeper.clone().filter(|keeper| keeper.notes()) {
            self.listeners.push(keeper);
        }
        self.keeper = keeper;
        self
    }

    pub(crate) fn clock(&self) -> &LocalClock {
        self.local.clock()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock().now()
    }

    pub(crate) fn stats(&self) -> &Counters {
        self.local.stats()
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.observer.tell(event);
    }

    /// Reports that a value was not stored, and also a failed delete of the value that it was to
    /// replace.
    pub(crate) fn tell_not_stored(&self, error: &Error, deleted: Outcome) {
        self.tell(&Event::NotStored(error.clone()));
        if let Outcome::Failed(error) | Outcome::Unknown(error) = deleted {
            self.tell(&Event::NotConfirmed(error));
        }
    }

    /// Returns the local tier's entry with its metadata and its life.
    pub(crate) fn look<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<Entry<V>> {
        self.look_with(hash, key, |content| match content {
            Content::Counter(_) => None,
            content => Some(content.clone()),
        })
    }

    /// Like [`look`](Self::look), without the value, whose end is the user's code: for use under a
    /// stripe's lock.
    pub(crate) fn outline<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<Entry<()>> {
        self.look_with(hash, key, |content| match content {
            Content::Value(_) => Some(Content::Value(())),
            Content::Absent => Some(Content::Absent),
            Content::Counter(_) => None,
        })
    }

    /// Returns the life of a value or a counter here.
    pub(crate) fn life<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<Life> {
        let life =
            |view: &View<'_, Content<V>, Metadata>| (!view.value.is_absent()).then_some(view.life);
        self.local.look(hash, key, life).flatten()
    }

    /// True if a miss here is the answer: the local tier has nothing under the key, not even a stale
    /// entry, and no other tier can be asked. Counts the miss.
    #[cold]
    pub(crate) fn is_nowhere<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> bool {
        let is_nowhere = !self.stack.waits()
            && self.work.is_open()
            && self.local.look(hash, key, |_| ()).is_none();
        if is_nowhere {
            self.stats().miss();
        }
        is_nowhere
    }

    fn look_with<Q: ?Sized + Lookup<K>, T>(
        &self,
        hash: u64,
        key: &Q,
        take: impl FnOnce(&Content<V>) -> Option<Content<T>>,
    ) -> Option<Entry<T>> {
        let look = |view: &View<'_, Content<V>, Metadata>| {
            Some(Entry {
                content: take(view.value)?,
                life: view.life,
                is_marked: view.is_marked,
                fresh_until: view.fresh_until,
                kept_until: view.kept_until,
                metadata: view.metadata.unwrap_or(Metadata::new(Version::NONE, Timestamp::ZERO)),
                generation: view.generation(),
            })
        };
        self.local.look(hash, key, look).flatten()
    }

    /// Makes a candidate of an entry. Runs the weigher: call it outside all locks.
    ///
    /// By now the authority may have the value, so a panic must not keep the local tier from
    /// dropping the earlier one: an entry that cannot be weighed counts as too heavy.
    pub(crate) fn candidate(&self, key: &K, entry: Entry<V>) -> Candidate<Content<V>, Metadata> {
        candidate(&self.local, key, entry)
    }

    /// Gives the local entry the times and the metadata of `entry`. The caller holds the key's
    /// stripe lock.
    pub(crate) fn retime<Q: ?Sized + Lookup<K>, T>(
        &self,
        hash: u64,
        key: &Q,
        entry: &Entry<T>,
    ) -> Dropped<K, Content<V>> {
        let attend_at = attend_at(entry.fresh_until, &entry.metadata);
        let (fresh_until, kept_until) = (entry.fresh_until, entry.kept_until);
        let metadata = Some(entry.metadata);
        self.local.retime(hash, key, attend_at, fresh_until, kept_until, metadata).1
    }

    /// Returns an answer of the tiers below. An error is one in strict mode only, else an event and
    /// no answer.
    pub(crate) fn forgive<T>(&self, answer: Result<Option<T>>) -> Result<Option<T>> {
        match answer {
            Err(error) if !self.stack.is_strict() => {
                self.tell(&Event::SharedFailed(error));
                Ok(None)
            }
            answer => answer,
        }
    }

    /// Returns the state by which flights judge a caller that arrives now.
    pub(crate) fn arrival(&self, caller: &Caller) -> Arrival {
        Arrival::new(self.now(), self.local.marks(), caller.clone())
    }

    /// Returns the limits on joining a flight of this leader.
    pub(crate) fn join_limit(&self, settings: &Settings) -> JoinLimit {
        let bound = self.stack.notices_within();
        JoinLimit { bound, hard_timeout: settings.hard_timeout }
    }

    /// Refuses work after [`close`](Self::close).
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.work.is_closed() && self.work.reopens {
            self.open();
            return Ok(());
        }
        if !self.work.is_open() {
            return Err(Error::new(ErrorKind::Closed, "cache", "the cache has been closed"));
        }
        Ok(())
    }

    /// Opens the cache again. Returns true if it was closed.
    pub(crate) fn open(&self) -> bool {
        let was_closed = self.work.open();
        if let Some(keeper) = self.keeper.as_ref().filter(|_| was_closed) {
            keeper.resume();
        }
        was_closed
    }

    /// Begins work that `close` waits for until it is dropped.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) after `close` has begun, which then does not wait for it.
    pub(crate) fn begin(&self) -> Result<Running> {
        // The work is counted first: either `close` finds this count, or this call finds that
        // `close` has begun.
        let running = Running::new(&self.work);
        self.check_open().map(|()| running)
    }

    /// Starts a task that belongs to the cache: `close` waits for it.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let running = self.begin()?;
        self.spawn_counted(running, task)
    }

    /// Starts a task that ends the work of a running task of the cache: `close`, which waits for
    /// that one, waits for this one as well.
    pub(crate) fn spawn_behind(
        self: &Arc<Self>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        self.spawn_counted(Running::new(&self.work), task)
    }

    fn spawn_counted(
        self: &Arc<Self>,
        running: Running,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let counted = Counted::new(task, running);
        match &self.together {
            Some(together) => {
                together.adopt(Box::pin(counted));
                Ok(())
            }
            None => runtime::spawn(counted),
        }
    }

    /// Runs a task that belongs to the cache to its end; the caller may go away meanwhile.
    pub(crate) async fn owned<T: Send + 'static>(
        self: &Arc<Self>,
        task: BoxFuture<'static, T>,
    ) -> Result<T> {
        let counted = Counted::new(task, self.begin()?);
        match &self.together {
            // The batch runs in a task already.
            Some(_) => Ok(counted.await),
            None => runtime::owned(counted).await,
        }
    }

    /// Waits for running work, saves the local entries, and forgets them. New work is refused by
    /// then: see [`Work::close`].
    ///
    /// # Errors
    /// An error of the save.
    pub(crate) async fn close(&self) -> Result<()> {
        self.work.until_idle().await;
        let saved = match self.keeper.clone() {
            Some(keeper) => apart(move || keeper.finish()).await.flatten(),
            None => Ok(()),
        };
        // Hits do not check whether the cache is open: from now on there are none.
        self.local.marks().invalidate_all();
        saved
    }
}

/// Makes a candidate for this tier: see [`Inner::candidate`].
pub(crate) fn candidate<K: CacheKey, V: Clone + Send + Sync + 'static>(
    local: &LocalTier<K, Content<V>, Metadata>,
    key: &K,
    entry: Entry<V>,
) -> Candidate<Content<V>, Metadata> {
    let weigh = AssertUnwindSafe(|| local.weigh(key, &entry.content));
    Candidate {
        weight: catch_unwind(weigh).unwrap_or(u32::MAX),
        attend_at: attend_at(entry.fresh_until, &entry.metadata),
        fresh_until: entry.fresh_until,
        kept_until: entry.kept_until,
        value: entry.content,
        generation: entry.generation,
        metadata: Some(entry.metadata),
    }
}

const FLIGHT_STRIPES: usize = 64;
