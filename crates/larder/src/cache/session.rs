//! Sessions and the life of a cache's connection.

use std::fmt;
use std::hash::Hash;
use std::ops::Deref;

use larder_core::Result;

use crate::cache::Cache;
use crate::key::CacheKey;
use crate::options::SessionOptions;

/// A cache that is connected for a while: see [`Cache::session`].
///
/// Call [`end`](Session::end): a drop cannot wait. Where it is dropped instead, within a runtime, it
/// ends in the background.
#[must_use = "it ends where it is dropped"]
pub struct Session<K: CacheKey, V: Clone + Send + Sync + 'static> {
    cache: Cache<K, V>,
    closes: bool,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Opens a closed cache, and its backend if that can be opened again. Returns true if anything
    /// had to be opened.
    ///
    /// A backend that is closed for good, as one is that was not given as a
    /// [`Connection`](crate::Connection), leaves the cache closed.
    ///
    /// # Errors
    /// An error that keeps the backend from being opened; [`Closed`](crate::ErrorKind::Closed)
    /// while a [`close`](Self::close) is under way.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the cache open or closed.
    pub async fn connect(&self) -> Result<bool> {
        self.inner.work.check_not_closing()?;
        self.inner.stack.connect().await?;
        Ok(self.inner.open())
    }

    /// Closes the cache and its backend, and opens them anew.
    ///
    /// # Errors
    /// As [`close`](Self::close) and [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the cache open or closed.
    pub async fn reconnect(&self) -> Result<()> {
        self.close().await?;
        self.connect().await.map(drop)
    }

    /// Connects the cache until the session ends, with the options it was
    /// [built](crate::CacheBuilder::session) with.
    ///
    /// ```
    /// use larder::{Cache, ErrorKind};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// let session = cache.session().await?;
    /// session.insert(7, "soup".to_owned()).await?;
    /// session.end().await?;
    /// assert_eq!(cache.get(&7).await.unwrap_err().kind(), ErrorKind::Closed);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the cache open or closed.
    #[doc(alias("scope", "with_connection"))]
    pub async fn session(&self) -> Result<Session<K, V>> {
        self.session_with(self.inner.work.session).await
    }

    /// Connects the cache until the session ends, with options of its own.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the cache open or closed.
    pub async fn session_with(&self, options: SessionOptions) -> Result<Session<K, V>> {
        if options.reconnects {
            self.reconnect().await?;
        } else {
            self.connect().await?;
        }
        Ok(Session { cache: self.clone(), closes: options.closes })
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Session<K, V> {
    /// Ends the session. Closes the cache, if its options say so.
    ///
    /// # Errors
    /// As [`Cache::close`].
    ///
    /// # Cancel safety
    /// As [`Cache::close`].
    pub async fn end(mut self) -> Result<()> {
        if std::mem::take(&mut self.closes) { self.cache.close().await } else { Ok(()) }
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Deref for Session<K, V> {
    type Target = Cache<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.cache
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Drop for Session<K, V> {
    fn drop(&mut self) {
        if self.closes {
            let cache = self.cache.clone();
            // Without a runtime nobody can wait for the running loads and changes.
            let _ = crate::support::runtime::spawn(async move { drop(cache.close().await) });
        }
    }
}

impl<K: CacheKey + Hash, V: Clone + Send + Sync + 'static> fmt::Debug for Session<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("closes", &self.closes).finish_non_exhaustive()
    }
}
