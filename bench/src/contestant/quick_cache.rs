//! quick_cache. It has no ttl.

use quick_cache::sync::Cache;

use super::{Changing, Contestant, Loading, Settings, Value, fill};
use crate::key::Key;

pub struct QuickCache<K: Key>(Cache<K, Value>);

impl<K: Key> Contestant<K> for QuickCache<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        self.0.get(key)
    }
}

impl<K: Key> Changing<K> for QuickCache<K> {
    fn new(settings: &Settings) -> Self {
        Self(Cache::new(settings.capacity))
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        self.0.insert(key, value);
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<K: Key> Loading<K> for QuickCache<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        self.0.get_or_insert_with(key, || Ok::<_, ()>(loader())).expect("the load succeeds")
    }
}
