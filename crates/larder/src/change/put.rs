//! New values where the local tier is the authority.

use larder_core::Version;

use crate::inner::Inner;
use crate::key::CacheKey;
use crate::options::{Settings, Ttl};
use crate::support::random;
use crate::tier::freshness::lives;
use crate::tier::held::{Held, Looked, Note};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// A value as an insert makes it, where the local tier is the authority.
    pub(super) fn born(&self, settings: &Settings, held: Held<V>) -> Looked<V> {
        let now = self.now();
        let lives = lives(settings, Ttl::Default, now, random::unit);
        let seen = self.local.marks().see(settings.tags());
        Looked::new(held, Note::new(Version::NONE, now), now, lives, seen).with_refresh(settings)
    }

    /// Puts a value, cutting the key's flight; one without a life takes away what is there.
    pub(super) fn put_here(&self, key: &K, looked: Looked<V>) {
        let (hash, draft) = (self.local.hash(key), self.draft(key, looked));
        let put = || self.local.put(hash, key.clone(), draft);
        let dropped = self.flights.change(hash, key, put);
        drop(dropped);
    }

    /// Puts a value if what is there is wanted so, under the key's stripe; whether it did.
    pub(super) fn put_where(
        &self,
        key: &K,
        settings: &Settings,
        held: Held<V>,
        wanted: impl Fn(Option<&V>) -> bool,
    ) -> bool {
        let hash = self.local.hash(key);
        // What is not put is dropped out here, where its end may call the cache.
        let mut draft = Some(self.draft(key, self.born(settings, held)));
        let wanted = |there: Option<&Held<V>>| match there {
            Some(Held::Value(value)) => wanted(Some(value)),
            _ => wanted(None),
        };
        let put = || self.local.put_if(hash, key, &mut draft, settings.tags(), wanted);
        self.flights.change_if(hash, key, put).is_some()
    }
}
