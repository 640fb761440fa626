//! lru behind a mutex. It has no ttl.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::{Changing, Contestant, Loading, Settings, Value, fill};
use crate::key::Key;

pub struct Lru<K: Key>(Mutex<LruCache<K, Value>>);

impl<K: Key> Lru<K> {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, LruCache<K, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key> Contestant<K> for Lru<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        self.lock().get(key).cloned()
    }
}

impl<K: Key> Changing<K> for Lru<K> {
    fn new(settings: &Settings) -> Self {
        let capacity = NonZeroUsize::new(settings.capacity).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(capacity)))
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        // The evicted value is freed after the lock.
        let _left = self.lock().push(key, value);
    }

    fn len(&self) -> usize {
        self.lock().len()
    }
}

/// The loader runs under the lock, so all others wait for it.
impl<K: Key> Loading<K> for Lru<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        self.lock().get_or_insert_ref(key, loader).clone()
    }
}
