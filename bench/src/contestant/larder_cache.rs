//! `larder::Cache`, without a backend.

use larder::{Cache, Options};

use super::{Changing, Contestant, HOUR, Loading, Settings, Value, fill, now};
use crate::key::Key;

pub struct LarderCache<K: Key>(Cache<K, Value>);

impl<K: Key> Contestant<K> for LarderCache<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        now(self.0.get(key)).expect("it is open")
    }
}

impl<K: Key> Changing<K> for LarderCache<K> {
    fn new(settings: &Settings) -> Self {
        let mut options = Options::new();
        if settings.ttl {
            options = options.ttl(HOUR);
        }
        if settings.tag {
            options = options.tags(["tag"]);
        }
        let mut builder = Cache::builder().capacity(settings.capacity as u64).defaults(options);
        if settings.listener {
            builder = builder.listener(|_, value, _| {
                std::hint::black_box(value);
            });
        }
        Self(builder.build().expect("the settings are valid"))
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        now(self.0.insert(key, value)).expect("it is open");
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<K: Key> Loading<K> for LarderCache<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        now(self.0.get_with(key, || async { loader() })).expect("the load succeeds")
    }
}
