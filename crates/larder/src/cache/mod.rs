//! The handle of a cache: arguments in, result out.

use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use larder_core::{BoxError, Error, ErrorKind, Result};

use crate::flight::info::Caller;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::load::loader::{BoxLoader, Load, Loaded, boxed};
use crate::load::purpose::{Purpose, Trigger};
use crate::load::request::Request;
use crate::lookup::Lookup;
use crate::observe::stats::Stats;
use crate::options::{Options, Settings};
use crate::tier::entry::Content;

mod batch;
mod batch_loader;
mod blocking;
mod builder;
#[cfg(feature = "macros")]
mod cached;
mod counter;
mod for_content;
mod invalidate;
mod keys;
#[cfg(test)]
mod listener_tests;
mod lock;
mod many;
mod read;
mod session;
mod snapshot;
mod warm_up;
mod write;

pub use crate::cache::batch::Batch;
pub use crate::cache::batch_loader::BatchLoader;
pub use crate::cache::blocking::{Blocking, BlockingKeys};
pub use crate::cache::builder::CacheBuilder;
pub use crate::cache::keys::Keys;
pub use crate::cache::many::NewEntry;
pub use crate::cache::session::Session;
pub use crate::cache::warm_up::WarmUp;

/// A typed cache in memory, alone or over a shared backend, with loads that no change overtakes.
///
/// After a change of a key, of one of its tags or of everything is confirmed, no read on this
/// handle's cache yields a value whose load began before it.
///
/// Cloning is cheap and shares the cache. Values are cloned out: put big ones into an `Arc`. A
/// value's `clone` must not call the cache.
///
/// ```
/// use std::time::Duration;
/// use larder::Cache;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let cache = Cache::<String, String>::builder().ttl(Duration::from_secs(60)).build()?;
///
/// // However many tasks ask at once, the loader runs once.
/// let page = cache.get_with("/about", || async { "About us".to_owned() }).await?;
/// assert_eq!(page, "About us");
///
/// cache.invalidate("/about").await?;
/// assert_eq!(cache.get("/about").await?, None);
/// # Ok::<_, larder::Error>(())
/// # }).unwrap();
/// ```
pub struct Cache<K: Hash + Eq, V> {
    inner: Arc<Inner<K, V>>,
    settings: Settings,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Builds a cache in memory for at most this many entries, with all defaults.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the capacity is zero.
    pub fn new(capacity: u64) -> Result<Self> {
        Self::builder().capacity(capacity).build()
    }

    /// Starts to build a cache.
    pub fn builder() -> CacheBuilder<K, V> {
        CacheBuilder::new()
    }

    /// Returns a handle of the cache with other options, for all verbs called on it.
    ///
    /// The view shares everything with this handle, `close` included.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::{Cache, Options};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// let short = cache.with(Duration::from_millis(5));
    /// short.insert(7, "soon gone".to_owned()).await?;
    /// let tagged = cache.with(Options::new().tags(["users"]));
    /// tagged.insert(8, "Ada".to_owned()).await?;
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn with(&self, options: impl Into<Options>) -> Self {
        Self { inner: Arc::clone(&self.inner), settings: self.settings.with(options.into()) }
    }

    /// Gets the value under the key, if it is fresh. A value inside grace is returned only with
    /// [`allow_stale`](Options::allow_stale). A known absence is none.
    ///
    /// A hit allocates nothing and waits for nothing. Where the local tier has none, the shared
    /// backend is asked, and its answer is kept here; that needs a tokio runtime.
    ///
    /// # Errors
    /// [`Closed`](crate::ErrorKind::Closed) after `close`. A backend's failure is a miss and an
    /// event, or an error in [strict](CacheBuilder::strict) mode.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("fetch", "lookup"))]
    pub async fn get<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<V>> {
        match self.inner.local.hit(key) {
            Ok(content) => Ok(content.into_option()),
            Err(hash) if self.inner.is_nowhere(hash, key) => Ok(None),
            Err(hash) => {
                // Boxed: a future is part of its caller's, and most calls are hits.
                let content = Box::pin(self.request(hash, key.to_key(), LOOK).get()).await?;
                Ok(content.and_then(Content::into_option))
            }
        }
    }

