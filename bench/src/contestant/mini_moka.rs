//! mini-moka. It runs no loaders.

use mini_moka::sync::{Cache, ConcurrentCacheExt};

use super::{Changing, Contestant, HOUR, Settings, Value, fill};
use crate::key::Key;

pub struct MiniMoka<K: Key>(Cache<K, Value>);

impl<K: Key> Contestant<K> for MiniMoka<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    /// A `String` is found only by a `String`, so a caller with a `str` must make one.
    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        self.0.get(&key.to_owned())
    }
}

impl<K: Key> Changing<K> for MiniMoka<K> {
    fn new(settings: &Settings) -> Self {
        let mut builder = Cache::builder().max_capacity(settings.capacity as u64);
        if settings.ttl {
            builder = builder.time_to_live(HOUR);
        }
        Self(builder.build())
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        self.0.insert(key, value);
    }

    fn len(&self) -> usize {
        self.0.sync();
        self.0.entry_count() as usize
    }
}
