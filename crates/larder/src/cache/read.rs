//! Reads that leave no trace.

use std::time::Duration;

use larder_core::{Life, Result};

use crate::cache::Cache;
use crate::info::{EntryInfo, Tier};
use crate::key::CacheKey;
use crate::load::inner::Inner;
use crate::lookup::Lookup;
use crate::tier::held::Looked;
use crate::tier::mark::Age;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// The value under the key, if it is fresh: without counting, without renewing its idle time,
    /// and without copying it to memory.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn peek<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<V>> {
        let found = self.find(key).await?;
        let fresh = found.map(|(looked, _)| looked).filter(|looked| self.is_served(looked));
        Ok(fresh.and_then(|looked| looked.held.into_option()))
    }

    /// Whether [`peek`](Self::peek) would find a value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("exists", "has"))]
    pub async fn contains_key<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        let found = self.find(key).await?;
        Ok(found.is_some_and(|(looked, _)| self.is_served(&looked) && !looked.held.is_absent()))
    }

    /// Age, life, tags and tier of what is under the key, stale or known to be absent included.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::{Cache, Life};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, u64>::builder().ttl(Duration::from_secs(60)).build()?;
    /// cache.insert(1, 10).await?;
    /// let info = cache.entry_info(&1).await?.expect("it was just inserted");
    /// assert_eq!(info.life, Life::Fresh);
    /// assert!(info.ttl_left <= Duration::from_secs(60));
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("ttl", "inspect", "metadata"))]
    pub async fn entry_info<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<EntryInfo>> {
        let found = self.find(key).await?;
        let now = self.inner.now();
        Ok(found.map(|(looked, tier)| EntryInfo {
            life: looked.life,
            is_absent: looked.held.is_absent(),
            age: Some(now.since(looked.note.written_at)),
            // What a mark has made stale keeps the time at which it would have become so.
            ttl_left: match looked.life {
                Life::Fresh => looked.fresh_until.since(now),
                _ => Duration::ZERO,
            },
            kept_left: looked.kept_until.since(now),
            tags: looked.seen.names(),
            tier,
        }))
    }

    /// Whether a known absence is kept under the key: a miss is not that.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn is_known_absent<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        let found = self.find(key).await?;
        Ok(found.is_some_and(|(looked, _)| looked.held.is_absent()))
    }

    fn is_served(&self, looked: &Looked<V>) -> bool {
        looked.life == Life::Fresh || self.settings.allow_stale
    }

    async fn find<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<(Looked<V>, Tier)>> {
        self.inner.check_open()?;
        let hash = self.inner.local.hash(key);
        Inner::find(&self.inner, hash, &key.to_key()).await
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// What is under the key, from the first tier that has it and need not ask another.
    async fn find(&self, hash: u64, key: &K) -> Result<Option<(Looked<V>, Tier)>> {
        let local = self.look(hash, key);
        let Some(shared) = &self.shared else {
            return Ok(local.map(|looked| (looked, Tier::Local)));
        };
        let now = self.now();
        let is_sure = |looked: &Looked<V>| looked.note.marks_due.min(looked.note.copy_due) > now;
        if let Some(looked) = local.filter(is_sure) {
            return Ok(Some((looked, Tier::Local)));
        }
        crate::runtime::require()?;
        let name = shared.key(key);
        match Box::pin(shared.find(&name, self.local.marks(), Age::Checked, None)).await {
            Ok(found) => Ok(found.into_parts().0.map(|looked| (looked, Tier::Shared))),
            Err(error) => self.forgive(shared, error).map(|()| None),
        }
    }
}
