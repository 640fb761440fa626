//! The contestants by their names. Inside a visitor the compiler knows all types.

use super::cached::Cached;
use super::dashmap::Dash;
use super::foyer::Foyer;
use super::frozen::Frozen;
use super::larder_cache::LarderCache;
use super::larder_local::LarderLocal;
use super::lru::Lru;
use super::mini_moka::MiniMoka;
use super::moka_future::MokaFuture;
use super::moka_sync::MokaSync;
use super::papaya::Papaya;
use super::quick_cache::QuickCache;
use super::{Changing, Contestant, Loading};
use crate::key::Key;

/// The role of a contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The contestant is ours.
    Larder,
    /// The contestant is a cache that a user would choose instead.
    Peer,
    /// The contestant is a map, which shows the limit without the work of a cache.
    Limit,
}

/// The properties of a contestant.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The name, as it is written.
    pub name: &'static str,
    /// The role of the contestant.
    pub role: Role,
    /// True if entries can have a ttl.
    pub has_ttl: bool,
    /// True if a listener can be called for evicted entries.
    pub has_listener: bool,
    /// The ability of the contestant.
    pub ability: Ability,
}

/// The ability of a contestant. Each one includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// The contestant can be read.
    Answers,
    /// The contestant can be written to.
    Changes,
    /// The contestant runs loaders.
    Loads,
}

impl Known {
    /// True if the contestant can be written to.
    pub fn changes(&self) -> bool {
        self.ability >= Ability::Changes
    }

    /// True if the contestant runs loaders.
    pub fn loads(&self) -> bool {
        self.ability >= Ability::Loads
    }
}

/// All contestants, in the order of tables.
pub const KNOWN: [Known; 12] = [
    Known { has_ttl: true, has_listener: true, ..of("larder-local", Role::Larder) },
    Known { has_ttl: true, has_listener: true, ..of("larder-cache", Role::Larder) },
    of("quick_cache", Role::Peer),
    Known { has_ttl: true, has_listener: true, ..of("moka", Role::Peer) },
    Known { has_ttl: true, has_listener: true, ..of("moka-future", Role::Peer) },
    of("foyer", Role::Peer),
    Known { has_ttl: true, ability: Ability::Changes, ..of("mini-moka", Role::Peer) },
    Known { has_ttl: true, ..of("cached", Role::Peer) },
    of("lru", Role::Peer),
    of("papaya", Role::Limit),
    of("dashmap", Role::Limit),
    Known { ability: Ability::Answers, ..of("frozen", Role::Limit) },
];

const fn of(name: &'static str, role: Role) -> Known {
    Known { name, role, has_ttl: false, has_listener: false, ability: Ability::Loads }
}

/// Returns the contestant of this name.
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// A visitor of a contestant that can be read.
pub trait VisitAny<K: Key> {
    /// The result of the visit.
    type Output;
    /// Visits the contestant.
    fn visit<C: Contestant<K>>(self) -> Self::Output;
}

/// A visitor of a contestant that can be written to.
pub trait VisitChanging<K: Key> {
    /// The result of the visit.
    type Output;
    /// Visits the contestant.
    fn visit<C: Changing<K>>(self) -> Self::Output;
}

/// A visitor of a contestant that runs loaders.
pub trait VisitLoading<K: Key> {
    /// The result of the visit.
    type Output;
    /// Visits the contestant.
    fn visit<C: Loading<K>>(self) -> Self::Output;
}

/// Visits the contestant of this name; none if there is none.
pub fn visit_any<K: Key, V: VisitAny<K>>(name: &str, visitor: V) -> Option<V::Output> {
    struct Changes<V>(V);
    impl<K: Key, V: VisitAny<K>> VisitChanging<K> for Changes<V> {
        type Output = V::Output;
        fn visit<C: Changing<K>>(self) -> V::Output {
            self.0.visit::<C>()
        }
    }
    match name {
        "frozen" => Some(visitor.visit::<Frozen<K>>()),
        _ => visit_changing(name, Changes(visitor)),
    }
}

