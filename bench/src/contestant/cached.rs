//! cached: its LRU store for several threads.

use cached::{ShardedLruCache, ShardedLruTtlCache};

use super::{Changing, Contestant, HOUR, Loading, Settings, Value, fill};
use crate::key::Key;

/// The two stores: one with a ttl is another type.
pub enum Cached<K: Key> {
    Plain(ShardedLruCache<K, Value>),
    Ttl(ShardedLruTtlCache<K, Value>),
}

impl<K: Key> Contestant<K> for Cached<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        match self {
            Self::Plain(cache) => cache.get(key),
            Self::Ttl(cache) => cache.get(key),
        }
    }
}

impl<K: Key> Changing<K> for Cached<K> {
    fn new(settings: &Settings) -> Self {
        if settings.ttl {
            Self::Ttl(ShardedLruTtlCache::new(settings.capacity, HOUR))
        } else {
            Self::Plain(ShardedLruCache::new(settings.capacity))
        }
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        match self {
            Self::Plain(cache) => drop(cache.set(key, value)),
            Self::Ttl(cache) => drop(cache.set(key, value)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Plain(cache) => cache.len(),
            Self::Ttl(cache) => cache.len(),
        }
    }
}

/// A load needs a key of its own for each call.
impl<K: Key> Loading<K> for Cached<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        match self {
            Self::Plain(cache) => cache.get_or_set_with(key.to_owned(), loader),
            Self::Ttl(cache) => cache.get_or_set_with(key.to_owned(), loader),
        }
    }
}
