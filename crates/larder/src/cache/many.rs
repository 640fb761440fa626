//! Verbs for many keys: each key by the protocol of one key, one backend call for all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use larder_core::{BoxError, BoxFuture, Result};

use crate::cache::{Batch, Cache, LOAD, LOOK};
use crate::change::reach::Reach;
use crate::flight::chain::{Inside, Link};
use crate::flight::info::Caller;
use crate::key::CacheKey;
use crate::load::asks::Asks;
use crate::load::loader::Loaded;
use crate::load::request::Request;
use crate::lookup::Lookup;
use crate::options::Ttl;
use crate::support::runtime::Slice;
use crate::tier::entry::Content;

/// An entry to insert: made from `(key, value)` or `(key, value, ttl)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewEntry<K, V> {
    /// The entry's key.
    pub key: K,
    /// The entry's value.
    pub value: V,
    /// Time to live: the time for which the entry is fresh.
    pub ttl: Ttl,
}

impl<K, V> From<(K, V)> for NewEntry<K, V> {
    fn from((key, value): (K, V)) -> Self {
        Self { key, value, ttl: Ttl::Default }
    }
}

impl<K, V> From<(K, V, Ttl)> for NewEntry<K, V> {
    fn from((key, value, ttl): (K, V, Ttl)) -> Self {
        Self { key, value, ttl }
    }
}

impl<K, V> From<(K, V, Duration)> for NewEntry<K, V> {
    fn from((key, value, ttl): (K, V, Duration)) -> Self {
        Self { key, value, ttl: Ttl::For(ttl) }
    }
}

