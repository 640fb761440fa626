//! What all handles of one cache share.

use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use larder_core::{BoxFuture, Error, ErrorKind, Life, Result, Timestamp, Version};

use crate::clock::LocalClock;
use crate::event::{Event, Observer};
use crate::key::CacheKey;
use crate::load::about::{About, Arrival, Caller};
use crate::load::flight::Flights;
use crate::load::freshness::attend_at;
use crate::lookup::Lookup;
use crate::runtime::{IoThread, Notify, Semaphore};
use crate::stats::Counters;
use crate::tier::held::{Held, Looked, Note};
use crate::tier::local::{Draft, Dropped, LocalTier};
use crate::tier::shared::Shared;

/// The tiers, the flights and what runs beside them.
pub(crate) struct Inner<K: Hash + Eq, V> {
    pub(crate) local: Arc<LocalTier<K, Held<V>, Note>>,
    pub(crate) flights: Arc<Flights<K, Landed<V>, About>>,
    pub(crate) shared: Option<Arc<Shared<V>>>,
    pub(crate) observer: Observer,
    /// At most this many loaders at once; none without a limit.
    pub(crate) load_limit: Option<Semaphore>,
    /// Whether loads wait for other processes' leases.
    pub(crate) wait_for_leases: bool,
    /// How long a lease lives at most that its load can renew.
    pub(crate) lease_limit: Duration,
    /// How long a result is kept here while the authority cannot be reached.
    pub(crate) degraded_ttl: Duration,
    pub(crate) io: OnceLock<IoThread>,
    closed: AtomicBool,
    running: AtomicUsize,
    idle: Notify,
}

/// How a flight ends.
#[derive(Clone)]
pub(crate) enum Landed<V> {
    /// With a fresh value or absence.
    Held(Held<V>),
    /// With a stale value: the load failed, or takes longer than its callers wait, or there was no
    /// load.
    Stale(Held<V>),
    /// With nothing: there was no load.
    Miss,
    /// With a failure of the load, or of the shared tier.
    Failed(Error),
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    pub(crate) fn new(
        local: Arc<LocalTier<K, Held<V>, Note>>,
        shared: Option<Arc<Shared<V>>>,
        observer: Observer,
        load_limit: Option<usize>,
        wait_for_leases: bool,
        lease_limit: Duration,
        degraded_ttl: Duration,
    ) -> Self {
        Self {
            local,
            flights: Arc::new(Flights::new(FLIGHT_STRIPES)),
            shared,
            observer,
            load_limit: load_limit.map(Semaphore::new),
            wait_for_leases,
            lease_limit,
            degraded_ttl,
            io: OnceLock::new(),
            closed: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            idle: Notify::new(),
        }
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

    /// A closer look at what the local tier holds.
    pub(crate) fn look<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<Looked<V>> {
        self.look_with(hash, key, Held::clone)
    }

    /// The same without the value, whose end is the user's code: for use under a stripe's lock.
    pub(crate) fn outline<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<Looked<()>> {
        self.look_with(hash, key, |held| match held {
            Held::Value(_) => Held::Value(()),
            Held::Absent => Held::Absent,
        })
    }

    fn look_with<Q: ?Sized + Lookup<K>, T>(
        &self,
        hash: u64,
        key: &Q,
        take: impl FnOnce(&Held<V>) -> Held<T>,
    ) -> Option<Looked<T>> {
        let now = self.now();
        self.local.look(hash, key, |view| Looked {
            held: take(view.value),
            life: view.life,
            is_marked: view.life != Life::Fresh && view.fresh_until > now,
            fresh_until: view.fresh_until,
            kept_until: view.kept_until,
            note: view.note.copied().unwrap_or(Note::new(Version::NONE, Timestamp::ZERO)),
            seen: view.seen(),
        })
    }

    /// What is to be put for a value. Runs the weigher: call it outside all locks.
    ///
    /// By now the authority may have the value, so a panic must not keep the local tier from
    /// letting go of what was there: who cannot be weighed is too heavy.
    pub(crate) fn draft(&self, key: &K, looked: Looked<V>) -> Draft<Held<V>, Note> {
        let weigh = AssertUnwindSafe(|| self.local.weigh(key, &looked.held));
        Draft {
            weight: catch_unwind(weigh).unwrap_or(u32::MAX),
            attend_at: attend_at(looked.fresh_until, &looked.note),
            fresh_until: looked.fresh_until,
            kept_until: looked.kept_until,
            value: looked.held,
            seen: looked.seen,
            note: Some(looked.note),
        }
    }

    /// Gives what is there the times and the note of `looked`. The caller holds the key's stripe.
    pub(crate) fn retime<Q: ?Sized + Lookup<K>, T>(
        &self,
        hash: u64,
        key: &Q,
        looked: &Looked<T>,
    ) -> Dropped<K, Held<V>> {
        let attend_at = attend_at(looked.fresh_until, &looked.note);
        let (fresh_until, kept_until) = (looked.fresh_until, looked.kept_until);
        let note = Some(looked.note);
        self.local.retime(hash, key, attend_at, fresh_until, kept_until, note).1
    }

    /// What keeps the authority from being read: an error in strict mode, else an event.
    pub(crate) fn forgive(&self, shared: &Shared<V>, error: Error) -> Result<()> {
        if shared.strict {
            return Err(error);
        }
        self.tell(&Event::SharedFailed(error));
        Ok(())
    }

    /// What holds now, at the arrival of a caller.
    pub(crate) fn arrival(&self, caller: &Caller) -> Arrival {
        Arrival::new(self.local.marks(), caller.clone())
    }

    /// Refuses work after [`close`](Self::close).
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "cache", "the cache has been closed"));
        }
        Ok(())
    }

    /// Begins work that `close` waits for until it is dropped.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) after `close` has begun, which then does not wait for it.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<Running<K, V>> {
        // Counted first: either `close` sees this count, or this sees that it has begun.
        let running = Running::new(self);
        self.check_open().map(|()| running)
    }

    /// Starts a task that belongs to the cache: `close` waits for it.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let running = self.begin()?;
        crate::runtime::spawn(async move {
            let _running = running;
            task.await;
        })
    }

    /// The same, waiting for its end; the caller may go away meanwhile.
    pub(crate) async fn owned<T: Send + 'static>(
        self: &Arc<Self>,
        task: BoxFuture<'static, T>,
    ) -> Result<T> {
        let running = self.begin()?;
        let counted = async move {
            let _running = running;
            task.await
        };
        crate::runtime::owned(counted).await
    }

    /// Refuses new work, waits for what is running, and forgets what is held here.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        loop {
            let idle = self.idle.notified();
            if self.running.load(Ordering::SeqCst) == 0 {
                break;
            }
            idle.await;
        }
        // Hits do not look whether the cache is open: from now on there are none.
        self.local.invalidate_all();
    }
}

const FLIGHT_STRIPES: usize = 64;

/// Work under way: counted for as long as it is there, also if its runtime drops it.
pub(crate) struct Running<K: Hash + Eq, V>(Arc<Inner<K, V>>);

impl<K: Hash + Eq, V> Running<K, V> {
    fn new(inner: &Arc<Inner<K, V>>) -> Self {
        inner.running.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(inner))
    }
}

impl<K: Hash + Eq, V> Drop for Running<K, V> {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
