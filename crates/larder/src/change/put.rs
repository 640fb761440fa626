//! New values where the local tier is the authority.

use larder_core::Version;

use crate::inner::Inner;
use crate::key::CacheKey;
use crate::options::{Settings, Ttl};
use crate::support::random;
use crate::tier::entry::{Content, Entry, Metadata};
use crate::tier::freshness::lives;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Makes the entry of an inserted value, where the local tier is the authority.
    pub(super) fn born(&self, settings: &Settings, content: Content<V>) -> Entry<V> {
        let now = self.now();
        let lives = lives(settings, Ttl::Default, now, random::unit);
        let generation = self.local.marks().see(settings.tags());
        Entry::new(content, Metadata::new(Version::NONE, now), now, lives, generation)
            .with_refresh(settings)
    }

    /// Puts a value, removing the key's flight from the table. A value without a life removes the
    /// entry that is there.
    pub(super) fn put_here(&self, key: &K, entry: Entry<V>) {
        let (hash, candidate) = (self.local.hash(key), self.candidate(key, entry));
        let put = || self.local.put(hash, key.clone(), candidate);
        let dropped = self.flights.change(hash, key, put);
        drop(dropped);
    }

    /// Puts a value if `wanted` accepts the fresh value that is there, or none. Holds the key's
    /// stripe lock. Returns true if it put the value.
    pub(super) fn put_where(
        &self,
        key: &K,
        settings: &Settings,
        content: Content<V>,
        wanted: impl Fn(Option<&V>) -> bool,
    ) -> bool {
        let hash = self.local.hash(key);
        // A value that is not put is dropped outside the lock, where its end may call the cache.
        let mut candidate = Some(self.candidate(key, self.born(settings, content)));
        let wanted = |there: Option<&Content<V>>| match there {
            Some(Content::Value(value)) => wanted(Some(value)),
            _ => wanted(None),
        };
        let put = || self.local.put_if(hash, key, &mut candidate, settings.tags(), wanted);
        self.flights.change_if(hash, key, put).is_some()
    }
}
