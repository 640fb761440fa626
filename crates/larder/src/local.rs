//! The synchronous memory-only cache.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{Life, NEVER, Times, Timestamp};

use crate::flight::flights::Flights;
use crate::lookup::Lookup;
use crate::observe::info::{EntryInfo, Tier};
use crate::observe::stats::Stats;
use crate::ops::edit::{Edit, Subject};
use crate::options::Ttl;
use crate::support::clock::LocalClock;
use crate::tier::local::{Candidate, Dropped, Edition, LocalConfig, LocalTier, View};
use crate::tier::marks::here::Generation;

pub use self::builder::LocalCacheBuilder;
pub use self::options::EntryOptions;

mod builder;
mod load;
mod options;

/// A cache in this process's memory: synchronous, infallible, and cheap to read.
///
/// It needs no runtime, and can be called from asynchronous code. A clone is another handle to the
/// same cache.
///
/// An entry is *fresh* for its ttl, then *stale* for its grace, then *dead*. Reads answer with
/// fresh values; [`get_stale`](Self::get_stale) with stale ones too. A dead entry counts as
/// nothing, and is freed without being asked for.
///
/// Values are cloned under a lock: put large ones into an [`Arc`]. A value's `Clone` and a key's
/// `Eq` must not call the cache.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use larder::{EntryOptions, LocalCache};
///
/// let cache = LocalCache::builder().capacity(10_000).ttl(Duration::from_secs(60)).build()?;
/// cache.insert("ada".to_owned(), 1815);
/// assert_eq!(cache.get("ada"), Some(1815));
///
/// cache.insert_with("alan".to_owned(), 1912, EntryOptions::new().tags(["cambridge"]));
/// cache.invalidate_tag("cambridge");
/// assert_eq!(cache.get("alan"), None);
/// # Ok::<(), larder::backend::Error>(())
/// ```
pub struct LocalCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The metadata is the ttl of an entry whose ttl is not the cache's.
    tier: Arc<LocalTier<K, V, Duration>>,
    flights: Arc<Flights<K, V, load::About>>,
    ttl: Duration,
    grace: Duration,
}

