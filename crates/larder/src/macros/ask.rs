//! A cached function's call through its cache.

use std::fmt;
use std::pin::Pin;

use larder_core::{BoxError, Result};

use crate::cache::Cache;
use crate::key::CacheKey;
use crate::load::loader::{Loaded, boxed, ended};
use crate::lookup::Lookup;
use crate::macros::outcome::Outcome;
use crate::macros::sharing::{Returns, Sharing};
use crate::options::{Options, check_tags};
use crate::tier::entry::Content;

/// The answer to an asynchronous function's request to its cache. None means that the function runs
/// by itself.
pub enum Asked<O> {
    /// Answered.
    Now(Option<O>),
    /// Under way.
    Later(Pin<Box<dyn Future<Output = Option<O>> + Send>>),
}

impl<O> Asked<O> {
    /// The cache's answer.
    pub async fn answer(self) -> Option<O> {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

impl<O> fmt::Debug for Asked<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

/// Asks the cache, with a call of the function that is prepared only if the key is not in memory.
///
/// This function is no future itself: nothing borrowed from the arguments is kept across an await.
pub fn ask<K, V, Q, O, S, F, Fut>(
    cache: &Cache<K, V>,
    key: &Q,
    _: Returns<V, O>,
    _: S,
    options: impl FnOnce() -> Options,
    prepare: impl FnOnce() -> F,
) -> Asked<O>
where
    K: CacheKey,
    V: Clone + Send + Sync + 'static,
    Q: ?Sized + Lookup<K>,
    O: Outcome<V> + 'static,
    S: Sharing<O::Failure>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = O> + Send + 'static,
{
    let request = match cache.here_or_request(key, O::FINDS, options) {
        Ok(found) => return Asked::Now(O::of(found)),
        // A result under tags that no record can have is not kept.
        Err(request) if check_tags(request.settings.tags()).is_err() => return Asked::Now(None),
        Err(request) => request,
    };
    let slot = S::Slot::default();
    let (call, given) = (prepare(), slot.clone());
    let loader = boxed(move |_| {
        let call = call();
        async move { loaded(call.await, |failure| S::give(&given, failure)) }
    });
    Asked::Later(Box::pin(async move {
        let ended = request.load(loader).await;
        answer::<V, O, S>(ended.map(Content::into_option), &slot)
    }))
}

/// Like [`ask`], for a synchronous function, which runs on this thread.
pub fn ask_blocking<K, V, Q, O, S>(
    cache: &Cache<K, V>,
    key: &Q,
    _: Returns<V, O>,
    _: S,
    options: impl FnOnce() -> Options,
    call: impl FnOnce() -> O,
) -> Option<O>
where
    K: CacheKey,
    V: Clone + Send + Sync + 'static,
    Q: ?Sized + Lookup<K>,
    O: Outcome<V>,
    S: Sharing<O::Failure>,
{
    let request = match cache.here_or_request(key, O::FINDS, options) {
        Ok(found) => return O::of(found),
        Err(request) if check_tags(request.settings.tags()).is_err() => return None,
        Err(request) => request,
    };
    let slot = S::Slot::default();
    let loader = |_| ended(loaded(call(), |failure| S::give(&slot, failure)));
    answer::<V, O, S>(Cache::obtain_here(key, *request, loader), &slot)
}

/// Starts to run the function in the background, and keeps its result. True if it has started.
pub fn renew<K, V, Q, O, F, Fut>(
    cache: &Cache<K, V>,
    key: &Q,
    _: Returns<V, O>,
    options: Options,
    call: F,
) -> Result<bool>
where
    K: CacheKey,
    V: Clone + Send + Sync + 'static,
    Q: ?Sized + Lookup<K>,
    O: Outcome<V> + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = O> + Send + 'static,
{
    let loader = boxed(move |_| {
        let call = call();
        async move { loaded(call.await, Into::<BoxError>::into) }
    });
    cache.with(options).renew(key, loader)
}

/// Like [`renew`], for a synchronous function, which runs on this thread, now.
pub fn renew_blocking<K, V, Q, O>(
    cache: &Cache<K, V>,
    key: &Q,
    _: Returns<V, O>,
    options: Options,
    call: impl FnOnce() -> O,
) -> Result<bool>
where
    K: CacheKey,
    V: Clone + Send + Sync + 'static,
    Q: ?Sized + Lookup<K>,
    O: Outcome<V>,
{
    let loader = |_| ended(loaded(call(), Into::<BoxError>::into));
    cache.with(options).renew_here(key, loader)
}

fn loaded<V, O: Outcome<V>>(
    outcome: O,
    failed: impl FnOnce(O::Failure) -> BoxError,
) -> Result<Loaded<V>, BoxError> {
    let found = outcome.into_found().map_err(failed)?;
    Ok(found.map_or_else(Loaded::absent, Loaded::new))
}

fn answer<V, O: Outcome<V>, S: Sharing<O::Failure>>(
    found: Result<Option<V>>,
    slot: &S::Slot,
) -> Option<O> {
    match found {
        Ok(found) => O::of(found),
        Err(error) => match S::take(slot, &error) {
            Some(failure) => Some(O::failed(failure)),
            None => O::refused(error),
        },
    }
}
