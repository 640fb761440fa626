//! Changes of one key: at the authority first, then here.

use std::time::Duration;

use larder_core::{Life, Result};

use crate::cache::Cache;
use crate::change::reach::Reach;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::ops::edit::Edit;
use crate::options::Ttl;
use crate::tier::entry::{Content, Entry};
use crate::tier::freshness::lives;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Stores a value under the key, in the place of any earlier one.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) or [`NoSpace`](crate::ErrorKind::NoSpace) for a value the
    /// backend cannot hold: the earlier value is deleted then; the error's text says so if that
    /// failed, too. A backend that cannot be reached makes it [`Reach::Local`], or an error in
    /// [strict](crate::CacheBuilder::strict) mode.
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("set", "put"))]
    pub async fn insert(&self, key: K, value: V) -> Result<Reach> {
        self.check()?;
        self.inner.insert(key, &self.settings, Content::Value(value)).await
    }

    /// Stores a value only if there is no fresh one; returns true if stored.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); a backend that cannot be reached is an error.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("add", "set_if_not_exists", "put_if_absent", "setnx"))]
    pub async fn insert_if_absent(&self, key: K, value: V) -> Result<bool> {
        self.insert_where(key, value, |there| there.is_none()).await
    }

    /// Stores a value only in the place of a fresh one; returns true if stored.
    ///
    /// # Errors
    /// As [`insert_if_absent`](Self::insert_if_absent).
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    pub async fn replace(&self, key: K, value: V) -> Result<bool> {
        self.insert_where(key, value, |there| there.is_some()).await
    }

    /// Stores a value only over a fresh one that satisfies `is_wanted`. Returns true if it was
    /// stored. Atomic.
    ///
    /// `is_wanted` runs under a lock, maybe several times: it must not call the cache.
    ///
    /// # Errors
    /// As [`insert_if_absent`](Self::insert_if_absent).
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    pub async fn replace_if<F>(&self, key: K, value: V, is_wanted: F) -> Result<bool>
    where
        F: Fn(&V) -> bool + Send + Sync + 'static,
    {
        self.insert_where(key, value, move |there| there.is_some_and(&is_wanted)).await
    }

    /// Stores a value only over a fresh one that equals `current`. Returns true if it was stored.
    /// Atomic.
    ///
    /// ```
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// cache.insert(1, "draft".to_owned()).await?;
    /// let (draft, sent) = ("draft".to_owned(), "sent".to_owned());
    /// assert!(cache.compare_and_set(1, draft.clone(), sent.clone()).await?);
    /// assert!(!cache.compare_and_set(1, draft, sent).await?);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`insert_if_absent`](Self::insert_if_absent).
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("cas", "compare_and_swap"))]
    pub async fn compare_and_set(&self, key: K, current: V, value: V) -> Result<bool>
    where
        V: PartialEq,
    {
        self.replace_if(key, value, move |there| *there == current).await
    }

    /// Removes the key's value and returns it, if it was fresh.
    ///
    /// Of any number of callers one gets it.
    ///
    /// # Errors
    /// A backend that cannot be reached: the value is gone here all the same.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("take", "pop", "getdel"))]
    pub async fn remove<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<V>> {
        let removed = self.change(key, Edit::Remove).await?;
        let fresh = removed.filter(|entry| entry.life == Life::Fresh);
        Ok(fresh.and_then(|entry| entry.content.into_option()))
    }

    /// Drops the key everywhere. Loads under way do not bring it back.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("delete", "del", "evict"))]
    pub async fn invalidate<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Reach> {
        self.check()?;
        self.inner.invalidate(key).await
    }

    /// Makes the entry stale, and keeps it as a fallback for its own grace. It lives no longer than
    /// before. An entry without grace is removed. Returns true if there was an entry.
    ///
    /// Of an entry without end the grace is that of this call's options.
    ///
    /// # Errors
    /// A backend that cannot be reached: the value is stale here all the same.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("soft_delete", "soft_invalidate"))]
    pub async fn mark_stale<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        Ok(self.change(key, Edit::MarkStale).await?.is_some())
    }

    /// Gives a fresh entry this ttl from now on, with the grace it had. Returns true if there was
    /// one. A ttl of zero removes it.
    ///
    /// An entry that had no end gets the grace of this call's options.
    ///
    /// # Errors
    /// A backend that cannot be reached.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("expire_in", "pexpire"))]
    pub async fn set_ttl<Q>(&self, key: &Q, ttl: impl Into<Ttl>) -> Result<bool>
    where
        Q: ?Sized + Lookup<K>,
    {
        Ok(self.change(key, Edit::SetTtl(self.length(ttl.into()))).await?.is_some())
    }

    /// Keeps a fresh value without end. Returns true if there was one.
    ///
    /// # Errors
    /// As [`set_ttl`](Self::set_ttl).
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    pub async fn persist<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        self.set_ttl(key, Ttl::Never).await
    }

    /// Restarts a fresh entry's time to live, as long as it was. Returns true if there was one.
    ///
    /// # Errors
    /// A backend that cannot be reached.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    pub async fn touch<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        Ok(self.change(key, Edit::Touch).await?.is_some())
    }

    /// Gets the fresh value under the key, and restarts its time to live, as long as it was. The read
    /// counts as a hit or a miss.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let sessions = Cache::<u64, String>::builder().ttl(Duration::from_secs(600)).build()?;
    /// sessions.insert(7, "Ada".to_owned()).await?;
    /// assert_eq!(sessions.get_and_touch(&7).await?.as_deref(), Some("Ada"));
    /// assert_eq!(sessions.get_and_touch(&8).await?, None);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// A backend that cannot be reached.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("getex", "get_and_expire"))]
    pub async fn get_and_touch<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<V>> {
        let touched = self.change(key, Edit::Touch).await?;
        if touched.is_some() {
            self.inner.local.count_use(key);
            self.inner.stats().hit();
        } else {
            self.inner.stats().miss();
        }
        Ok(touched.and_then(|entry| entry.content.into_option()))
    }

    /// Gives an entry, fresh or inside grace, this ttl from now on. It keeps the grace it had.
    /// Returns its value, or none if there was none or it is dead. An entry made stale by an
    /// invalidation stays stale.
    ///
    /// # Errors
    /// A backend that cannot be reached.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("update_timeout", "renew"))]
    pub async fn revive<Q>(&self, key: &Q, ttl: impl Into<Ttl>) -> Result<Option<V>>
    where
        Q: ?Sized + Lookup<K>,
    {
        let revived = self.change(key, Edit::Revive(self.length(ttl.into()))).await?;
        Ok(revived.and_then(|entry| entry.content.into_option()))
    }

    /// Returns a ttl under the options, without jitter.
    fn length(&self, ttl: Ttl) -> Duration {
        lives(&self.settings, ttl, self.inner.now(), || 0.0).0
    }

    pub(super) fn check(&self) -> Result<()> {
        self.inner.check_open()?;
        self.settings.check()
    }

    async fn insert_where<F>(&self, key: K, value: V, wanted: F) -> Result<bool>
    where
        F: Fn(Option<&V>) -> bool + Send + Sync + 'static,
    {
        self.check()?;
        self.inner.insert_where(key, &self.settings, Content::Value(value), wanted).await
    }

    /// Makes an edit to the entry under the key. Returns the entry as it was before.
    async fn change<Q>(&self, key: &Q, edit: Edit) -> Result<Option<Entry<V>>>
    where
        Q: ?Sized + Lookup<K>,
    {
        self.check()?;
        self.inner.edit(key, &self.settings, edit).await
    }
}
