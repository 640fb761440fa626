//! The verbs that need no loader: as those of the cache, waiting on this thread.

use std::time::Duration;

use larder_core::{AnyBackend, BoxError, Result};

use crate::cache::read::missing;
use crate::cache::{Batch, Blocking, Cache, NewEntry};
use crate::change::reach::Reach;
use crate::flight::chain::{Inside, Link};
use crate::key::CacheKey;
use crate::load::loader::{Load, Loaded};
use crate::lookup::Lookup;
use crate::observe::info::EntryInfo;
use crate::observe::stats::Stats;
use crate::ops::Lock;
use crate::options::Ttl;
use crate::support::runtime::{single_threaded, spawn};

/// Makes a verb of one key, which is looked up.
macro_rules! by_key {
    ($($verb:ident($($argument:ident: $Type:ty),*) -> $Answer:ty;)+) => {$(
        #[doc = concat!("Blocking form of [`Cache::", stringify!($verb), "`].")]
        ///
        /// # Errors
        #[doc = concat!("As [`Cache::", stringify!($verb), "`].")]
        pub fn $verb<Q>(&self, key: &Q, $($argument: $Type),*) -> Result<$Answer>
        where
            Q: ?Sized + Lookup<K>,
        {
            let (cache, key) = (self.cache.clone(), key.to_key());
            self.run(async move { cache.$verb(&key, $($argument),*).await })?
        }
    )+};
}

/// Makes a verb of owned arguments.
macro_rules! by_value {
    ($($verb:ident($($argument:ident: $Type:ty),*) -> $Answer:ty;)+) => {$(
        #[doc = concat!("Blocking form of [`Cache::", stringify!($verb), "`].")]
        ///
        /// # Errors
        #[doc = concat!("As [`Cache::", stringify!($verb), "`].")]
        pub fn $verb(&self, $($argument: $Type),*) -> Result<$Answer> {
            let cache = self.cache.clone();
            self.run(async move { cache.$verb($($argument),*).await })?
        }
    )+};
}

/// Makes a verb of texts, which are borrowed.
macro_rules! by_text {
    ($($verb:ident($text:ident $(, $argument:ident: $Type:ty)*) -> $Answer:ty;)+) => {$(
        #[doc = concat!("Blocking form of [`Cache::", stringify!($verb), "`].")]
        ///
        /// # Errors
        #[doc = concat!("As [`Cache::", stringify!($verb), "`].")]
        pub fn $verb(&self, $text: &str $(, $argument: $Type)*) -> Result<$Answer> {
            let (cache, text) = (self.cache.clone(), $text.to_owned());
            self.run(async move { cache.$verb(&text $(, $argument)*).await })?
        }
    )+};
}

