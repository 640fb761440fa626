//! A view for code that does not run in tasks.

use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_core::{BoxError, Error, Result};

use crate::cache::{Cache, FIND, LOAD, LOOK, VALUE};
use crate::flight::info::Caller;
#[cfg(feature = "macros")]
use crate::flight::outcome::Taken;
use crate::key::CacheKey;
use crate::load::leader::{Leader, Prepared};
use crate::load::loader::{Ended, Load, Loaded, ended};
use crate::load::purpose::Purpose;
#[cfg(feature = "macros")]
use crate::load::purpose::Trigger;
use crate::load::request::Request;
use crate::load::with_loader::{Decision, waiting};
use crate::lookup::Lookup;
use crate::support::runtime::{IoThread, blocking};
use crate::tier::entry::Content;

mod keys;
mod many;
mod verbs;

pub use self::keys::BlockingKeys;

/// The cache for synchronous code, in and out of a runtime.
///
/// Loaders run on the calling thread, and share loads with asynchronous callers. A backend is
/// spoken to from a thread of the cache's own. On a runtime that runs all its tasks on one thread,
/// a caller never waits for a load of that same thread: it loads for itself. Inside a `LocalSet` on
/// a runtime of many threads, tokio does not allow to block: call it through `spawn_blocking` there.
///
/// ```
/// use larder::Cache;
///
/// let cache = Cache::<String, usize>::new(1_000)?;
/// let length = cache.blocking().get_with("soup", || "soup".len())?;
/// assert_eq!(length, 4);
/// # Ok::<_, larder::Error>(())
/// ```
pub struct Blocking<'a, K: Hash + Eq, V> {
    cache: &'a Cache<K, V>,
}

