//! Single loads that wait a moment for each other.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{BoxError, Error, ErrorKind, Result};

use crate::cache::{Cache, LOAD};
use crate::key::CacheKey;
use crate::load::asks::{Asks, Window};
use crate::load::loader::Loaded;
use crate::lookup::Lookup;

/// Loads that wait a moment for each other, so that one call of a loader serves them all.
///
/// Cloning is cheap and shares the window.
pub struct BatchLoader<K: Hash + Eq, V> {
    cache: Cache<K, V>,
    asks: Arc<Asks<K, V>>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// A loader of many keys for callers that ask for one each.
    ///
    /// The first miss waits `window` for others, or until there are `max_keys` of them; then the
    /// loader is called once with all their keys. A hit waits for nothing. The loader's answers
    /// mean the same as for [`get_many_with`](Self::get_many_with).
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// let users = cache.batch_loader(Duration::from_millis(2), 100, |ids: Vec<u64>| async move {
    ///     // One query for all of them.
    ///     Ok::<_, std::io::Error>(ids.into_iter().map(|id| (id, format!("user {id}"))))
    /// })?;
    /// let (ada, bob) = tokio::join!(users.get(&1), users.get(&2));
    /// assert_eq!((ada?.as_deref(), bob?.as_deref()), (Some("user 1"), Some("user 2")));
    /// assert_eq!(cache.get(&1).await?.as_deref(), Some("user 1"));
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if `max_keys` is zero.
    #[doc(alias("dataloader", "batch_window", "coalesce"))]
    pub fn batch_loader<F, Fut, M, L, E>(
        &self,
        window: Duration,
        max_keys: usize,
        loader: F,
    ) -> Result<BatchLoader<K, V>>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<M, E>> + Send + 'static,
        M: IntoIterator<Item = (K, L)>,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        if max_keys == 0 {
            let message = "a batch of no keys loads nothing";
            return Err(Error::new(ErrorKind::InvalidInput, "batch loader", message));
        }
        let window = Window { length: window, max_keys, clock: self.inner.clock().clone() };
        let asks = Asks::new(loader, self.inner.loads.limit.clone(), Some(window));
        // Loads that wait for the window hold no permit: the call takes one for all.
        let inner = Arc::new(self.inner.unlimited());
        Ok(BatchLoader { cache: Self { inner, settings: self.settings.clone() }, asks })
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> BatchLoader<K, V> {
    /// Gets the value under the key, or loads it together with others. Returns none if there is
    /// none.
    ///
    /// # Errors
    /// As [`Cache::load`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the load running for the others and for the cache.
    pub async fn get<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<V>> {
        let content = match self.cache.inner.local.hit(key) {
            Ok(content) => content,
            Err(hash) => {
                self.cache.request(hash, key.to_key(), LOAD).load(self.asks.loader()).await?
            }
        };
        Ok(content.into_option())
    }
}

impl<K: Hash + Eq, V> Clone for BatchLoader<K, V> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), asks: Arc::clone(&self.asks) }
    }
}

impl<K: Hash + Eq, V> fmt::Debug for BatchLoader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchLoader").finish_non_exhaustive()
    }
}