/// Makes a verb of many keys, which are looked up.
macro_rules! by_keys {
    ($($verb:ident() -> $Answer:ty;)+) => {$(
        #[doc = concat!("Blocking form of [`Cache::", stringify!($verb), "`].")]
        ///
        /// # Errors
        #[doc = concat!("As [`Cache::", stringify!($verb), "`].")]
        pub fn $verb<'q, Q>(
            &self,
            keys: impl IntoIterator<Item = &'q Q>,
        ) -> Result<Batch<K, $Answer>>
        where
            Q: ?Sized + Lookup<K> + 'q,
        {
            let cache = self.cache.clone();
            let keys: Vec<K> = keys.into_iter().map(Lookup::to_key).collect();
            self.run(async move { cache.$verb(&keys).await })?
        }
    )+};
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Blocking<'_, K, V> {
    by_key! {
        peek() -> Option<V>;
        contains_key() -> bool;
        ttl() -> Option<Ttl>;
        entry_info() -> Option<EntryInfo>;
        is_known_absent() -> bool;
        remove() -> Option<V>;
        invalidate() -> Reach;
        mark_stale() -> bool;
        set_ttl(ttl: impl Into<Ttl> + Send + 'static) -> bool;
        touch() -> bool;
        get_and_touch() -> Option<V>;
        persist() -> bool;
        revive(ttl: impl Into<Ttl> + Send + 'static) -> Option<V>;
        incr(by: i64) -> i64;
        counter() -> Option<i64>;
    }

    by_value! {
        insert(key: K, value: V) -> Reach;
        insert_if_absent(key: K, value: V) -> bool;
        replace(key: K, value: V) -> bool;
        replace_if(
            key: K,
            value: V,
            is_wanted: impl Fn(&V) -> bool + Send + Sync + 'static
        ) -> bool;
        purge() -> u64;
        invalidate_all() -> Reach;
        mark_all_stale() -> Reach;
        save() -> u64;
    }

    by_text! {
        invalidate_tag(tag) -> Reach;
        mark_tag_stale(tag) -> Reach;
        count(pattern) -> u64;
        clear(pattern) -> u64;
    }

    by_keys! {
        contains_many() -> bool;
        invalidate_many() -> Reach;
        remove_many() -> V;
    }

    /// Blocking form of [`Cache::get_or`].
    ///
    /// # Errors
    /// As [`Cache::get_or`].
    pub fn get_or<Q: ?Sized + Lookup<K>>(&self, key: &Q, default: V) -> Result<V> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// Blocking form of [`Cache::get_or_err`].
    ///
    /// # Errors
    /// As [`Cache::get_or_err`].
    pub fn get_or_err<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<V> {
        self.get(key)?.ok_or_else(missing)
    }

    /// Blocking form of [`Cache::lock`].
    ///
    /// # Errors
    /// As [`Cache::lock`].
    pub fn lock(&self, name: &str, length: Duration) -> Result<Lock<AnyBackend>> {
        // A caller that waits for the lock sleeps in between, also where there is no backend.
        let (cache, name) = (self.cache.clone(), name.to_owned());
        self.io()?.run(async move { cache.lock(&name, length).await })?
    }

    /// Blocking form of [`Cache::try_lock`].
    ///
    /// # Errors
    /// As [`Cache::try_lock`].
    pub fn try_lock(&self, name: &str, length: Duration) -> Result<Option<Lock<AnyBackend>>> {
        let (cache, name) = (self.cache.clone(), name.to_owned());
        self.io()?.run(async move { cache.try_lock(&name, length).await })?
    }

    /// Blocking form of [`Cache::close`]. On a runtime of one thread that has loads of this cache,
    /// which need this thread, the cache is closed at once, and its snapshot and its backend when
    /// they have ended.
    ///
    /// # Errors
    /// As [`Cache::close`].
    pub fn close(&self) -> Result<()> {
        let cache = self.cache.clone();
        if cache.inner.work.is_busy() && single_threaded().is_some() && Link::current().is_none() {
            cache.inner.work.shut();
            return spawn(async move { drop(cache.close().await) });
        }
        let link = Link::current();
        self.run(async move {
            match link {
                Some(link) => Inside::new(link, cache.close()).await,
                None => cache.close().await,
            }
        })?
    }

    /// Blocking form of [`Cache::insert_many`].
    ///
    /// # Errors
    /// As [`Cache::insert_many`].
    pub fn insert_many<T>(&self, entries: impl IntoIterator<Item = T>) -> Result<Batch<K, Reach>>
    where
        T: Into<NewEntry<K, V>>,
    {
        let cache = self.cache.clone();
        let entries: Vec<NewEntry<K, V>> = entries.into_iter().map(Into::into).collect();
        self.run(async move { cache.insert_many(entries).await })?
    }

    /// Blocking form of [`Cache::compare_and_set`].
    ///
    /// # Errors
    /// As [`Cache::compare_and_set`].
    pub fn compare_and_set(&self, key: K, current: V, value: V) -> Result<bool>
    where
        V: PartialEq,
    {
        self.replace_if(key, value, move |there| *there == current)
    }

    /// Blocking form of [`Cache::refresh`], with a loader on a separate thread of the cache.
    ///
    /// # Errors
    /// As [`Cache::refresh`].
    pub fn refresh<Q, F, L, E>(&self, key: &Q, loader: F) -> Result<bool>
    where
        Q: ?Sized + Lookup<K>,
        F: FnOnce(Load<K, V>) -> std::result::Result<L, E> + Send + 'static,
        L: Into<Loaded<V>> + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        let (cache, key) = (self.cache.clone(), key.to_key());
        let loader = |load| async { loader(load) };
        self.io()?.run(async move { cache.refresh(&key, loader) })?
    }

    /// Returns the statistics, as [`Cache::stats`] does.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.cache.stats()
    }

    /// Returns the cache behind this view.
    #[must_use]
    pub const fn cache(&self) -> &Cache<K, V> {
        self.cache
    }
}