impl<'a, K: CacheKey, V: Clone + Send + Sync + 'static> Blocking<'a, K, V> {
    pub(super) const fn new(cache: &'a Cache<K, V>) -> Self {
        Self { cache }
    }

    /// Blocking form of [`Cache::get`].
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn get<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<V>> {
        match self.cache.inner.local.hit(key) {
            Ok(content) => Ok(content.into_option()),
            Err(hash) => {
                let content = self.run(self.request(hash, key.to_key(), LOOK).get())??;
                Ok(content.and_then(Content::into_option))
            }
        }
    }

    /// Blocking form of [`Cache::load`], with a loader that runs on this thread. The hard timeout
    /// cannot stop the loader: a result that comes after it is not stored in the backend.
    ///
    /// # Errors
    /// As [`Cache::load`].
    pub fn load<Q, F, L, E>(&self, key: &Q, loader: F) -> Result<Option<V>>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce(Load<K, V>) -> std::result::Result<L, E>,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        Ok(self.obtain(key, LOAD, |load| ended(loader(load)))?.into_option())
    }

    /// Blocking form of [`Cache::get_with`], with a loader that runs on this thread.
    ///
    /// # Errors
    /// As [`Cache::get_with`].
    pub fn get_with<Q, F>(&self, key: &Q, loader: F) -> Result<V>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce() -> V,
    {
        let content = self.obtain(key, VALUE, |_| Ok(Loaded::new(loader())))?;
        content.into_option().ok_or_else(crate::load::with_loader::gone)
    }

    /// Blocking form of [`Cache::try_get_with`], with a loader that runs on this thread.
    ///
    /// # Errors
    /// As [`Cache::try_get_with`].
    pub fn try_get_with<Q, F, E>(&self, key: &Q, loader: F) -> Result<V>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce() -> std::result::Result<V, E>,
        E: Into<BoxError>,
    {
        let content = self.obtain(key, VALUE, |_| ended(loader()))?;
        content.into_option().ok_or_else(crate::load::with_loader::gone)
    }

    /// Blocking form of [`Cache::optionally_get_with`], with a loader that runs on this thread.
    ///
    /// # Errors
    /// As [`Cache::optionally_get_with`].
    pub fn optionally_get_with<Q, F>(&self, key: &Q, loader: F) -> Result<Option<V>>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce() -> Option<V>,
    {
        let loader = |_| Ok(loader().map_or_else(Loaded::absent, Loaded::new));
        Ok(self.obtain(key, FIND, loader)?.into_option())
    }

    pub(super) fn obtain<Q: ?Sized + Lookup<K>>(
        &self,
        key: &Q,
        purpose: Purpose,
        loader: impl FnOnce(Load<K, V>) -> Ended<V>,
    ) -> Result<Content<V>> {
        let hash = match self.cache.hit(key, purpose) {
            Ok(content) => return Ok(content),
            Err(hash) => hash,
        };
        let request = self.request(hash, key.to_key(), purpose);
        request.check()?;
        let mut loader = Some(loader);
        loop {
            let asked = request.clone();
            let decision = self.run(async move { asked.decide().await })??;
            let follower = match decision {
                // No task can load behind this caller's back: the next caller may load.
                Decision::Answer(content) | Decision::Renew(content) => return Ok(content),
                Decision::Follow(follower) => follower,
                Decision::Lead(lead) => {
                    let loader = loader.take().ok_or_else(crate::load::with_loader::gone)?;
                    let follower = lead.ticket.follow();
                    self.lead(lead, loader)?;
                    follower
                }
            };
            let _waiting = waiting(&follower)?;
            let taken = match request.take_ended(follower) {
                Ok(taken) => taken,
                Err(follower) => {
                    let asked = request.clone();
                    self.io()?.run(async move { asked.wait(follower).await })?
                }
            };
            if let Some(content) = request.answer(taken)? {
                return Ok(content);
            }
        }
    }

    /// Like [`Cache::refresh`], on this thread and to its end. A failure is returned.
    #[cfg(feature = "macros")]
    pub(super) fn renew<Q: ?Sized + Lookup<K>>(
        &self,
        key: &Q,
        purpose: Purpose,
        loader: impl FnOnce(Load<K, V>) -> Ended<V>,
    ) -> Result<bool> {
        let request = self.request(self.cache.inner.local.hash(key), key.to_key(), purpose);
        request.check()?;
        let Some(lead) = request.claim(Trigger::Force) else { return Ok(false) };
        let follower = lead.ticket.follow();
        self.lead(lead, loader)?;
        match request.take_ended(follower) {
            Ok(Taken::Failed(error)) => Err(error),
            _ => Ok(true),
        }
    }

    fn request(&self, hash: u64, key: K, purpose: Purpose) -> Request<K, V> {
        Request { caller: Caller::blocking(), ..self.cache.request(hash, key, purpose) }
    }

    /// Leads a flight with a loader that runs on this thread.
    fn lead(&self, lead: Leader<K, V>, loader: impl FnOnce(Load<K, V>) -> Ended<V>) -> Result<()> {
        let _running = lead.request.inner.begin()?;
        let Prepared::Ready(ready) = self.run(lead.prepare())? else { return Ok(()) };
        let link = ready.leader.ticket.info().link.clone();
        let given = ready.load();
        ready.leader.request.inner.stats().load();
        let call = AssertUnwindSafe(|| link.enter(|| loader(given)));
        let ended = catch_unwind(call).unwrap_or_else(|_| Err(Error::panicked("load")));
        self.run(ready.commit(ended))
    }

    fn io(&self) -> Result<&IoThread> {
        let io = &self.cache.inner.work.io;
        if let Some(io) = io.get() {
            return Ok(io);
        }
        let started = IoThread::start()?;
        // Another thread may have been faster. Then this one ends at once.
        Ok(io.get_or_init(|| started))
    }

    /// Runs a future: here, if nothing in it waits for a backend or a clock.
    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Result<T> {
        if self.cache.inner.stack.waits() { self.io()?.run(task) } else { Ok(blocking(task)) }
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Blocking<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}
