//! A limit: dashmap, a map that never evicts.

use dashmap::DashMap;

use super::{Changing, Contestant, Loading, Settings, Value, fill};
use crate::key::Key;

pub struct Dash<K: Key>(DashMap<K, Value>);

impl<K: Key> Contestant<K> for Dash<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        self.0.get(key).map(|entry| entry.value().clone())
    }
}

impl<K: Key> Changing<K> for Dash<K> {
    fn new(settings: &Settings) -> Self {
        Self(DashMap::with_capacity(settings.capacity))
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        drop(self.0.insert(key, value));
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The loader runs under the lock of its shard.
impl<K: Key> Loading<K> for Dash<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        match self.get(key) {
            Some(value) => value,
            None => self.0.entry(key.to_owned()).or_insert_with(loader).clone(),
        }
    }
}
