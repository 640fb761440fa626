//! Numbers under keys.

use larder_core::Result;

use crate::cache::Cache;
use crate::key::CacheKey;
use crate::lookup::Lookup;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Adds to the number under the key and returns the sum. Atomic. A negative number is
    /// subtracted.
    ///
    /// A missing number counts as 0 and starts with the ttl and the tags of the options; adding does
    /// not renew its life. A number is an entry of its own kind: [`counter`](Self::counter) reads it,
    /// [`keys`](Self::keys) and [`contains_key`](Self::contains_key) find it, what drops a key drops it; the
    /// other verbs see no value there, and [`insert`](Self::insert) replaces it. It is never copied to
    /// memory from a backend.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<String, String>::new(1_000)?;
    /// let tries = cache.with(Duration::from_secs(60));
    /// assert_eq!(tries.incr("logins:ada", 1).await?, 1);
    /// assert_eq!(tries.incr("logins:ada", -3).await?, -2);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput): a fresh value is under the key, or the sum is no
    ///   `i64`. What is there stays.
    /// - The backend's, whatever the mode: a number that was not added to must be known.
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("increment", "incrby", "decr", "add"))]
    pub async fn incr<Q: ?Sized + Lookup<K>>(&self, key: &Q, by: i64) -> Result<i64> {
        self.check()?;
        self.inner.add(key, &self.settings, by).await
    }

    /// Returns the number under the key; none if there is none.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if a value is there; otherwise as
    /// [`incr`](Self::incr).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn counter<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<i64>> {
        self.inner.check_open()?;
        self.inner.counted(key).await
    }
}