    /// Gets the value under the key, or loads it if missing: the general verb.
    ///
    /// The loader is given the key and the stale value, if one is kept. It answers with a value or
    /// with [`Loaded`]: a value with its own ttl and tags, "not modified", or "there is none",
    /// which makes the result none.
    ///
    /// One load runs at a time for a key, however many callers ask. It runs in a task of its own.
    /// Its caller's options decide how its result is kept; each caller's own timeouts decide how
    /// long that caller waits.
    ///
    /// # Errors
    /// - [`Loader`](crate::ErrorKind::Loader): the loader failed or panicked, and no stale value
    ///   was inside grace. All callers that waited get the same error; [`Error::loader_error`]
    ///   gives back the loader's own. Nothing is kept of it.
    /// - [`Timeout`](crate::ErrorKind::Timeout): the hard timeout ran out.
    /// - [`Reentrant`](crate::ErrorKind::Reentrant): this code runs inside a load that this call
    ///   would wait for. Tasks that a loader spawns do not count as inside it: such a cycle ends
    ///   with the hard timeout.
    /// - [`NoRuntime`](crate::ErrorKind::NoRuntime) outside of a tokio runtime, on a miss. The runtime
    ///   must have its timers enabled (`enable_time`), as every default one has.
    /// - [`Closed`](crate::ErrorKind::Closed) after `close`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the load running for the others and for the cache.
    ///
    /// ```
    /// use larder::{Cache, Loaded};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// let name = cache
    ///     .load(&7, |load| async move {
    ///         let name = format!("user {}", load.key);
    ///         Ok::<_, std::io::Error>(Loaded::new(name).tags(["users"]))
    ///     })
    ///     .await?;
    /// assert_eq!(name.as_deref(), Some("user 7"));
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// [`Error::loader_error`]: crate::Error::loader_error
    #[doc(alias("get_or_create", "get_or_set", "remember", "read_through"))]
    pub async fn load<Q, F, Fut, L, E>(&self, key: &Q, loader: F) -> Result<Option<V>>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce(Load<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = std::result::Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let content = match self.inner.local.hit(key) {
            Ok(content) => content,
            Err(hash) => self.request(hash, key.to_key(), LOAD).load(boxed(loader)).await?,
        };
        Ok(content.into_option())
    }

