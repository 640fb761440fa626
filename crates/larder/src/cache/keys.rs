//! Keys that match a pattern: listed, counted, cleared.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use larder_core::Result;

use crate::cache::Cache;
use crate::key::CacheKey;
use crate::pattern::Pattern;
use crate::tier::shared::Shared;
use crate::tier::shared::scan::Scan;

/// Keys that match a pattern, page by page: see [`Cache::keys`].
pub struct Keys<'a, K: Hash + Eq, V> {
    cache: &'a Cache<K, V>,
    pub(super) walk: Walk<'a, K, V>,
    pub(super) ready: VecDeque<K>,
}

pub(super) enum Walk<'a, K: Hash + Eq, V> {
    Here(Pattern, Box<dyn Iterator<Item = (u64, K)> + Send + 'a>),
    There(Arc<Shared<V>>, Scan),
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Lists the keys that match a pattern and have a fresh value or a counter. Stale ones are
    /// listed too, if the options [allow](crate::Options::allow_stale) that.
    ///
    /// A key that is written meanwhile may be listed or not. A key that is there all the while is
    /// listed, and twice only where a backend's scan does so. See [`Pattern`] for the syntax of
    /// patterns.
    ///
    /// ```
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<String, u32>::new(1_000)?;
    /// for key in ["user:1", "user:2", "team:1"] {
    ///     cache.insert(key.to_owned(), 0).await?;
    /// }
    /// let mut keys = cache.keys("user:*")?;
    /// let mut found = Vec::new();
    /// while let Some(key) = keys.next().await? {
    ///     found.push(key);
    /// }
    /// found.sort();
    /// assert_eq!(found, ["user:1", "user:2"]);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a text that is no pattern,
    /// [`Closed`](crate::ErrorKind::Closed) after `close`.
    #[doc(alias("scan", "iter_keys"))]
    pub fn keys(&self, pattern: &str) -> Result<Keys<'_, K, V>> {
        self.inner.check_open()?;
        let pattern = Pattern::parse(pattern)?;
        let walk = match self.inner.stack.below() {
            Some(shared) => {
                let scan = Scan::new(&shared.authority, pattern);
                Walk::There(Arc::clone(shared), scan)
            }
            None => Walk::Here(pattern, Box::new(self.inner.local.keys())),
        };
        Ok(Keys { cache: self, walk, ready: VecDeque::new() })
    }

    /// Returns the number of keys that [`keys`](Self::keys) would find.
    ///
    /// # Errors
    /// As [`keys`](Self::keys) and [`Keys::next`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("count_keys", "size"))]
    pub async fn count(&self, pattern: &str) -> Result<u64> {
        let mut keys = self.keys(pattern)?;
        let mut count = 0;
        while keys.turn_page().await? {
            count += keys.ready.len() as u64;
            keys.ready.clear();
        }
        Ok(count)
    }

    /// Drops all keys that match a pattern. Returns the number that [`keys`](Self::keys) would have
    /// found.
    ///
    /// Loads under way of such keys do not bring them back. `*` also changes the namespace's epoch,
    /// as [`invalidate_all`](Self::invalidate_all) does, and then frees the space. Another namespace
    /// is never touched.
    ///
    /// # Errors
    /// As [`keys`](Self::keys) and [`Keys::next`]. A backend's failure is an error here, whatever
    /// the mode: some of the keys may then be gone.
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("delete_prefix", "clear_prefix", "delete_pattern"))]
    pub async fn clear(&self, pattern: &str) -> Result<u64> {
        self.inner.check_open()?;
        self.inner.clear(pattern, self.settings.allow_stale).await
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Keys<'_, K, V> {
    /// Returns the next key; none after the last.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the backend cannot list keys,
    /// [`NoRuntime`](crate::ErrorKind::NoRuntime) outside of a runtime where there is a backend, and
    /// the backend's own: a list that lacks keys would be no answer.
    ///
    /// # Cancel safety
    /// Dropping the future loses no key: its page is asked for again.
    pub async fn next(&mut self) -> Result<Option<K>> {
        while self.ready.is_empty() {
            if !self.turn_page().await? {
                return Ok(None);
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Makes the keys of the next page ready. False after the last.
    async fn turn_page(&mut self) -> Result<bool> {
        let allow_stale = self.cache.settings.allow_stale;
        let inner = &self.cache.inner;
        inner.check_open()?;
        match &mut self.walk {
            Walk::Here(pattern, keys) => {
                let mut met = 0;
                for (hash, key) in keys.by_ref().take(PAGE) {
                    met += 1;
                    let is_meant = pattern.matches(&key.to_text());
                    if is_meant && inner.is_listed(hash, &key, allow_stale) {
                        self.ready.push_back(key);
                    }
                }
                Ok(met > 0)
            }
            Walk::There(shared, scan) => {
                crate::support::runtime::require()?;
                let page = inner.page(shared, scan, allow_stale).await?;
                let is_there = page.is_some();
                self.ready.extend(page.unwrap_or_default());
                Ok(is_there)
            }
        }
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Keys<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

const PAGE: usize = 1_000;
