//! Keys that match a pattern, for synchronous code.

use std::fmt;
use std::hash::Hash;
use std::iter::FusedIterator;
use std::sync::Arc;

use larder_core::Result;

use crate::cache::keys::{Keys, Walk};
use crate::cache::{Blocking, Cache};
use crate::key::CacheKey;
use crate::support::runtime::blocking;

/// Keys that match a pattern, page by page: see [`Cache::keys`].
pub struct BlockingKeys<'a, K: Hash + Eq, V> {
    cache: &'a Cache<K, V>,
    keys: Keys<'a, K, V>,
    has_ended: bool,
}

impl<'a, K: CacheKey, V: Clone + Send + Sync + 'static> Blocking<'a, K, V> {
    /// Blocking form of [`Cache::keys`]: an iterator, which ends with the first error.
    ///
    /// ```
    /// use larder::Cache;
    ///
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// cache.blocking().insert(17, "seventeen".to_owned())?;
    /// let keys: Result<Vec<u64>, _> = cache.blocking().keys("1*")?.collect();
    /// assert_eq!(keys?, [17]);
    /// # Ok::<_, larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Cache::keys`].
    pub fn keys(&self, pattern: &str) -> Result<BlockingKeys<'a, K, V>> {
        Ok(BlockingKeys { cache: self.cache, keys: self.cache.keys(pattern)?, has_ended: false })
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> BlockingKeys<'_, K, V> {
    fn turn_page(&mut self) -> Result<Option<K>> {
        let Walk::There(shared, scan) = &mut self.keys.walk else {
            return blocking(self.keys.next());
        };
        while self.keys.ready.is_empty() {
            self.cache.inner.check_open()?;
            let (inner, shared) = (Arc::clone(&self.cache.inner), Arc::clone(shared));
            let (mut walk, allow_stale) = (scan.clone(), self.cache.settings.allow_stale);
            let (page, walk) = self.cache.blocking().run(async move {
                let page = inner.page(&shared, &mut walk, allow_stale).await;
                (page, walk)
            })?;
            *scan = walk;
            match page? {
                Some(page) => self.keys.ready.extend(page),
                None => return Ok(None),
            }
        }
        Ok(self.keys.ready.pop_front())
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Iterator for BlockingKeys<'_, K, V> {
    type Item = Result<K>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.turn_page().transpose();
        self.has_ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> FusedIterator for BlockingKeys<'_, K, V> {}

impl<K: Hash + Eq, V> fmt::Debug for BlockingKeys<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingKeys").finish_non_exhaustive()
    }
}
