//! The builder of a cache: collects settings, and checks them all in `build`.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{Backend, Clock, Codec, Error, ErrorKind, Namespace, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::snapshot::{form, restored};
use crate::cache::{Cache, for_content};
use crate::codec::MessagePack;
use crate::flight::limit::LoadLimit;
use crate::inner::work::Work;
use crate::inner::{Inner, Loads};
use crate::key::CacheKey;
use crate::layer::{Untimed, untimed};
use crate::observe::event::{Event, Observer};
use crate::observe::listener::{Cause, Listener};
use crate::options::{Options, SessionOptions, Settings, Ttl};
use crate::snapshot::Snapshot;
use crate::support::clock::LocalClock;
use crate::tier::local::{LocalConfig, LocalTier, Weigher};
use crate::tier::shared::Shared;
use crate::tier::shared::authority::Authority;
use crate::tier::shared::remote::{Mangler, Remote};
use crate::tier::stack::Stack;

/// Collects a cache's settings. Nothing is checked, opened or started before
/// [`build`](Self::build).
#[must_use]
pub struct CacheBuilder<K, V> {
    capacity: u64,
    weigher: Option<Weigher<K, V>>,
    tti: Option<Duration>,
    listener: Option<Listener<K, V>>,
    clock: LocalClock,
    options: Options,
    observer: Observer,
    snapshot: Option<(Snapshot, Arc<dyn Codec<V>>)>,
    backend: Option<(Untimed, Arc<dyn Codec<V>>)>,
    namespace: String,
    mangler: Option<Mangler>,
    backend_timeout: Duration,
    local_ttl: Duration,
    tag_check: Duration,
    degraded_ttl: Duration,
    strict: bool,
    wait_for_leases: bool,
    lease_limit: Duration,
    max_concurrent_loads: Option<usize>,
    load_slots: Option<usize>,
    enabled: bool,
    work: Work,
    key: PhantomData<K>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> CacheBuilder<K, V> {
    pub(super) fn new() -> Self {
        Self {
            capacity: 10_000,
            weigher: None,
            tti: None,
            listener: None,
            clock: LocalClock::System,
            options: Options::new(),
            observer: Observer::default(),
            snapshot: None,
            backend: None,
            namespace: "larder".to_owned(),
            mangler: None,
            backend_timeout: Duration::from_secs(2),
            local_ttl: Duration::from_secs(10),
            tag_check: Duration::from_secs(1),
            degraded_ttl: Duration::from_secs(5),
            strict: false,
            wait_for_leases: true,
            lease_limit: Duration::from_secs(60),
            max_concurrent_loads: None,
            load_slots: None,
            enabled: true,
            work: Work::default(),
            key: PhantomData,
        }
    }

    /// The largest number of entries in memory; with a weigher, the largest sum of weights.
    /// Default 10,000.
    #[doc(alias("max_capacity", "max_size"))]
    pub fn capacity(mut self, capacity: u64) -> Self {
        self.capacity = capacity;
        self
    }

    /// Function that gives the weight of an entry. It is called once for each write, outside all
    /// locks. If it panics, the value counts as too heavy to be kept in memory.
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Arc::new(weigher));
        self
    }

    /// Time to live: the time for which an entry is fresh. Default [`Ttl::Never`].
    #[doc(alias("time_to_live", "expire_after_write"))]
    pub fn ttl(self, ttl: impl Into<Ttl>) -> Self {
        self.options(|options| options.ttl(ttl))
    }

    /// Time to idle: an entry leaves memory after this time without a read. Default: unlimited.
    #[doc(alias("time_to_idle", "expire_after_access"))]
    pub fn tti(mut self, tti: Duration) -> Self {
        self.tti = Some(tti);
        self
    }

    /// Time after its ttl for which a value may be served as a fallback. Default zero.
    #[doc(alias("stale_if_error", "fail_safe"))]
    pub fn grace(self, grace: Duration) -> Self {
        self.options(|options| options.grace(grace))
    }

    /// Time to live of a known absence ("there is none"). Default zero: not kept at all.
    pub fn absent_ttl(self, ttl: Duration) -> Self {
        self.options(|options| options.absent_ttl(ttl))
    }

    /// Age from which a hit of a load starts another load in the background. Default: never.
    #[doc(alias("refresh_after_write", "stale_while_revalidate"))]
    pub fn refresh_after(self, age: Duration) -> Self {
        self.options(|options| options.refresh_after(age))
    }

    /// Replaces the defaults of all calls, including those set so far.
    pub fn defaults(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Called for each value that leaves memory, with the cause: exactly once, outside all locks.
    pub fn listener(mut self, listener: impl Fn(&K, &V, Cause) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Called for every event that no caller's result reports.
    pub fn on_event(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(observer);
        self
    }

    /// Source of time. Default: the system's monotonic clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = LocalClock::Injected(clock);
        self
    }

    /// A shared backend under the memory, for values that serde can write, as MessagePack with
    /// named fields.
    pub fn backend(self, backend: impl Backend) -> Self
    where
        V: Serialize + DeserializeOwned,
    {
        self.backend_with(backend, MessagePack)
    }

    /// A shared backend under the memory, with a codec of your choice.
    pub fn backend_with(mut self, backend: impl Backend, codec: impl Codec<V>) -> Self {
        self.backend = Some((untimed(backend), Arc::new(codec)));
        self
    }

    /// Place where the cache is saved, and from which it is restored. For values that serde can
    /// write, as MessagePack with named fields.
    #[doc(alias("persistence", "persist"))]
    pub fn snapshot(self, snapshot: Snapshot) -> Self
    where
        V: Serialize + DeserializeOwned,
    {
        self.snapshot_with(snapshot, MessagePack)
    }

    /// Place where the cache is saved and restored from, with a codec of your choice.
    pub fn snapshot_with(mut self, snapshot: Snapshot, codec: impl Codec<V>) -> Self {
        self.snapshot = Some((snapshot, Arc::new(codec)));
        self
    }

    /// The namespace of the cache's keys in the backend, and of its snapshot. Default `larder`.
    ///
    /// Caches that hold different things in one store need one each. In the same namespace a value of
    /// another type is a miss, with an [`Event::Undecodable`], and equal keys push each other out.
    #[doc(alias("prefix", "key_prefix"))]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Function that turns a key's text into the entry's name at the backend. Default: the text
    /// itself, or its digest if the text is longer than 250 bytes or has spaces or control
    /// characters, which no backend is ever given.
    ///
    /// It runs before every call of the backend and must be a function of the text alone. Two keys
    /// that get one name push each other out; they are never taken for each other, since a record
    /// holds its full key. By that patterns match.
    #[doc(alias("key_mangler", "key_transform"))]
    pub fn mangler(mut self, mangler: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.mangler = Some(Arc::new(mangler));
        self
    }

    /// Time limit of one call of the backend. Default 2 seconds.
    pub fn backend_timeout(mut self, timeout: Duration) -> Self {
        self.backend_timeout = timeout;
        self
    }

    /// Time for which a copy in memory is used without a check at the backend. Default 10 seconds.
    ///
    /// It bounds how long another process's change of a key can go unnoticed here.
    pub fn local_ttl(mut self, ttl: Duration) -> Self {
        self.local_ttl = ttl;
        self
    }

    /// Interval at which tags and the epoch are compared with the backend's. Default 1 second.
    ///
    /// It bounds how long another process's invalidation by tag, or of everything, can go
    /// unnoticed here. While the backend cannot be reached, a copy that is due for this comparison
    /// is served as a fallback only, until its [`local_ttl`](Self::local_ttl) is over.
    pub fn tag_check(mut self, every: Duration) -> Self {
        self.tag_check = every;
        self
    }

    /// Time to live of a loaded value while the backend cannot be reached. Default 5 seconds.
    pub fn degraded_ttl(mut self, ttl: Duration) -> Self {
        self.degraded_ttl = ttl;
        self
    }

    /// Makes errors of the backend's failures and of damaged bytes. By default they are misses and
    /// events.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Lets a load wait while another process loads the same key. Default true. If false, both
    /// load, and the first result is kept.
    #[doc(alias = "distributed_lock")]
    pub fn wait_for_leases(mut self, wait: bool) -> Self {
        self.wait_for_leases = wait;
        self
    }

    /// Longest life of a load's lease without a renewal. Default 60 seconds; at least a
    /// millisecond.
    ///
    /// It bounds how long other processes wait for a load whose process was killed or stopped. A
    /// load renews its lease every third of its life for as long as its loader runs; one that
    /// comes too late is not stored, and its callers have its value all the same. A loader that
    /// blocks its thread keeps its lease from being renewed: those of
    /// [`blocking`](Cache::blocking) get one that is as long as their hard timeout.
    #[doc(alias = "lock_timeout")]
    pub fn lease_limit(mut self, limit: Duration) -> Self {
        self.lease_limit = limit;
        self
    }

    /// Largest number of asynchronous loaders that run at once. Default: no limit.
    pub fn max_concurrent_loads(mut self, limit: usize) -> Self {
        self.max_concurrent_loads = Some(limit);
        self
    }

    /// Number of slots; loads of keys in one slot run one after the other. Default: no slots.
    ///
    /// A key's slot is taken from its hash, so this many loaders run at once at most, and a crowd of
    /// keys in one slot leaves the others alone. Loads whose loaders run on a caller's own thread do
    /// not count.
    #[doc(alias = "modulus")]
    pub fn load_slots(mut self, slots: usize) -> Self {
        self.load_slots = Some(slots);
        self
    }

    /// Turns the cache on or off. Default: on.
    ///
    /// When off, every read is a miss, every change does nothing and says that it is done, loaders
    /// run for each call that does not find one running, and the backend is never asked. Locks and
    /// counts of a moment work within the process.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Lets a call after [`close`](Cache::close) open the cache again. Default: no, the call fails
    /// with [`Closed`](crate::ErrorKind::Closed).
    ///
    /// The backend must be one that can be opened again: a [`Connection`](crate::Connection).
    pub fn reopen(mut self, reopen: bool) -> Self {
        self.work.reopens = reopen;
        self
    }

    /// Options of the beginning and the end of a [session](Cache::session). Default: a session
    /// connects if the cache is not connected, and closes the cache at its end.
    pub fn session(mut self, options: SessionOptions) -> Self {
        self.work.session = options;
        self
    }

    /// Builds the cache. The entries of its [snapshot](Self::snapshot) are there already; an
    /// unreadable snapshot is an [`Event`] and no error.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a setting outside its range;
    /// [`Unsupported`](ErrorKind::Unsupported) for a backend without conditional writes, on which
    /// no load could be fenced, and for a snapshot with a clock that does not know the wall clock's
    /// time.
    pub fn build(mut self) -> Result<Cache<K, V>> {
        self.check()?;
        let stack = self.stack()?;
        let settings = Settings::built(self.options);
        settings.check()?;
        let at_most = self.max_concurrent_loads.map(LoadLimit::at_most);
        let loads = Loads {
            limit: at_most.or(self.load_slots.map(LoadLimit::slots)),
            wait_for_leases: self.wait_for_leases,
            lease_limit: self.lease_limit,
            degraded_ttl: self.degraded_ttl,
        };
        let weigher = self.weigher.map(for_content::weigher);
        let listener = self.listener.map(for_content::listener);
        let (clock, snapshot) = (self.clock.clone(), self.snapshot.filter(|_| self.enabled));
        let local = || {
            LocalTier::new(LocalConfig {
                weigher: weigher.clone(),
                grace: settings.grace,
                keeps: self.enabled,
                tti: self.tti,
                tracks_use: snapshot.is_some(),
                listener: listener.clone(),
                ..LocalConfig::new(self.capacity, clock.clone())
            })
        };
        let keeper = match &snapshot {
            None => None,
            Some((snapshot, codec)) => {
                let form = form(snapshot, codec, self.namespace, !stack.waits(), settings.grace);
                let (every, observer) = (snapshot.every, self.observer.clone());
                Some(restored(form, every, observer, &settings, local)?)
            }
        };
        let local = keeper.as_ref().map_or_else(local, |keeper| keeper.local());
        let inner = Inner::new(local, stack, self.observer, loads, self.work).kept_by(keeper);
        Ok(Cache { inner: Arc::new(inner), settings })
    }

    /// Builds the tiers below memory.
    fn stack(&mut self) -> Result<Stack<V>> {
        let Some((backend, codec)) = self.backend.take().filter(|_| self.enabled) else {
            return Ok(Stack::new(None));
        };
        let namespace = Namespace::new(&self.namespace)?;
        let (mangler, timeout) = (self.mangler.take(), self.backend_timeout);
        let remote = Remote::new(backend, namespace, mangler, self.clock.clone(), timeout);
        if !remote.backend().capabilities().conditional {
            let message = "a cache needs a backend with conditional writes";
            return Err(Error::new(ErrorKind::Unsupported, "build", message));
        }
        let authority = Authority::new(remote, self.tag_check);
        let observer = self.observer.clone();
        let shared = Shared::new(authority, codec, self.local_ttl, self.strict, observer);
        Ok(Stack::new(Some(Arc::new(shared))))
    }

    /// Refuses settings outside their ranges.
    fn check(&self) -> Result<()> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, "build", message));
        if self.capacity == 0 {
            return invalid("the capacity must be at least 1");
        }
        if self.tti == Some(Duration::ZERO) {
            return invalid("an idle time of zero keeps nothing");
        }
        if self.lease_limit < Duration::from_millis(1) {
            return invalid("a lease lives for a millisecond at least");
        }
        let every = self.snapshot.as_ref().and_then(|(snapshot, _)| snapshot.every);
        if every == Some(Duration::ZERO) {
            return invalid("a snapshot without an interval between saves would never be done");
        }
        if self.max_concurrent_loads == Some(0) || self.load_slots == Some(0) {
            return invalid("max_concurrent_loads or load_slots: the limit must be at least 1");
        }
        if self.max_concurrent_loads.is_some() && self.load_slots.is_some() {
            return invalid("loads are limited by their number or by slots, not by both");
        }
        Ok(())
    }

    fn options(mut self, change: impl FnOnce(Options) -> Options) -> Self {
        self.options = change(self.options);
        self
    }
}

impl<K: Hash, V> fmt::Debug for CacheBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("CacheBuilder");
        debug.field("capacity", &self.capacity).field("options", &self.options);
        debug.field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
