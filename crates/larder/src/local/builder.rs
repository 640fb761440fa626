//! Building a [`LocalCache`].

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{Clock, Error, ErrorKind, NEVER, Result};

use crate::local::LocalCache;
use crate::observe::listener::Cause;
use crate::support::clock::LocalClock;
use crate::tier::local::LocalConfig;

/// Collects the settings of a [`LocalCache`]; [`build`](Self::build) checks them.
#[must_use]
pub struct LocalCacheBuilder<K, V> {
    config: LocalConfig<K, V>,
    ttl: Duration,
}

impl<K, V> LocalCacheBuilder<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        let config = LocalConfig::new(0, LocalClock::System);
        Self { config, ttl: NEVER }
    }

    /// The largest number of entries. This or [`max_weight`](Self::max_weight) must be given.
    pub fn capacity(mut self, entries: u64) -> Self {
        self.config.capacity = entries;
        self.config.weigher = None;
        self
    }

    /// The largest sum of weights, as the weigher gives them; zero counts as one.
    ///
    /// A value is weighed once, by the thread that writes it and before any lock is taken; a
    /// weigher that panics makes that write panic and changes nothing. Values up to about a
    /// sixteenth of the sum always fit if the sum is above 16,384, larger ones depending on
    /// [`largest_weight`](Self::largest_weight). A value that does not fit is not stored, and the
    /// listener is told.
    pub fn max_weight(
        mut self,
        sum: u64,
        weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static,
    ) -> Self {
        self.config.capacity = sum;
        self.config.weigher = Some(Arc::new(weigher));
        self
    }

    /// The largest weight to expect of one entry. The cache is then divided into fewer parts, of
    /// at least eight times this weight.
    pub fn largest_weight(mut self, weight: u32) -> Self {
        self.config.largest_weight = Some(weight);
        self
    }

    /// Time to live: the time for which entries are fresh after a write. Default: no end.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Time to idle: entries leave this long after their last use. Exact to the millisecond and at
    /// most 16 ms less. Default: unlimited.
    pub fn tti(mut self, tti: Duration) -> Self {
        self.config.tti = Some(tti);
        self
    }

    /// Time after the ttl for which entries are kept, stale. Default: none.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// Called for each entry that leaves, with the cause: exactly once.
    ///
    /// It runs outside all locks, on the thread that made the entry leave: the writer that evicts,
    /// or the janitor for entries that expire. It may call the cache. A panic of it is counted and
    /// goes no further.
    pub fn listener(mut self, listener: impl Fn(&K, &V, Cause) + Send + Sync + 'static) -> Self {
        self.config.listener = Some(Arc::new(listener));
        self
    }

    /// Clock that all times of entries follow. Default: the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.config.clock = LocalClock::Injected(clock);
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if there is no capacity, or if the ttl or the tti
    /// is zero.
    pub fn build(self) -> Result<LocalCache<K, V>> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, "build", message));
        if self.config.capacity == 0 {
            return invalid("the cache has no capacity");
        }
        if self.ttl.is_zero() {
            return invalid("the ttl is zero");
        }
        if self.config.tti.is_some_and(|tti| tti.is_zero()) {
            return invalid("the tti is zero");
        }
        Ok(self.into_cache())
    }

    pub(super) fn into_cache(self) -> LocalCache<K, V> {
        LocalCache::from_config(self.config, self.ttl)
    }
}

impl<K, V> fmt::Debug for LocalCacheBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCacheBuilder")
            .field("capacity", &self.config.capacity)
            .field("has_weigher", &self.config.weigher.is_some())
            .field("ttl", &self.ttl)
            .field("tti", &self.config.tti)
            .field("grace", &self.config.grace)
            .field("has_listener", &self.config.listener.is_some())
            .field("clock", &self.config.clock)
            .finish_non_exhaustive()
    }
}
