//! foyer's memory tier with the policy that it chooses. It has no ttl.

use foyer_memory::{Cache, CacheBuilder};

use super::{Changing, Contestant, Loading, Settings, Value, fill, now};
use crate::key::Key;

pub struct Foyer<K: Key>(Cache<K, Value>);

impl<K: Key> Contestant<K> for Foyer<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        self.0.get(key).map(|entry| entry.value().clone())
    }
}

impl<K: Key> Changing<K> for Foyer<K> {
    fn new(settings: &Settings) -> Self {
        Self(CacheBuilder::new(settings.capacity).build())
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        drop(self.0.insert(key, value));
    }

    fn len(&self) -> usize {
        self.0.entries()
    }
}

impl<K: Key> Loading<K> for Foyer<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        let fetch = || async move { Ok::<_, std::io::Error>(loader()) };
        now(self.0.get_or_fetch(key, fetch)).expect("the load succeeds").value().clone()
    }
}
