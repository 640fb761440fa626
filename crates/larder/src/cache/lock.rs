//! Locks by name.

use std::time::Duration;

use larder_core::{AnyBackend, Result, Scope};

use crate::cache::Cache;
use crate::key::CacheKey;
use crate::ops::Lock;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Takes the lock of this name for this long. Waits for it as long as the options' hard timeout
    /// allows.
    ///
    /// A lock excludes all callers that share the backend and the namespace: see
    /// [`lock_scope`](Self::lock_scope). Without a backend it excludes the callers of this cache.
    /// Names of locks and keys of entries never meet. Dropping the lock gives nothing back: call
    /// [`release`](Lock::release).
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// let lock = cache.lock("stocktaking", Duration::from_secs(10)).await?;
    /// assert!(cache.try_lock("stocktaking", Duration::from_secs(10)).await?.is_none());
    /// lock.release().await?;
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) if it was held all the time,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the length is zero or endless,
    /// [`NoRuntime`](crate::ErrorKind::NoRuntime) outside of a tokio runtime, and the backend's own.
    ///
    /// # Cancel safety
    /// A dropped call may have taken the lock; its lease then runs out by itself.
    #[doc(alias("mutex", "get_mutex"))]
    pub async fn lock(&self, name: &str, length: Duration) -> Result<Lock<AnyBackend>> {
        self.check()?;
        crate::support::runtime::require()?;
        let (backend, key) = self.inner.stack.lock(name, self.inner.clock())?;
        let patience = self.settings.hard_timeout;
        Lock::acquire(backend, self.inner.clock().shared(), key, length, patience).await
    }

    /// Takes the lock of this name for this long; none if somebody else holds it.
    ///
    /// # Errors
    /// As [`lock`](Self::lock), but for the timeout.
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    pub async fn try_lock(&self, name: &str, length: Duration) -> Result<Option<Lock<AnyBackend>>> {
        self.check()?;
        crate::support::runtime::require()?;
        let (backend, key) = self.inner.stack.lock(name, self.inner.clock())?;
        Lock::try_acquire(backend, self.inner.clock().shared(), key, length).await
    }

    /// Scope of a lock's exclusion: this process, this host or the network.
    #[must_use]
    pub fn lock_scope(&self) -> Scope {
        self.inner.stack.scope()
    }
}
