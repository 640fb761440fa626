//! The prototype of an engine of our own, with one of its policies.

use super::{Changing, Contestant, Settings, Value, fill};
use crate::key::Key;
use crate::prototype::{Eviction, OwnCache};

pub struct Own<K: Key, E>(OwnCache<K, Value, E>);

impl<K: Key, E: Eviction + Send> Contestant<K> for Own<K, E> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        self.0.get(key)
    }
}

impl<K: Key, E: Eviction + Send> Changing<K> for Own<K, E> {
    fn new(settings: &Settings) -> Self {
        Self(OwnCache::new(settings.capacity))
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        self.0.insert(key, value);
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}
