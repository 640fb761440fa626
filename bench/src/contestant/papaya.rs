//! A limit: papaya, a map that never evicts.

use papaya::HashMap;

use super::{Changing, Contestant, Loading, Settings, Value, fill};
use crate::key::Key;

pub struct Papaya<K: Key>(HashMap<K, Value>);

impl<K: Key> Contestant<K> for Papaya<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        self.0.pin().get(key).cloned()
    }
}

impl<K: Key> Changing<K> for Papaya<K> {
    fn new(settings: &Settings) -> Self {
        Self(HashMap::with_capacity(settings.capacity))
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        self.0.pin().insert(key, value);
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Several callers may load one key at once.
impl<K: Key> Loading<K> for Papaya<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        let map = self.0.pin();
        match map.get(key) {
            Some(value) => value.clone(),
            None => map.get_or_insert_with(key.to_owned(), loader).clone(),
        }
    }
}
