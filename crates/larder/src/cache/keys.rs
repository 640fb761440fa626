//! Keys that match a pattern: listed, counted, cleared.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use larder_core::{Backend as _, Delete, Expect, Life, Outcome, Result};

use crate::cache::Cache;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::pattern::Pattern;
use crate::snapshot::Change as Noted;
use crate::tier::marks::current::MarkChange;
use crate::tier::shared::Shared;
use crate::tier::shared::scan::{Met, Scan};

/// Keys that match a pattern, page by page: see [`Cache::keys`].
pub struct Keys<'a, K: Hash + Eq, V> {
    cache: &'a Cache<K, V>,
    pub(super) walk: Walk<'a, K, V>,
    pub(super) ready: VecDeque<K>,
}

pub(super) enum Walk<'a, K: Hash + Eq, V> {
    Here(Pattern, Box<dyn Iterator<Item = (u64, K)> + Send + 'a>),
    There(Arc<Shared<V>>, Scan),
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Lists the keys that match a pattern and have a fresh value or a counter. Stale ones are
    /// listed too, if the options [allow](crate::Options::allow_stale) that.
    ///
    /// What is written meanwhile may be met or not; what is there all the while is met, and twice
    /// only where a backend's scan does so. See [`Pattern`] for what a pattern may say.
    ///
    /// ```
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<String, u32>::new(1_000)?;
    /// for key in ["user:1", "user:2", "team:1"] {
    ///     cache.insert(key.to_owned(), 0).await?;
    /// }
    /// let mut keys = cache.keys("user:*")?;
    /// let mut found = Vec::new();
    /// while let Some(key) = keys.next().await? {
    ///     found.push(key);
    /// }
    /// found.sort();
    /// assert_eq!(found, ["user:1", "user:2"]);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for what is no pattern,
    /// [`Closed`](crate::ErrorKind::Closed) after `close`.
    #[doc(alias("scan", "iter_keys"))]
    pub fn keys(&self, pattern: &str) -> Result<Keys<'_, K, V>> {
        self.inner.check_open()?;
        let pattern = Pattern::parse(pattern)?;
        let walk = match &self.inner.shared {
            Some(shared) => {
                let scan = Scan::new(&shared.authority, pattern);
                Walk::There(Arc::clone(shared), scan)
            }
            None => Walk::Here(pattern, Box::new(self.inner.local.keys())),
        };
        Ok(Keys { cache: self, walk, ready: VecDeque::new() })
    }

    /// Returns the number of keys that [`keys`](Self::keys) would find.
    ///
    /// # Errors
    /// As [`keys`](Self::keys) and [`Keys::next`].
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    #[doc(alias("count_keys", "size"))]
    pub async fn count(&self, pattern: &str) -> Result<u64> {
        let mut keys = self.keys(pattern)?;
        let mut count = 0;
        while keys.turn_page().await? {
            count += keys.ready.len() as u64;
            keys.ready.clear();
        }
        Ok(count)
    }

    /// Drops all keys that match a pattern. Returns the number that [`keys`](Self::keys) would have
    /// found.
    ///
    /// Loads under way of such keys do not bring them back. `*` also changes the namespace's epoch,
    /// as [`invalidate_all`](Self::invalidate_all) does, and then frees the room. Another namespace
    /// is never touched.
    ///
    /// # Errors
    /// As [`keys`](Self::keys) and [`Keys::next`]. A backend's failure is an error here, whatever
    /// the mode: some of the keys may then be gone.
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("delete_prefix", "clear_prefix", "delete_pattern"))]
    pub async fn clear(&self, pattern: &str) -> Result<u64> {
        self.inner.check_open()?;
        let (text, pattern) = (pattern, Pattern::parse(pattern)?);
        let allow_stale = self.settings.allow_stale;
        let Some(shared) = self.inner.shared.clone() else {
            let cleared = self.inner.clear_here(&pattern, allow_stale);
            let ticket = self.inner.note(Noted::Pattern(text));
            self.inner.noted(ticket).await;
            return Ok(cleared);
        };
        let inner = Arc::clone(&self.inner);
        self.inner
            .owned(Box::pin(async move {
                let cleared = inner.clear_there(&shared, &pattern, allow_stale).await;
                // Whatever the authority said.
                inner.clear_here(&pattern, allow_stale);
                cleared
            }))
            .await?
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Keys<'_, K, V> {
    /// Returns the next key; none after the last.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the backend cannot list keys,
    /// [`NoRuntime`](crate::ErrorKind::NoRuntime) outside of a runtime where there is a backend, and
    /// the backend's own: a list that lacks keys would be no answer.
    ///
    /// # Cancel safety
    /// Dropping the future loses no key: its page is asked for again.
    pub async fn next(&mut self) -> Result<Option<K>> {
        while self.ready.is_empty() {
            if !self.turn_page().await? {
                return Ok(None);
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Makes the keys of the next page ready; false after the last.
    async fn turn_page(&mut self) -> Result<bool> {
        let allow_stale = self.cache.settings.allow_stale;
        let inner = &self.cache.inner;
        inner.check_open()?;
        match &mut self.walk {
            Walk::Here(pattern, keys) => {
                let mut met = 0;
                for (hash, key) in keys.by_ref().take(PAGE) {
                    met += 1;
                    let is_meant = pattern.matches(&key.to_text());
                    if is_meant && inner.is_listed(hash, &key, allow_stale) {
                        self.ready.push_back(key);
                    }
                }
                Ok(met > 0)
            }
            Walk::There(shared, scan) => {
                crate::support::runtime::require()?;
                let page = inner.page(shared, scan, allow_stale).await?;
                let is_there = page.is_some();
                self.ready.extend(page.unwrap_or_default());
                Ok(is_there)
            }
        }
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    fn is_listed(&self, hash: u64, key: &K, allow_stale: bool) -> bool {
        let is_listed = |life| is_listed(life, allow_stale);
        self.life(hash, key).is_some_and(is_listed)
    }

    /// The keys of the next page of a walk; none after the last.
    pub(super) async fn page(
        &self,
        shared: &Shared<V>,
        scan: &mut Scan,
        allow_stale: bool,
    ) -> Result<Option<Vec<K>>> {
        // A page that fails, or whose caller goes away, is asked for again.
        let mut walk = scan.clone();
        let page = match walk.page(&shared.authority).await? {
            Some(page) => Some(self.listed(shared, page, allow_stale).await?),
            None => None,
        };
        *scan = walk;
        Ok(page.map(|page| page.iter().filter_map(|met| K::from_text(&met.text)).collect()))
    }

    /// What of a page counts.
    async fn listed(
        &self,
        shared: &Shared<V>,
        mut page: Vec<Met>,
        allow_stale: bool,
    ) -> Result<Vec<Met>> {
        page.retain(Met::is_stored);
        let mut lives = shared.authority.lives(self.local.marks(), &page).await?.into_iter();
        page.retain(|_| lives.next().is_some_and(|life| is_listed(life, allow_stale)));
        Ok(page)
    }

    /// Drops the keys here, and cuts the flights of keys that are not here yet; how many counted.
    fn clear_here(&self, pattern: &Pattern, allow_stale: bool) -> u64 {
        let mut cleared = 0;
        let is_meant = |key: &K| pattern.matches(&key.to_text());
        let mut drop = |hash, key: K| {
            cleared += u64::from(self.is_listed(hash, &key, allow_stale));
            self.drop_here(hash, &key);
        };
        // Flights first: what has landed before is met by the walk.
        let flights = self.flights.keys().into_iter();
        flights.filter(|(_, key)| is_meant(key)).for_each(|(hash, key)| drop(hash, key));
        self.local.keys().filter(|(_, key)| is_meant(key)).for_each(|(hash, key)| drop(hash, key));
        if pattern.is_everything() && self.shared.is_none() {
            self.local.marks().invalidate_all();
        }
        cleared
    }

    /// Deletes the keys at the authority, leases as well; how many counted.
    async fn clear_there(
        &self,
        shared: &Shared<V>,
        pattern: &Pattern,
        allow_stale: bool,
    ) -> Result<u64> {
        let (marks, mut cleared) = (self.local.marks(), 0);
        let mut scan = Scan::new(&shared.authority, pattern.clone());
        while let Some(page) = scan.page(&shared.authority).await? {
            let delete = |met: &Met| Delete { key: met.key.clone(), expect: Expect::Any };
            let deletes: Vec<_> = page.iter().map(delete).collect();
            let counted = self.listed(shared, page, allow_stale).await?;
            for outcome in shared.authority.backend().delete(&deletes).await {
                if let Outcome::Failed(error) | Outcome::Unknown(error) = outcome {
                    return Err(error);
                }
            }
            cleared += counted.len() as u64;
        }
        if pattern.is_everything() {
            // What was written behind the walk is as old as what it met.
            shared.authority.change_epoch(marks, MarkChange::Hard).await?;
        }
        Ok(cleared)
    }
}

const fn is_listed(life: Life, allow_stale: bool) -> bool {
    match life {
        Life::Fresh => true,
        Life::Stale => allow_stale,
        Life::Dead => false,
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Keys<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

const PAGE: usize = 1_000;
