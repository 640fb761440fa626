//! `larder::LocalCache`.

use larder::{EntryOptions, LocalCache};

use super::{Changing, Contestant, HOUR, Loading, Settings, Value, fill};
use crate::key::Key;

pub struct LarderLocal<K: Key> {
    cache: LocalCache<K, Value>,
    has_tag: bool,
}

impl<K: Key> Contestant<K> for LarderLocal<K> {
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self {
        fill(settings, entries)
    }

    #[inline]
    fn get(&self, key: &K::Asked) -> Option<Value> {
        self.cache.get(key)
    }
}

impl<K: Key> Changing<K> for LarderLocal<K> {
    fn new(settings: &Settings) -> Self {
        let mut builder = LocalCache::builder().capacity(settings.capacity as u64);
        if settings.ttl {
            builder = builder.ttl(HOUR);
        }
        if settings.listener {
            builder = builder.listener(|_, value, _| {
                std::hint::black_box(value);
            });
        }
        Self { cache: builder.build().expect("the settings are valid"), has_tag: settings.tag }
    }

    #[inline]
    fn insert(&self, key: K, value: Value) {
        if self.has_tag {
            self.cache.insert_with(key, value, EntryOptions::new().tags(["tag"]));
        } else {
            self.cache.insert(key, value);
        }
    }

    fn len(&self) -> usize {
        self.cache.len()
    }
}

/// A loaded value has no tag: options would be made for each call, and only a load needs them.
impl<K: Key> Loading<K> for LarderLocal<K> {
    #[inline]
    fn get_or_load(
        &self,
        key: &K::Asked,
        loader: impl FnOnce() -> Value + Send + 'static,
    ) -> Value {
        self.cache.get_with(key, loader)
    }
}