/// Visits the contestant of this name; none if there is none that can be written to.
pub fn visit_changing<K: Key, V: VisitChanging<K>>(name: &str, visitor: V) -> Option<V::Output> {
    struct Loads<V>(V);
    impl<K: Key, V: VisitChanging<K>> VisitLoading<K> for Loads<V> {
        type Output = V::Output;
        fn visit<C: Loading<K>>(self) -> V::Output {
            self.0.visit::<C>()
        }
    }
    match name {
        "mini-moka" => Some(visitor.visit::<MiniMoka<K>>()),
        _ => visit_loading(name, Loads(visitor)),
    }
}

/// Visits the contestant of this name; none if there is none that runs loaders.
pub fn visit_loading<K: Key, V: VisitLoading<K>>(name: &str, visitor: V) -> Option<V::Output> {
    Some(match name {
        "larder-local" => visitor.visit::<LarderLocal<K>>(),
        "larder-cache" => visitor.visit::<LarderCache<K>>(),
        "quick_cache" => visitor.visit::<QuickCache<K>>(),
        "moka" => visitor.visit::<MokaSync<K>>(),
        "moka-future" => visitor.visit::<MokaFuture<K>>(),
        "foyer" => visitor.visit::<Foyer<K>>(),
        "cached" => visitor.visit::<Cached<K>>(),
        "lru" => visitor.visit::<Lru<K>>(),
        "papaya" => visitor.visit::<Papaya<K>>(),
        "dashmap" => visitor.visit::<Dash<K>>(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Changing, Contestant, Loading, RUNTIME, Settings, value};
    use super::{KNOWN, VisitAny, VisitChanging, VisitLoading};
    use super::{visit_any, visit_changing, visit_loading};
    use crate::key::{Key, numbered};

    struct FindsAll;
    impl<K: Key> VisitAny<K> for FindsAll {
        type Output = bool;
        fn visit<C: Contestant<K>>(self) -> bool {
            let keys = numbered::<K>(100);
            let entries = keys.iter().cloned().zip((0..).map(value));
            let contestant = C::filled(&Settings::plain(1_000), entries);
            let found = |(seed, key): (u64, &K)| {
                contestant.get(key.borrow()).is_some_and(|value| u64::from(value[0]) == seed)
            };
            (0..).zip(&keys).all(found) && contestant.get(K::numbered(100).borrow()).is_none()
        }
    }

    struct Keeps;
    impl<K: Key> VisitChanging<K> for Keeps {
        type Output = usize;
        fn visit<C: Changing<K>>(self) -> usize {
            let full = Settings { ttl: true, tag: true, listener: true, ..Settings::plain(1_000) };
            let contestant = C::new(&full);
            contestant.insert(K::numbered(1), value(1));
            contestant.len()
        }
    }

    struct LoadsOnce;
    impl<K: Key> VisitLoading<K> for LoadsOnce {
        type Output = (u8, u8);
        fn visit<C: Loading<K>>(self) -> (u8, u8) {
            let _entered = RUNTIME.enter();
            let contestant = C::new(&Settings::plain(1_000));
            let key = K::numbered(1);
            let first = contestant.get_or_load(key.borrow(), || value(1));
            let second = contestant.get_or_load(key.borrow(), || value(2));
            (first[0], second[0])
        }
    }

    #[test]
    fn every_contestant_does_what_is_said_of_it() {
        for known in KNOWN {
            let name = known.name;
            assert_eq!(visit_any::<u64, _>(name, FindsAll), Some(true), "{name}");
            assert_eq!(visit_any::<String, _>(name, FindsAll), Some(true), "{name}");
            let kept = known.changes().then_some(1);
            assert_eq!(visit_changing::<u64, _>(name, Keeps), kept, "{name}");
            let loaded = known.loads().then_some((1, 1));
            assert_eq!(visit_loading::<String, _>(name, LoadsOnce), loaded, "{name}");
        }
        assert_eq!(visit_any::<u64, _>("nobody", FindsAll), None);
    }
}
