//! Results of a call on many keys.

use std::collections::{HashMap, hash_map};
use std::fmt;
use std::hash::Hash;

use larder_core::{Error, Result};

use crate::lookup::Lookup;
use crate::support::runtime::Slice;

/// Results of a call on many keys, one for each key.
///
/// A key has a result, or it failed, or it is neither: then there was nothing under it.
///
/// ```
/// use larder::Cache;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let cache = Cache::<String, u32>::new(1_000)?;
/// cache.insert_many([("a".to_owned(), 1), ("b".to_owned(), 2)]).await?.into_result()?;
/// let found = cache.get_many(["a", "b", "c"]).await?;
/// assert_eq!((found.len(), found.get("b"), found.get("c")), (2, Some(&2), None));
/// assert!(found.failures().next().is_none());
/// let map = found.into_result()?;
/// assert_eq!(map["a"], 1);
/// # Ok::<_, larder::Error>(())
/// # }).unwrap();
/// ```
#[must_use = "some keys may have failed"]
pub struct Batch<K, T> {
    done: HashMap<K, T>,
    failed: HashMap<K, Error>,
}

impl<K: Hash + Eq, T> Batch<K, T> {
    pub(super) fn new() -> Self {
        Self { done: HashMap::new(), failed: HashMap::new() }
    }

    pub(super) fn add(&mut self, key: K, result: Result<Option<T>>) {
        match result {
            Ok(Some(result)) => drop(self.done.insert(key, result)),
            Ok(None) => {}
            Err(error) => drop(self.failed.insert(key, error)),
        }
    }

    /// Adds the results of more keys.
    pub(super) async fn with(mut self, results: Vec<(K, Result<Option<T>>)>) -> Self {
        let mut slice = Slice::begin();
        for (key, result) in results {
            self.add(key, result);
            slice.pause().await;
        }
        self
    }

    /// The key's result, if there is one.
    #[must_use]
    pub fn get<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Option<&T>
    where
        K: Clone,
    {
        self.done.get(&key.to_key())
    }

    /// The key's error, if the key failed.
    #[must_use]
    pub fn failure<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Option<&Error>
    where
        K: Clone,
    {
        self.failed.get(&key.to_key())
    }

    /// All results, in no particular order.
    #[must_use]
    pub fn iter(&self) -> hash_map::Iter<'_, K, T> {
        self.done.iter()
    }

    /// All keys that failed, in no particular order.
    pub fn failures(&self) -> impl Iterator<Item = (&K, &Error)> {
        self.failed.iter()
    }

    /// Number of keys that have a result.
    #[must_use]
    pub fn len(&self) -> usize {
        self.done.len()
    }

    /// Returns true if no key has a result.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// The results alone; failed keys look like keys without an entry.
    #[must_use]
    pub fn into_map(self) -> HashMap<K, T> {
        self.done
    }

    /// The results, if no key failed.
    ///
    /// # Errors
    /// One of the failures, if there is any.
    pub fn into_result(self) -> Result<HashMap<K, T>> {
        match self.failed.into_values().next() {
            None => Ok(self.done),
            Some(error) => Err(error),
        }
    }
}

impl<K: Hash + Eq, T> IntoIterator for Batch<K, T> {
    type Item = (K, T);
    type IntoIter = hash_map::IntoIter<K, T>;

    /// The results alone.
    fn into_iter(self) -> Self::IntoIter {
        self.done.into_iter()
    }
}

impl<'a, K: Hash + Eq, T> IntoIterator for &'a Batch<K, T> {
    type Item = (&'a K, &'a T);
    type IntoIter = hash_map::Iter<'a, K, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, T> fmt::Debug for Batch<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("done", &self.done.len())
            .field("failed", &self.failed.len())
            .finish_non_exhaustive()
    }
}
