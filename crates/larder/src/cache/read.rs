//! Reads that leave no trace.

use std::time::Duration;

use larder_core::{Error, ErrorKind, Life, NEVER, Result};

use crate::cache::Cache;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::observe::info::{EntryInfo, Tier};
use crate::options::Ttl;
use crate::support::clock::LocalClock;
use crate::support::runtime::Sleep;
use crate::tier::entry::Entry;
use crate::tier::stack::EntryLife;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Gets the fresh value under the key without leaving a trace. The read is not counted, does
    /// not renew the idle time, and copies nothing to memory.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn peek<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<V>> {
        let found = self.find(key).await?;
        let fresh = found.map(|(entry, _)| entry).filter(|entry| self.is_served(entry));
        Ok(fresh.and_then(|entry| entry.content.into_option()))
    }

    /// Gets the fresh value under the key, or else the default, which is not stored.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("get_default"))]
    pub async fn get_or<Q: ?Sized + Lookup<K>>(&self, key: &Q, default: V) -> Result<V> {
        Ok(self.get(key).await?.unwrap_or(default))
    }

    /// Gets the fresh value under the key, or an error.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none; otherwise as [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("get_or_fail", "get_or_raise"))]
    pub async fn get_or_err<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<V> {
        self.get(key).await?.ok_or_else(missing)
    }

    /// Returns the time for which the value or the number under the key stays fresh. None if there
    /// is no fresh one, [`Ttl::Never`] if it stays fresh without end, else the time that is left.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::{Cache, Ttl};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, u64>::new(1_000)?;
    /// assert_eq!(cache.ttl(&1).await?, None);
    /// cache.insert(1, 10).await?;
    /// assert_eq!(cache.ttl(&1).await?, Some(Ttl::Never));
    /// cache.set_ttl(&1, Duration::from_secs(60)).await?;
    /// assert!(matches!(cache.ttl(&1).await?, Some(Ttl::For(left)) if left.as_secs() < 61));
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("get_ttl", "time_to_live", "pttl"))]
    pub async fn ttl<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<Ttl>> {
        let stored = self.stored(key).await?.filter(|stored| stored.life == Life::Fresh);
        Ok(stored.map(|stored| match stored.fresh_left {
            NEVER => Ttl::Never,
            left => Ttl::For(left),
        }))
    }

    /// Returns true if [`peek`](Self::peek) would find a value, or [`counter`](Self::counter) a
    /// number.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("exists", "has"))]
    pub async fn contains_key<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        let stored = self.stored(key).await?;
        Ok(stored.is_some_and(|stored| stored.life == Life::Fresh || self.settings.allow_stale))
    }

    /// Frees expired and invalidated entries in memory and in the backend. Returns the number of
    /// records freed in the backend.
    ///
    /// Memory and a backend free entries that are dead by their time without being asked, and
    /// memory also entries that a tag or [`invalidate_all`](Self::invalidate_all) has ended. A
    /// backend knows nothing of these: there they are freed by this call, which walks over the
    /// cache's namespace, if the backend can list keys. A record that is replaced meanwhile stays.
    ///
    /// Tags of entries without a ttl have no end: a tag that no entry has any more is given one, an
    /// hour from now. To find such tags, this walks over all entries of a namespace that has tags
    /// without an end.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) if the backend cannot, and its own, whatever the mode.
    ///
    /// # Cancel safety
    /// Dropping the future leaves some of it freed.
    #[doc(alias("clear_expired", "vacuum", "run_pending_tasks"))]
    pub async fn purge(&self) -> Result<u64> {
        self.inner.check_open()?;
        if !self.inner.stack.waits() {
            self.inner.local.sweep();
            return Ok(0);
        }
        self.inner.stack.require()?;
        self.inner.sweep_in_turn().await;
        self.inner.stack.purge().await
    }

    /// Metadata of the entry: age, life, tags and tier. Stale entries and known absences are
    /// included.
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
    #[doc(alias("inspect", "metadata"))]
    pub async fn entry_info<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<EntryInfo>> {
        let found = self.find(key).await?;
        let now = self.inner.now();
        Ok(found.map(|(entry, tier)| EntryInfo {
            life: entry.life,
            is_absent: entry.content.is_absent(),
            age: Some(now.since(entry.metadata.written_at)),
            // An entry that a mark has made stale keeps the time at which its ttl would have ended.
            ttl_left: match entry.life {
                Life::Fresh => entry.fresh_until.since(now),
                _ => Duration::ZERO,
            },
            kept_left: entry.kept_until.since(now),
            tags: entry.generation.names(),
            tier,
        }))
    }

    /// Returns true if a known absence is kept under the key. A miss is not that.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn is_known_absent<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        let found = self.find(key).await?;
        Ok(found.is_some_and(|(entry, _)| entry.content.is_absent()))
    }

    fn is_served(&self, entry: &Entry<V>) -> bool {
        entry.life == Life::Fresh || self.settings.allow_stale
    }

    async fn stored<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<EntryLife>> {
        self.inner.check_open()?;
        let hash = self.inner.local.hash(key);
        self.inner.stored(hash, &key.to_key()).await
    }

    async fn find<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<(Entry<V>, Tier)>> {
        self.inner.check_open()?;
        let hash = self.inner.local.hash(key);
        Inner::find(&self.inner, hash, &key.to_key()).await
    }
}

/// The error for a caller that was told to fail where there is no value.
pub(super) fn missing() -> Error {
    Error::new(ErrorKind::NotFound, "get", "no fresh value is under the key")
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Sweeps when no other sweep is under way. Does not block its thread: a listener that the
    /// other sweep has called may wait for this very purge, or for this runtime.
    async fn sweep_in_turn(&self) {
        for _ in 0..SWEEP_TRIES {
            if self.local.try_sweep() {
                return;
            }
            Sleep::new(&LocalClock::System, SWEEP_PAUSE).await;
        }
    }

    /// Returns the life of the value or number under the key, without the value.
    async fn stored(&self, hash: u64, key: &K) -> Result<Option<EntryLife>> {
        let now = self.now();
        let local = self.local.look(hash, key, |view| {
            // A number here has no metadata. Over a backend only a snapshot can have brought it.
            let is_sure = match view.metadata {
                Some(metadata) => metadata.is_trusted(now),
                None => !self.stack.waits(),
            };
            let (life, fresh_left) = (view.life, view.fresh_until.since(now));
            is_sure.then(|| (!view.value.is_absent()).then_some(EntryLife { life, fresh_left }))
        });
        if let Some(stored) = local.flatten() {
            return Ok(stored);
        }
        self.stack.require()?;
        self.forgive(self.stack.stored(key, self.local.marks()).await)
    }

    /// Returns the entry under the key, from the first tier that has it and need not ask another.
    async fn find(&self, hash: u64, key: &K) -> Result<Option<(Entry<V>, Tier)>> {
        let now = self.now();
        let is_trusted = |entry: &Entry<V>| entry.metadata.is_trusted(now);
        if let Some(entry) = self.look(hash, key).filter(is_trusted) {
            return Ok(Some((entry, Tier::Local)));
        }
        self.stack.require()?;
        let found = self.forgive(self.stack.find(key, self.local.marks()).await)?;
        Ok(found.map(|entry| (entry, Tier::Shared)))
    }
}

/// The waits of a purge for the sweep under way: a second in all.
const SWEEP_TRIES: usize = 200;
const SWEEP_PAUSE: Duration = Duration::from_millis(5);
