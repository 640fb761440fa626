//! A loader without its types, so that the slow half is compiled once per cache and not per loader.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use larder_core::{BoxError, Error, ErrorKind};
use pin_project_lite::pin_project;

use crate::options::Ttl;

/// What a loader is given.
#[derive(Debug)]
#[non_exhaustive]
pub struct Load<K, V> {
    /// The key to load.
    pub key: K,
    /// The value that has run out, if one is still kept: for loaders that can ask their source
    /// "has it changed since", and answer [`Loaded::not_modified`].
    pub stale: Option<V>,
}

/// What a loader answers: a value, "not modified" or "there is none", and how to keep it.
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
    /// This value.
    pub fn new(value: V) -> Self {
        Self::of(Answer::Value(value))
    }

    /// There is none. Kept only under an [`absent_ttl`](crate::Options::absent_ttl).
    pub fn absent() -> Self {
        Self::of(Answer::Absent)
    }

    /// The stale value still holds: it gets a new life. An error if there was none.
    pub fn not_modified() -> Self {
        Self::of(Answer::NotModified)
    }

    fn of(answer: Answer<V>) -> Self {
        Self { answer, ttl: Ttl::Default, tags: Vec::new() }
    }

    /// How long it is fresh, instead of what the call's options say.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Tags beside those of the call's options.
    ///
    /// They are known only now that the load is over, so any change of any tag of the namespace
    /// during the load keeps the result from being stored. Tags in the options do not have that
    /// cost.
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

/// How a loader ends.
pub(crate) type Ended<V> = Result<Loaded<V>, Error>;

/// A loader whose types are erased: one box for the function and its future.
pub(crate) type BoxLoader<K, V> = Pin<Box<dyn Loader<K, V>>>;

/// A loader that is polled: it takes its input at the first poll.
pub(crate) trait Loader<K, V>: Send {
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
    F: FnOnce(Load<K, V>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<L, E>> + Send + 'static,
    L: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    Box::pin(Asynchronous { start: Some(loader), running: None })
}

/// A loader's own result as the cache sees it.
pub(crate) fn ended<V, L: Into<Loaded<V>>, E: Into<BoxError>>(result: Result<L, E>) -> Ended<V> {
    match result {
        Ok(loaded) => Ok(loaded.into()),
        Err(error) => Err(Error::with_source(ErrorKind::Loader, "load", error)),
    }
}