    /// Gets the value under the key, or else makes it with the loader.
    ///
    /// # Errors
    /// As [`load`](Self::load); the loader itself can only panic.
    ///
    /// # Cancel safety
    /// As [`load`](Self::load).
    pub async fn get_with<Q, F, Fut>(&self, key: &Q, loader: F) -> Result<V>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        let loader = move |_| {
            let value = loader();
            async move { Ok::<V, Infallible>(value.await) }
        };
        self.value(key, |_: &Q| boxed(loader)).await
    }

    /// Gets the value under the key, or makes it with a loader that can fail.
    ///
    /// ```
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<String, u64>::new(1_000)?;
    /// let parsed = cache.try_get_with("7", || async { "seven".parse::<u64>() }).await;
    /// let error = parsed.unwrap_err();
    /// assert!(error.loader_error::<std::num::ParseIntError>().is_some());
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load).
    ///
    /// # Cancel safety
    /// As [`load`](Self::load).
    pub async fn try_get_with<Q, F, Fut, E>(&self, key: &Q, loader: F) -> Result<V>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = std::result::Result<V, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.value(key, |_: &Q| boxed(move |_| loader())).await
    }

    /// Gets the value under the key, or loads it; the loader may find none. "There is none"
    /// is kept as long as [`absent_ttl`](Options::absent_ttl) says.
    ///
    /// # Errors
    /// As [`load`](Self::load); the loader itself can only panic.
    ///
    /// # Cancel safety
    /// As [`load`](Self::load).
    pub async fn optionally_get_with<Q, F, Fut>(&self, key: &Q, loader: F) -> Result<Option<V>>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Option<V>> + Send + 'static,
    {
        let loader = move |_| {
            let found = loader();
            async move { Ok::<_, Infallible>(found.await.map_or_else(Loaded::absent, Loaded::new)) }
        };
        let content = match self.inner.local.hit(key) {
            Ok(content) => content,
            Err(hash) => self.request(hash, key.to_key(), FIND).load(boxed(loader)).await?,
        };
        Ok(content.into_option())
    }

    /// Starts to load the key anew in the background. Returns false if a load is under way already.
    ///
    /// The present value is served meanwhile. This load waits for no other process: where another
    /// one is loading the key, this load ends without running the loader, unless the cache was built
    /// to [wait for no leases](CacheBuilder::wait_for_leases).
    ///
    /// # Errors
    /// [`NoRuntime`](crate::ErrorKind::NoRuntime) outside of a tokio runtime,
    /// [`Closed`](crate::ErrorKind::Closed) after `close`,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for options without a meaning.
    #[doc(alias("reload", "prime"))]
    pub fn refresh<Q, F, Fut, L, E>(&self, key: &Q, loader: F) -> Result<bool>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce(Load<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = std::result::Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        self.inner.check_open()?;
        self.settings.check()?;
        let hash = self.inner.local.hash(key);
        self.request(hash, key.to_key(), LOAD).start(Trigger::Force, boxed(loader))
    }

    /// Statistics since the cache was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.stats().snapshot()
    }

    /// A view for code that does not run in tasks.
    #[must_use]
    pub fn blocking(&self) -> Blocking<'_, K, V> {
        Blocking::new(self)
    }

    /// Closes the cache. Waits for the loads that are running, saves its
    /// [snapshot](CacheBuilder::snapshot), then closes the backend. Closing twice is no error.
    ///
    /// All later calls on all handles fail with [`Closed`](crate::ErrorKind::Closed), until
    /// [`connect`](Self::connect); or they open it again, if it was built to
    /// [reopen](CacheBuilder::reopen).
    ///
    /// # Errors
    /// An error that keeps the snapshot from being saved or the backend from closing;
    /// [`Reentrant`](crate::ErrorKind::Reentrant) inside a loader.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the cache closed, and maybe not saved and the backend not closed.
    pub async fn close(&self) -> Result<()> {
        if crate::flight::chain::Link::current().is_some() {
            let message = "a loader cannot wait for its own end";
            return Err(Error::new(ErrorKind::Reentrant, "close", message));
        }
        let _closing = self.inner.work.close();
        let saved = self.inner.close().await;
        let closed = self.inner.stack.close().await;
        saved.and(closed)
    }

    /// Returns the number of keys that have a flight or a write under way.
    #[cfg(test)]
    pub(crate) fn flights(&self) -> usize {
        self.inner.flights.len()
    }

    /// Forgets all tags that may be forgotten.
    #[cfg(test)]
    pub(crate) fn forget_tags(&self) {
        self.inner.stack.forget_tags(self.inner.local.marks());
    }

    async fn value<Q>(&self, key: &Q, loader: impl FnOnce(&Q) -> BoxLoader<K, V>) -> Result<V>
    where
        Q: ?Sized + Lookup<K>,
    {
        let content = match self.hit(key, VALUE) {
            Ok(content) => content,
            Err(hash) => self.request(hash, key.to_key(), VALUE).load(loader(key)).await?,
        };
        content.into_option().ok_or_else(crate::load::with_loader::gone)
    }

    /// Returns the content of a hit that answers the purpose, or the key's hash for a request.
    #[inline]
    fn hit<Q>(&self, key: &Q, purpose: Purpose) -> std::result::Result<Content<V>, u64>
    where
        Q: ?Sized + Lookup<K>,
    {
        match self.inner.local.hit(key) {
            Ok(content) if !purpose.takes(&content) => Err(self.inner.local.hash(key)),
            hit => hit,
        }
    }

    fn request(&self, hash: u64, key: K, purpose: Purpose) -> Request<K, V> {
        let (inner, settings) = (Arc::clone(&self.inner), self.settings.clone());
        let arrived = inner.now();
        Request { inner, settings, hash, key, purpose, caller: Caller::task(), arrived }
    }
}

/// Purposes of the verbs: some loaders always have a value, and some may name tags.
const LOAD: Purpose = Purpose { trigger: Trigger::Miss, past_absence: false, late_tags: true };
const FIND: Purpose = Purpose { late_tags: false, ..LOAD };
const VALUE: Purpose = Purpose { past_absence: true, ..FIND };
const LOOK: Purpose = FIND;

impl<K: Hash + Eq, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), settings: self.settings.clone() }
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("settings", &self.settings).finish_non_exhaustive()
    }
}
