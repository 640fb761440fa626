//! A loader without its types: the slow half is compiled once per cache and not once per loader.

use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use larder_core::{BoxError, Error, ErrorKind, Result};
use pin_project_lite::pin_project;

use crate::flight::flights::Follower;
use crate::flight::info::{EarlyTags, FlightInfo};
use crate::flight::outcome::Landed;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::options::{Ttl, check_tags};
use crate::support::sync::lock;

/// Arguments of a loader: the key, and the stale value if one is kept.
pub struct Load<K: Hash + Eq, V> {
    /// The key to load.
    pub key: K,
    /// The stale value, if one is still kept. For loaders that can ask their source "has it changed
    /// since", and answer [`Loaded::not_modified`].
    pub stale: Option<V>,
    pub(crate) inner: Arc<Inner<K, V>>,
    /// The flight that the loader runs in.
    pub(crate) flight: Follower<Landed<V>, FlightInfo>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Load<K, V> {
    /// Adds tags to the result. Called before the source is read, it has no other cost: a tag named
    /// only by [`Loaded::tags`] is fenced by the changes of all tags.
    ///
    /// ```
    /// use larder::{Cache, Error, Load};
    ///
    /// async fn user(load: Load<u64, String>) -> Result<String, Error> {
    ///     load.tags([format!("user:{}", load.key)]).await?;
    ///     Ok("Ada".to_owned())
    /// }
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(100)?;
    /// cache.load(&7, user).await?;
    /// cache.invalidate_tag("user:7").await?;
    /// assert_eq!(cache.get(&7).await?, None);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a tag of no or of more than 255 bytes; what
    /// keeps a shared backend from telling the tags' versions, in
    /// [strict](crate::CacheBuilder::strict) mode.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the load without these tags.
    pub async fn tags<T: Into<Arc<str>>>(&self, tags: impl IntoIterator<Item = T>) -> Result<()> {
        let tags: Vec<Arc<str>> = tags.into_iter().map(Into::into).collect();
        check_tags(&tags)?;
        let marks = self.inner.local.marks();
        let generation = self.inner.forgive(self.inner.stack.see(marks, &tags).await.map(Some))?;
        // Without an answer the load goes on as if there were no backend.
        let (generation, versions) = generation.unwrap_or_else(|| (marks.see(&tags), None));
        lock(&self.flight.info().early_tags).push(EarlyTags { generation, versions });
        Ok(())
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Load<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("has_stale", &self.stale.is_some()).finish_non_exhaustive()
    }
}

/// Answer of a loader: a value, "not modified" or "there is none". It also says how to keep that.
///
/// A plain value turns into it by `into()`: it is kept as the call's options say.
///
/// ```
/// use std::time::Duration;
/// use larder::Loaded;
///
/// let loaded = Loaded::new("soup").ttl(Duration::from_secs(5)).tags(["kitchen"]);
/// let none = Loaded::<&str>::absent();
/// ```
#[derive(Debug)]
#[must_use]
pub struct Loaded<V> {
    pub(crate) answer: Answer<V>,
    pub(crate) ttl: Ttl,
    pub(crate) tags: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(crate) enum Answer<V> {
    Value(V),
    Absent,
    NotModified,
}

impl<V> Loaded<V> {
    /// Answers with this value.
    pub fn new(value: V) -> Self {
        Self::of(Answer::Value(value))
    }

    /// Answers that there is none. Kept only under an [`absent_ttl`](crate::Options::absent_ttl).
    pub fn absent() -> Self {
        Self::of(Answer::Absent)
    }

    /// Answers that the stale value still holds: it gets a new life. An error if there was no stale
    /// value.
    pub fn not_modified() -> Self {
        Self::of(Answer::NotModified)
    }

    fn of(answer: Answer<V>) -> Self {
        Self { answer, ttl: Ttl::Default, tags: Vec::new() }
    }

    /// Time to live of the result, instead of the call's options.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Adds tags to those of the call's options.
    ///
    /// They are known only now that the load is over, so any change of any tag of the namespace
    /// during the load keeps the result from being stored. Tags in the options, or named by
    /// [`Load::tags`], do not have that cost.
    pub fn tags<T: Into<Arc<str>>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

/// The result with which a loader ends.
pub(crate) type Ended<V> = Result<Loaded<V>, Error>;

/// A loader whose types are erased: one box for the function and its future.
pub(crate) type BoxLoader<K, V> = Pin<Box<dyn Loader<K, V>>>;

/// A loader that is polled: it takes its input at the first poll.
pub(crate) trait Loader<K: Hash + Eq, V>: Send {
    /// Runs the loader on. `load` is taken at the first call.
    fn poll_load(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        load: &mut Option<Load<K, V>>,
    ) -> Poll<Ended<V>>;
}

pin_project! {
    struct Asynchronous<F, Fut> {
        start: Option<F>,
        #[pin]
        running: Option<Fut>,
    }
}

impl<K, V, F, Fut, L, E> Loader<K, V> for Asynchronous<F, Fut>
where
    K: Hash + Eq,
    F: FnOnce(Load<K, V>) -> Fut + Send,
    Fut: Future<Output = Result<L, E>> + Send,
    L: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    fn poll_load(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        load: &mut Option<Load<K, V>>,
    ) -> Poll<Ended<V>> {
        let mut this = self.project();
        if let (Some(start), Some(load)) = (this.start.take(), load.take()) {
            this.running.set(Some(start(load)));
        }
        match this.running.as_pin_mut() {
            Some(running) => running.poll(context).map(ended),
            None => Poll::Ready(Err(Error::panicked("load"))),
        }
    }
}

/// Erases an asynchronous loader.
pub(crate) fn boxed<K, V, F, Fut, L, E>(loader: F) -> BoxLoader<K, V>
where
    K: Hash + Eq,
    F: FnOnce(Load<K, V>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<L, E>> + Send + 'static,
    L: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    Box::pin(Asynchronous { start: Some(loader), running: None })
}

/// Converts a loader's own result into the cache's types.
pub(crate) fn ended<V, L: Into<Loaded<V>>, E: Into<BoxError>>(result: Result<L, E>) -> Ended<V> {
    match result {
        Ok(loaded) => Ok(loaded.into()),
        Err(error) => Err(Error::with_source(ErrorKind::Loader, "load", error)),
    }
}
