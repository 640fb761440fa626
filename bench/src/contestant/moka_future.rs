//! `moka::future::Cache`.

use moka::future::Cache;

use super::{Changing, Contestant, HOUR, Loading, Settings, Value, fill, now};
use crate::key::Key;

pub struct MokaFuture<K: Key>(Cache<K, Value>);

impl<K: Key> Contestant<K> for MokaFuture<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        now(self.0.get(key))
    }
}

impl<K: Key> Changing<K> for MokaFuture<K> {
    fn new(settings: &Settings) -> Self {
        let mut builder = Cache::builder().max_capacity(settings.capacity as u64);
        if settings.ttl {
            builder = builder.time_to_live(HOUR);
        }
        if settings.listener {
            builder = builder.eviction_listener(|_, value, _| drop(std::hint::black_box(value)));
        }
        Self(builder.build())
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        now(self.0.insert(key, value));
    }

    fn len(&self) -> usize {
        now(self.0.run_pending_tasks());
        self.0.entry_count() as usize
    }
}

impl<K: Key> Loading<K> for MokaFuture<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        now(self.0.get_with_by_ref(key, async { loader() }))
    }
}