/// Calls on many keys at once. Each key is treated as by the verb for one key, with the same
/// promises. The backend is asked for all of them in one call, or in one for each step where a
/// change takes several. One key's failure leaves the others alone: see [`Batch`]. Of a key that is
/// named twice the last one counts.
impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Gets the fresh values under the keys. Keys without one are left out.
    ///
    /// # Errors
    /// [`Closed`](crate::ErrorKind::Closed) after `close`,
    /// [`NoRuntime`](crate::ErrorKind::NoRuntime) outside of a tokio runtime where a backend must be
    /// asked. For each key, as [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("mget", "get_multi", "get_all"))]
    pub async fn get_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Batch<K, V>>
    where
        Q: ?Sized + Lookup<K> + 'q,
    {
        self.look_up(to_keys(keys), &Caller::task()).await
    }

    /// Looks the keys up for this caller.
    pub(super) async fn look_up(&self, keys: Vec<K>, caller: &Caller) -> Result<Batch<K, V>> {
        self.inner.check_open()?;
        let (batch, missing) = self.held_here(keys).await;
        let caller = caller.clone();
        let look = move |cache: Self, (hash, key): (u64, K)| {
            let request = cache.request(hash, key.clone(), LOOK);
            let request = Request { caller: caller.clone(), ..request };
            async move {
                (key, request.get().await.map(|content| content.and_then(Content::into_option)))
            }
        };
        Ok(batch.with(self.each(missing, look).await?).await)
    }

    /// Checks for each key whether there is a value under it.
    ///
    /// # Errors
    /// As [`get_many`](Self::get_many).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("exists_many"))]
    pub async fn contains_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Batch<K, bool>>
    where
        Q: ?Sized + Lookup<K> + 'q,
    {
        let ask = |cache: Self, key: K| async move {
            let is_there = cache.contains_key(&key).await;
            (key, is_there.map(Some))
        };
        self.for_each_key(distinct(to_keys(keys)).await, ask).await
    }

    /// Stores values, each with its own ttl if it names one. The number of results is the number of
    /// values stored.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// let short = Duration::from_secs(5);
    /// let stored = cache.insert_many([(1, "one".to_owned(), short), (2, "two".to_owned(), short)]);
    /// assert_eq!(stored.await?.len(), 2);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`get_many`](Self::get_many); for each key, as [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("set_many", "mset", "put_all"))]
    pub async fn insert_many<T>(
        &self,
        entries: impl IntoIterator<Item = T>,
    ) -> Result<Batch<K, Reach>>
    where
        T: Into<NewEntry<K, V>>,
    {
        let entries: Vec<NewEntry<K, V>> = entries.into_iter().map(Into::into).collect();
        let (mut last, mut slice) = (HashMap::with_capacity(entries.len()), Slice::begin());
        for NewEntry { key, value, ttl } in entries {
            last.insert(key, (value, ttl));
            slice.pause().await;
        }
        let insert = |cache: Self, (key, (value, ttl)): (K, (V, Ttl))| async move {
            let cache = if ttl == Ttl::Default { cache } else { cache.with(ttl) };
            let reach = cache.insert(key.clone(), value).await;
            (key, reach.map(Some))
        };
        self.for_each_key(last, insert).await
    }

    /// Drops the keys. Loads under way do not bring them back.
    ///
    /// # Errors
    /// As [`get_many`](Self::get_many); for each key, as [`invalidate`](Self::invalidate).
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("delete_many", "delete_multi"))]
    pub async fn invalidate_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Batch<K, Reach>>
    where
        Q: ?Sized + Lookup<K> + 'q,
    {
        let invalidate = |cache: Self, key: K| async move {
            let reach = cache.invalidate(&key).await;
            (key, reach.map(Some))
        };
        self.for_each_key(distinct(to_keys(keys)).await, invalidate).await
    }

    /// Removes the keys and returns the values that were fresh.
    ///
    /// # Errors
    /// As [`get_many`](Self::get_many); for each key, as [`remove`](Self::remove).
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("take_many", "pop_many"))]
    pub async fn remove_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Batch<K, V>>
    where
        Q: ?Sized + Lookup<K> + 'q,
    {
        let remove = |cache: Self, key: K| async move {
            let removed = cache.remove(&key).await;
            (key, removed)
        };
        self.for_each_key(distinct(to_keys(keys)).await, remove).await
    }

    /// Gets the values under the keys; one call of the loader loads the missing ones.
    ///
    /// The loader is called with the keys that nobody else is loading, and answers with a value or a
    /// [`Loaded`] for each that there is; for the others it says that there is none. A key that
    /// another caller or process is loading is waited for; should that load come to nothing, the
    /// loader is called again with it. The hard timeout is longer by 0.1 ms for each missing key.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// cache.insert(1, "one".to_owned()).await?;
    /// let names = cache
    ///     .get_many_with(&[1, 2, 3], |missing: Vec<u64>| async move {
    ///         assert_eq!(missing, [2, 3]);
    ///         Ok::<_, std::io::Error>(HashMap::from([(2, "two".to_owned())]))
    ///     })
    ///     .await?;
    /// assert_eq!((names.len(), names.get(&3)), (2, None));
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`NoRuntime`](crate::ErrorKind::NoRuntime) outside of a tokio runtime where a key is missing,
    /// [`Closed`](crate::ErrorKind::Closed) after `close`. For each key, as [`load`](Self::load);
    /// a failure of the loader is that of all keys it was called with, but for those with a stale
    /// value inside grace.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the loads running for the others and for the cache.
    #[doc(alias("get_or_create_multi", "load_many", "load_all"))]
    pub async fn get_many_with<'q, Q, F, Fut, M, L, E>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        loader: F,
    ) -> Result<Batch<K, V>>
    where
        Q: ?Sized + Lookup<K> + 'q,
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<M, E>> + Send + 'static,
        M: IntoIterator<Item = (K, L)>,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        self.check()?;
        let (batch, missing) = self.held_here(to_keys(keys)).await;
        if missing.is_empty() {
            return Ok(batch);
        }
        let asks = Asks::new(loader, self.inner.loads.limit.clone(), None);
        Ok(batch.with(self.load_each(missing, asks, &Caller::task()).await?).await)
    }

    /// Loads the keys side by side for this caller.
    pub(super) fn load_each(
        &self,
        missing: Vec<(u64, K)>,
        asks: Arc<Asks<K, V>>,
        caller: &Caller,
    ) -> impl Future<Output = Result<Vec<(K, Result<Option<V>>)>>> + Send + 'static {
        let (inner, together) = self.inner.together();
        let mut cache = Self { inner, settings: self.settings.clone() };
        let keys = u32::try_from(missing.len()).unwrap_or(u32::MAX);
        let allowance = ALLOWANCE.saturating_mul(keys);
        cache.settings.hard_timeout = cache.settings.hard_timeout.saturating_add(allowance);
        let (caller, pass) = (caller.clone(), Arc::clone(&asks));
        let call = move |(hash, key): (u64, K)| {
            let request = cache.request(hash, key.clone(), LOAD);
            let request = Request { caller: caller.clone(), ..request };
            let loader = asks.loader();
            async move { (key, request.load(loader).await.map(Content::into_option)) }
        };
        let calls = missing.into_iter().map(inside(call));
        let moments = Arc::clone(&together);
        together.run(calls, move |moment| pass.pass(moment, &moments))
    }

    /// Returns the hits in the local tier, and the keys that need more.
    pub(super) async fn held_here(&self, keys: Vec<K>) -> (Batch<K, V>, Vec<(u64, K)>) {
        let (mut batch, mut missing) = (Batch::new(), Vec::new());
        let mut slice = Slice::begin();
        for key in distinct(keys).await {
            match self.inner.local.hit(&key) {
                Ok(content) => batch.add(key, Ok(content.into_option())),
                Err(hash) => missing.push((hash, key)),
            }
            slice.pause().await;
        }
        (batch, missing)
    }

    async fn for_each_key<I, T, Fut>(
        &self,
        arguments: I,
        call: impl Fn(Self, I::Item) -> Fut + Send + 'static,
    ) -> Result<Batch<K, T>>
    where
        I: IntoIterator<IntoIter: ExactSizeIterator + Send + 'static>,
        Fut: Future<Output = (K, Result<Option<T>>)> + Send + 'static,
        T: Send + 'static,
    {
        self.check()?;
        Ok(Batch::new().with(self.each(arguments, call).await?).await)
    }

    /// Makes a call for each argument, side by side; without a backend, where no call waits, one
    /// after the other.
    async fn each<I, T, Fut>(
        &self,
        arguments: I,
        call: impl Fn(Self, I::Item) -> Fut + Send + 'static,
    ) -> Result<Vec<T>>
    where
        I: IntoIterator<IntoIter: ExactSizeIterator + Send + 'static>,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let arguments = arguments.into_iter();
        if !self.inner.stack.waits() || arguments.len() == 0 {
            let (mut results, mut slice) = (Vec::with_capacity(arguments.len()), Slice::begin());
            for argument in arguments {
                results.push(call(self.clone(), argument).await);
                slice.pause().await;
            }
            return Ok(results);
        }
        let (inner, together) = self.inner.together();
        let cache = Self { inner, settings: self.settings.clone() };
        let call = move |argument| call(cache.clone(), argument);
        together.run(arguments.map(inside(call)), |_| ()).await
    }
}