impl<K, V> LocalCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache of at most this many entries, at least one, which live until they are evicted.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        LocalCacheBuilder::new().capacity(capacity.max(1)).into_cache()
    }

    /// Starts to build a cache with settings.
    pub fn builder() -> LocalCacheBuilder<K, V> {
        LocalCacheBuilder::new()
    }

    fn from_config(config: LocalConfig<K, V>, ttl: Duration) -> Self {
        let grace = config.grace;
        let flights = Arc::new(Flights::new(STRIPES));
        Self { tier: LocalTier::new(config), flights, ttl, grace }
    }

    /// Gets the fresh value under the key.
    #[inline]
    pub fn get<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Option<V> {
        let found = self.tier.hit(key);
        if found.is_err() {
            self.tier.stats().miss();
        }
        found.ok()
    }

    /// Gets the fresh value without leaving a trace. The read is not counted, is no use of the
    /// entry, and does not restart the idle time.
    pub fn peek<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Option<V> {
        self.tier.peek(self.tier.hash(key), key)
    }

    /// Gets the value under the key, fresh or stale.
    pub fn get_stale<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Option<V> {
        let hash = match self.tier.hit(key) {
            Ok(value) => return Some(value),
            Err(hash) => hash,
        };
        let value = self.tier.look(hash, key, |view| view.value.clone());
        match value {
            Some(_) => self.tier.stats().stale_hit(),
            None => self.tier.stats().miss(),
        }
        value
    }

    /// Returns true if there is a fresh value. Leaves no trace.
    pub fn contains_key<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> bool {
        self.is_fresh(self.tier.hash(key), key)
    }

    /// Metadata of the entry, fresh or stale. Leaves no trace.
    pub fn entry_info<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Option<EntryInfo> {
        let now = self.now();
        self.tier.look(self.tier.hash(key), key, |view| EntryInfo {
            life: view.life,
            is_absent: false,
            age: None,
            ttl_left: match view.life {
                Life::Fresh => view.fresh_until.since(now),
                _ => Duration::ZERO,
            },
            kept_left: view.kept_until.since(now),
            tags: view.generation().names(),
            tier: Tier::Local,
        })
    }

    /// Stores a value under the key, in the place of any earlier one.
    #[doc(alias = "set")]
    #[doc(alias = "put")]
    pub fn insert(&self, key: K, value: V) {
        self.insert_with(key, value, EntryOptions::new());
    }

    /// Inserts with a ttl, a grace or tags of its own.
    pub fn insert_with(&self, key: K, value: V, options: impl Into<EntryOptions>) {
        let options = options.into();
        let hash = self.tier.hash(&key);
        let generation = self.tier.marks().see(&options.tags);
        let candidate = self.candidate(&key, value, &options, generation);
        let put = |key| self.tier.put(hash, key, candidate);
        drop(self.flights.change_owned(hash, key, put));
    }

    /// Stores the value only if there is no fresh one; returns true if stored.
    #[doc(alias = "add")]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as every insert, which mostly keeps its key"
    )]
    pub fn insert_if_absent(&self, key: K, value: V, options: impl Into<EntryOptions>) -> bool {
        self.insert_if(&key, value, &options.into(), |there| there.is_none())
    }

    /// Stores the value only in the place of a fresh one; returns true if stored.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as every insert, which mostly keeps its key"
    )]
    pub fn replace(&self, key: K, value: V, options: impl Into<EntryOptions>) -> bool {
        self.insert_if(&key, value, &options.into(), |there| there.is_some())
    }

    /// Removes the entry; returns its value if it was fresh.
    #[doc(alias = "pop")]
    pub fn remove<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Option<V> {
        let hash = self.tier.hash(key);
        let (value, dropped) = self.flights.change(hash, key, || self.tier.remove(hash, key));
        drop(dropped);
        value
    }

    /// Removes the entry. No load that has begun before can bring it back.
    #[doc(alias = "delete")]
    pub fn invalidate<Q: ?Sized + Lookup<K>>(&self, key: &Q) {
        drop(self.remove(key));
    }

    /// Makes the entry stale, and keeps it for its own grace. It lives no longer than before. An
    /// entry without grace is removed. Returns true if there was an entry.
    pub fn mark_stale<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> bool {
        let hash = self.tier.hash(key);
        let (done, freed) =
            self.flights.change(hash, key, || self.edit(hash, key, Edit::MarkStale));
        // The entry is freed here, after the stripe's lock is released.
        drop(freed);
        done
    }

    /// Gives a fresh entry a new ttl from now on, with the grace it had. Returns true if there was
    /// one.
    ///
    /// A ttl of zero removes it.
    pub fn set_ttl<Q: ?Sized + Lookup<K>>(&self, key: &Q, ttl: impl Into<Ttl>) -> bool {
        self.change_life(key, Edit::SetTtl(self.length(ttl.into())))
    }

    /// Gives an entry, fresh or stale, a new ttl from now on. It keeps the grace it had. Returns
    /// its value, or none if there was none. An entry made stale by an invalidation stays stale.
    pub fn revive<Q: ?Sized + Lookup<K>>(&self, key: &Q, ttl: impl Into<Ttl>) -> Option<V> {
        self.edited_value(key, Edit::Revive(self.length(ttl.into())))
    }

    /// Restarts a fresh entry's time to live, as long as it was. Returns true if there was one.
    pub fn touch<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> bool {
        self.change_life(key, Edit::Touch)
    }

    /// Gets the fresh value under the key, and restarts its time to live, as long as it was. The read
    /// counts as a hit or a miss.
    pub fn get_and_touch<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Option<V> {
        let value = self.edited_value(key, Edit::Touch);
        if value.is_some() {
            self.tier.count_use(key);
            self.tier.stats().hit();
        } else {
            self.tier.stats().miss();
        }
        value
    }

    /// Invalidates all entries with this tag, and loads that have begun.
    ///
    /// It takes no time, however many there are; the memory comes back soon after.
    pub fn invalidate_tag(&self, tag: &str) {
        self.tier.marks().invalidate_tag(tag);
    }

    /// Makes all entries with this tag stale, loads that have begun included.
    pub fn mark_tag_stale(&self, tag: &str) {
        self.tier.marks().mark_tag_stale(tag);
    }

    /// Invalidates all entries, and loads that have begun.
    ///
    /// It takes no time; the memory comes back soon after.
    pub fn invalidate_all(&self) {
        self.tier.marks().invalidate_all();
    }

    /// Makes all entries stale, loads that have begun included.
    pub fn mark_all_stale(&self) {
        self.tier.marks().mark_all_stale();
    }

    /// Statistics since the cache was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.tier.stats().snapshot()
    }

    /// Number of entries, expired or invalidated ones not yet freed included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tier.len()
    }

    /// Returns true if there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of the entries' weights, of those that [`len`](Self::len) counts.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.tier.weight()
    }

    /// Frees expired and invalidated entries, and calls the listener. Waits for entries that another
    /// thread is just freeing. If a listener calls it, it does not wait for others.
    ///
    /// The cache sweeps by itself about ten times a second, and soon after an invalidation of a tag
    /// or of all. In a forked child, a cache that was there before the fork does not, until one of
    /// its tags or all is invalidated: call this, or make caches after the fork.
    pub fn sweep(&self) {
        self.tier.sweep();
    }

    fn insert_if(
        &self,
        key: &K,
        value: V,
        options: &EntryOptions,
        accepts: impl Fn(Option<&V>) -> bool,
    ) -> bool {
        let hash = self.tier.hash(key);
        // A candidate that is not put is dropped out here, where its drop may call the cache.
        let mut candidate = Some(self.candidate(key, value, options, Generation::default()));
        let put = || self.tier.put_if(hash, key, &mut candidate, &options.tags, accepts);
        self.flights.change_if(hash, key, put).is_some()
    }

    /// Makes an edit that no load under way has to know of.
    fn change_life<Q: ?Sized + Lookup<K>>(&self, key: &Q, edit: Edit) -> bool {
        let hash = self.tier.hash(key);
        let (done, freed) = self.flights.hold(hash, || self.edit(hash, key, edit));
        drop(freed);
        done
    }

    /// Makes such an edit. Returns the value of the edited entry.
    fn edited_value<Q: ?Sized + Lookup<K>>(&self, key: &Q, edit: Edit) -> Option<V> {
        let hash = self.tier.hash(key);
        let (value, (is_done, freed)) = self.flights.hold(hash, || {
            let value = self.tier.look(hash, key, |view| view.value.clone());
            (value, self.edit(hash, key, edit))
        });
        drop(freed);
        // The value is dropped out here, where its drop may call the cache.
        value.filter(|_| is_done)
    }

    /// Makes an edit, under the key's stripe. True if there was an entry to edit.
    fn edit<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
        edit: Edit,
    ) -> (bool, (Option<V>, Dropped<K, V>)) {
        let now = self.now();
        let subject = self.tier.look(hash, key, |view| self.subject(view, now));
        let fits = subject.is_some_and(|subject| edit.fits(&subject));
        let edition = |times: &Times, fresh_until| {
            let was_own = subject.is_some_and(|it| it.times.fresh_for != self.ttl);
            let ttl = (was_own || times.fresh_for != self.ttl).then_some(times.fresh_for);
            Edition { attend_at: fresh_until, metadata: ttl }
        };
        (fits, self.tier.edit(hash, key, edit.of(subject, self.grace), now, edition))
    }

    /// Returns an entry as an edit sees it. Its age follows from its ttl, which is in its metadata
    /// if it is its own.
    fn subject(&self, view: &View<'_, V, Duration>, now: Timestamp) -> Subject {
        let is_endless = view.fresh_until == Timestamp::FAR;
        let ttl = view.metadata.unwrap_or(self.ttl);
        let fresh_for = if is_endless { NEVER } else { ttl };
        let grace = view.kept_until.since(view.fresh_until);
        let past = now.since(view.fresh_until);
        let age = fresh_for.saturating_sub(view.fresh_until.since(now)).saturating_add(past);
        let times = Times { age, fresh_for, kept_for: fresh_for.saturating_add(grace) };
        Subject { times, life: view.life, is_marked: view.is_marked, is_absent: false }
    }

    fn length(&self, ttl: Ttl) -> Duration {
        ttl.length(self.now(), self.ttl)
    }

    fn is_fresh<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> bool {
        self.tier.look(hash, key, |view| view.life == Life::Fresh) == Some(true)
    }

    /// An entry to be put, weighed here, before any lock is taken.
    fn candidate(
        &self,
        key: &K,
        value: V,
        options: &EntryOptions,
        generation: Generation,
    ) -> Candidate<V, Duration> {
        let now = self.now();
        let ttl = options.ttl.length(now, self.ttl);
        let fresh_until = now.after(ttl);
        let grace = options.grace.unwrap_or(self.grace);
        let kept_until = if ttl.is_zero() { now } else { fresh_until.after(grace) };
        let weight = self.tier.weigh(key, &value);
        let attend_at = fresh_until;
        // The ttl is stored because `touch` has to know it.
        let metadata = (ttl != self.ttl).then_some(ttl);
        Candidate { value, weight, attend_at, fresh_until, kept_until, generation, metadata }
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }

    fn clock(&self) -> &LocalClock {
        self.tier.clock()
    }
}

impl<K, V> Clone for LocalCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        let (tier, flights) = (Arc::clone(&self.tier), Arc::clone(&self.flights));
        Self { tier, flights, ttl: self.ttl, grace: self.grace }
    }
}

impl<K, V> fmt::Debug for LocalCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCache")
            .field("len", &self.len())
            .field("ttl", &self.ttl)
            .field("grace", &self.grace)
            .field("clock", self.clock())
            .finish_non_exhaustive()
    }
}

/// The number of stripes: more than the threads that write at once.
const STRIPES: usize = 64;