/// The time that a hard timeout is longer by for each key that is loaded together: each key waits
/// for the steps of all before the loader is called, which is no fault of the loader.
const ALLOWANCE: Duration = Duration::from_micros(100);

/// Makes calls that run in another task, and still inside the load that this code runs in.
fn inside<A, T, Fut>(
    call: impl Fn(A) -> Fut + Send + 'static,
) -> impl FnMut(A) -> BoxFuture<'static, T> + Send + 'static
where
    Fut: Future<Output = T> + Send + 'static,
{
    let link = Link::current();
    move |argument| match &link {
        Some(link) => Box::pin(Inside::new(link.clone(), call(argument))),
        None => Box::pin(call(argument)),
    }
}

/// Returns the keys that are looked up. The caller's iterator need not be one that tasks may share,
/// so it ends before anything waits.
pub(super) fn to_keys<'q, K: CacheKey, Q>(keys: impl IntoIterator<Item = &'q Q>) -> Vec<K>
where
    Q: ?Sized + Lookup<K> + 'q,
{
    keys.into_iter().map(Lookup::to_key).collect()
}

/// Returns each key once, in the order in which they are named.
async fn distinct<K: CacheKey>(keys: Vec<K>) -> Vec<K> {
    let (mut distinct, mut slice) = (Vec::with_capacity(keys.len()), Slice::begin());
    let mut known = HashSet::with_capacity(keys.len());
    for key in keys {
        if known.insert(key.clone()) {
            distinct.push(key);
        }
        slice.pause().await;
    }
    distinct
}
