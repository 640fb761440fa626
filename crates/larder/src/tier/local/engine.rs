//! The bounded map under the local tier.
//!
//! A narrow interface to `quick_cache`, so that another engine could take its place: find, put,
//! swap, remove on a condition, walk, weigh. Placeholders, `retain` and `clear` are never used: all
//! of them hold a shard's lock for long or cost more than a put.
//!
//! A key is stored with its hash, which the callers have computed already; the expiry wheel can
//! then have hashes alone. Weights are at least one and fit a shard, which the callers ensure: the
//! engine would never evict the weightless and would drop the too heavy in silence.

use std::cell::RefCell;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use equivalent::Equivalent;
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use crate::tier::local::stored_key::{
    ByHash, COPIED, ChangeKey, Copying, LookupKey, PassThrough, StoredKey, postponed_panic,
};

/// The weight of a slot, for the engine.
pub(crate) trait Weigh {
    /// Returns the weight: at least one, at most [`Engine::max_weight`].
    fn weight(&self) -> u32;
}

/// A bounded map from `K` to slots. Finding clones the slot under the shard's lock.
pub(crate) struct Engine<K, S> {
    cache: Cache<StoredKey<K>, S, ByWeight, PassThrough, Watch>,
    max_weight: u64,
}

/// The size that an engine is built for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The largest sum of weights.
    pub(crate) capacity: u64,
    /// The number of entries that are expected.
    pub(crate) entries: u64,
    /// The largest weight that is expected of one entry.
    pub(crate) largest: u64,
}

/// The entries that a put has displaced.
pub(crate) struct Outgoing<K, S> {
    /// The entry that was under the same key.
    pub(crate) replaced: Option<(K, S)>,
    /// The entry evicted for the new one. Mostly there is only one, for which nothing is allocated.
    evicted: Option<(K, S)>,
    more: Vec<(K, S)>,
    evicting: bool,
}

impl<K, S> Outgoing<K, S> {
    /// Returns the entries that were evicted for the new one.
    pub(crate) fn into_evicted(self) -> impl Iterator<Item = (K, S)> {
        self.evicted.into_iter().chain(self.more)
    }
}

impl<K: Hash + Eq, S: Clone + Weigh> Engine<K, S> {
    pub(crate) fn new(shape: Shape) -> Self {
        let shards = shape.shards();
        // The part is rounded down, so that the parts never add up to more than the capacity.
        let part = (shape.capacity / shards).max(1);
        let options = OptionsBuilder::new()
            .shards(usize::try_from(shards).unwrap_or(1))
            .estimated_items_capacity(usize::try_from(shape.entries).unwrap_or(usize::MAX))
            .weight_capacity(part.saturating_mul(shards))
            .hot_allocation(HOT_SHARE)
            .build()
            .expect("both capacities are set");
        let cache = Cache::with_options(options, ByWeight, PassThrough, Watch);
        Self { cache, max_weight: max_weight(part) }
    }

    /// The largest weight that one entry may have.
    pub(crate) const fn max_weight(&self) -> u64 {
        self.max_weight
    }

    /// Returns the slot, and counts a use.
    #[inline]
    pub(crate) fn get<Q>(&self, hash: u64, key: &Q) -> Option<S>
    where
        Q: ?Sized + Equivalent<K>,
    {
        self.cache.get(&LookupKey { hash, key })
    }

    /// Counts a use of the entry under this hash.
    pub(crate) fn touch(&self, hash: u64) {
        drop(self.cache.get(&ByHash::nth(hash, 0)));
    }

    /// Returns the slot without counting a use.
    pub(crate) fn peek<Q>(&self, hash: u64, key: &Q) -> Option<S>
    where
        Q: ?Sized + Equivalent<K>,
    {
        self.cache.peek(&LookupKey { hash, key })
    }

    /// Calls `look` with the slot itself, under the shard's exclusive lock, without counting a use.
    pub(crate) fn view<Q, R>(&self, hash: u64, key: &Q, look: impl FnOnce(&S) -> R) -> Option<R>
    where
        Q: ?Sized + Equivalent<K>,
    {
        let mut answer = None;
        let kept = self.cache.remove_if(&ChangeKey { hash, key }, |slot| {
            // A look copies the user's value: a panic must not poison the lock.
            answer = Some(catch_unwind(AssertUnwindSafe(|| look(slot))));
            false
        });
        debug_assert!(kept.is_none());
        go_on_with_panic();
        answer.map(|answer| answer.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    pub(crate) fn put(&self, hash: u64, key: K, slot: S) -> Outgoing<K, S> {
        let mut outgoing = Outgoing::default();
        self.cache.insert_with_lifecycle(StoredKey { hash, key }, slot, &mut outgoing);
        if let Some(panic) = postponed_panic() {
            // The key may be there twice now: as it was, and as it was to be.
            self.remove_dead(hash, |_| true, |_, _| ());
            resume_unwind(panic);
        }
        outgoing
    }

    /// Puts only if the key is there now, without counting a use. The slot comes back if not.
    pub(crate) fn swap(&self, hash: u64, key: K, slot: S) -> Result<Outgoing<K, S>, (K, S)> {
        let mut outgoing = Outgoing::default();
        let stored = StoredKey { hash, key };
        let replaced = self.cache.replace_with_lifecycle(stored, slot, true, &mut outgoing);
        go_on_with_panic();
        match replaced {
            Ok(()) => Ok(outgoing),
            Err((stored, slot)) => Err((stored.key, slot)),
        }
    }

    pub(crate) fn remove<Q>(&self, hash: u64, key: &Q) -> Option<(K, S)>
    where
        Q: ?Sized + Equivalent<K>,
    {
        let removed = self.cache.remove_if(&ChangeKey { hash, key }, |_| true);
        go_on_with_panic();
        removed.map(|(stored, slot)| (stored.key, slot))
    }

    /// Calls `is_dead` with each slot with this hash, one lock each, and gives the dead ones to
    /// `take`.
    pub(crate) fn remove_dead(
        &self,
        hash: u64,
        mut is_dead: impl FnMut(&S) -> bool,
        mut take: impl FnMut(K, S),
    ) {
        // There is nearly always one slot. Slots of colliding keys are told apart by their place,
        // which stays while nothing is removed before them.
        let mut place = 0;
        loop {
            match self.cache.remove_if(&ByHash::nth(hash, place), &mut is_dead) {
                Some((stored, slot)) => take(stored.key, slot),
                None => place += 1,
            }
            if !self.cache.contains_key(&ByHash::nth(hash, place)) {
                return;
            }
        }
    }

    /// Returns copies of all keys with this hash: there is nearly always one.
    pub(crate) fn keys_by_hash(&self, hash: u64) -> Vec<K>
    where
        K: Clone,
    {
        let asked = Copying { hash, keys: RefCell::default() };
        let found = self.cache.contains_key(&asked);
        debug_assert!(!found);
        asked.keys.into_inner()
    }

    /// Walks over copies of the slots with their keys' hashes, with no lock held between two.
    ///
    /// A slot that is there all the while is met.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (u64, S)>
    where
        K: Clone,
    {
        self.cache.iter().map(|(stored, slot)| (stored.hash, slot))
    }

    /// Like [`slots`](Self::slots), over the hashes alone. A key or a value that panics when it is
    /// copied or dropped does not stop the walk.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64>
    where
        K: Clone,
    {
        let mut entries = self.cache.iter();
        std::iter::from_fn(move || {
            // The engine moves on before it copies, and a key's copy first notes the hash.
            let step = AssertUnwindSafe(|| entries.next().is_some());
            match catch_unwind(step) {
                Ok(false) => None,
                Ok(true) | Err(_) => Some(COPIED.get()),
            }
        })
    }

    /// Like [`slots`](Self::slots), over copies of the keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u64, K)>
    where
        K: Clone,
    {
        self.cache.iter().map(|(stored, _)| (stored.hash, stored.key))
    }

    /// Allocates for this many more entries at once.
    pub(crate) fn reserve(&self, entries: usize) {
        self.cache.reserve(entries);
    }

    /// The largest sum of weights.
    pub(crate) fn capacity(&self) -> u64 {
        self.cache.capacity()
    }

    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.cache.weight()
    }
}

/// Lets the panic of a comparison go on, under no lock.
fn go_on_with_panic() {
    if let Some(panic) = postponed_panic() {
        resume_unwind(panic);
    }
}

impl Shape {
    /// Returns the number of shards: a power of two that depends on nothing but the shape. The same
    /// program evicts the same entries on four cores and on sixty-four.
    fn shards(self) -> u64 {
        let is_roomy = |shards: &u64| {
            self.entries / shards >= MIN_SHARD_ENTRIES
                && self.capacity / shards >= self.largest.saturating_mul(MIN_SHARD_LARGEST)
        };
        [16, 8, 4, 2].into_iter().find(is_roomy).unwrap_or(1)
    }
}

/// Returns the largest weight that the engine admits to a shard of this size without dropping it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the engine reckons its limit so, and ours must not be above"
)]
fn max_weight(part: u64) -> u64 {
    ((part as f64 * HOT_SHARE) as u64).clamp(1, part)
}

impl<K, S> Default for Outgoing<K, S> {
    fn default() -> Self {
        Self { replaced: None, evicted: None, more: Vec::new(), evicting: false }
    }
}

#[derive(Clone, Copy)]
struct ByWeight;

impl<K, S: Weigh> Weighter<StoredKey<K>, S> for ByWeight {
    fn weight(&self, _: &StoredKey<K>, slot: &S) -> u64 {
        u64::from(slot.weight())
    }
}

/// Tells a replacement from an eviction, which the engine reports alike: only an eviction is
/// announced first.
#[derive(Clone, Copy)]
struct Watch;

impl<K, S> Lifecycle<StoredKey<K>, S> for Watch {
    type RequestState = Outgoing<K, S>;

    fn before_evict(&self, outgoing: &mut Outgoing<K, S>, _: &StoredKey<K>, _: &mut S) {
        outgoing.evicting = true;
    }

    fn on_evict(&self, outgoing: &mut Outgoing<K, S>, stored: StoredKey<K>, slot: S) {
        let left = (stored.key, slot);
        if !std::mem::take(&mut outgoing.evicting) {
            outgoing.replaced = Some(left);
        } else if outgoing.evicted.is_none() {
            outgoing.evicted = Some(left);
        } else {
            outgoing.more.push(left);
        }
    }
}

/// The share of the capacity that proven entries may take; the engine's own default.
const HOT_SHARE: f64 = 0.97;
const MIN_SHARD_ENTRIES: u64 = 256;
const MIN_SHARD_LARGEST: u64 = 8;

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::{Engine, Shape, Weigh};

    #[derive(Clone, Debug, PartialEq)]
    struct Slot(u32, u32);

    impl Weigh for Slot {
        fn weight(&self) -> u32 {
            self.0
        }
    }

    fn engine(capacity: u64) -> Engine<u64, Slot> {
        Engine::new(Shape { capacity, entries: capacity, largest: 1 })
    }

    #[test]
    fn shards_follow_the_shape_alone_and_never_exceed_the_capacity() {
        let shards = |capacity, entries, largest| Shape { capacity, entries, largest }.shards();
        assert_eq!(shards(100, 100, 1), 1);
        assert_eq!(shards(1_001, 1_001, 1), 2);
        assert_eq!(shards(100_000, 100_000, 1), 16);
        assert_eq!(shards(1 << 30, 1 << 20, 1 << 26), 2);
        assert_eq!(shards(u64::MAX, u64::MAX, u64::MAX), 1);
    }

    /// The shard is chosen by bits from the middle of a hash. foldhash's fast form leaves these bits
    /// nearly the same for keys in order, with each of the first eight seeds here.
    #[test]
    fn keys_in_order_fill_all_shards_whatever_the_seed() {
        for seed in
            [1_967, 3_657, 4_396, 4_773, 6_479, 9_605, 11_262, 11_816].into_iter().chain(0..100)
        {
            let shared = Box::leak(Box::new(foldhash::SharedSeed::from_u64(seed)));
            let own = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let hasher = foldhash::quality::SeedableRandomState::with_seed(own, shared);
            let engine = engine(2_000);
            for key in 0..1_000_u64 {
                engine.put(hasher.hash_one(key), key, Slot(1, 0));
            }
            assert_eq!(engine.len(), 1_000, "seed {seed}");
        }
    }

    #[test]
    fn replaced_and_evicted_are_told_apart_even_under_one_hash() {
        let engine = engine(2);
        assert!(engine.put(7, 1, Slot(1, 10)).replaced.is_none());
        let outgoing = engine.put(7, 1, Slot(1, 11));
        assert_eq!(outgoing.replaced, Some((1, Slot(1, 10))));
        assert_eq!(outgoing.into_evicted().count(), 0);
        engine.put(7, 2, Slot(1, 20));
        let outgoing = engine.put(7, 3, Slot(1, 30));
        assert!(outgoing.replaced.is_none());
        assert_eq!(outgoing.into_evicted().count(), 1);
    }

    #[test]
    fn all_keys_of_one_hash_are_shown_once_each() {
        let engine = engine(100);
        for key in 0..10 {
            engine.put(7, key, Slot(1, u32::try_from(key).unwrap()));
        }
        let mut shown = 0;
        let mut taken = Vec::new();
        let is_odd = |slot: &Slot| {
            shown += 1;
            slot.1 % 2 == 1
        };
        engine.remove_dead(7, is_odd, |key, _| taken.push(key));
        taken.sort_unstable();
        assert_eq!((shown, taken), (10, vec![1, 3, 5, 7, 9]));
        assert_eq!(engine.len(), 5);
    }

    #[test]
    fn all_keys_are_found_by_their_hash_alone() {
        let engine = engine(100);
        for key in 0..10 {
            engine.put(key, key, Slot(1, u32::try_from(key).unwrap()));
            engine.put(70, 70 + key, Slot(1, u32::try_from(70 + key).unwrap()));
        }
        assert_eq!(engine.keys_by_hash(3), [3]);
        let mut many = engine.keys_by_hash(70);
        many.sort_unstable();
        assert_eq!(many, (70..80).collect::<Vec<_>>());
        assert_eq!(engine.keys_by_hash(77), [0; 0]);
        assert_eq!(engine.slots().count(), 20);
    }

    #[test]
    fn a_walk_over_hashes_meets_all_whatever_a_copy_or_its_end_does() {
        struct Bad(u32);

        impl Clone for Bad {
            fn clone(&self) -> Self {
                assert!(!self.0.is_multiple_of(3), "a copy fails");
                Self(self.0)
            }
        }

        impl Drop for Bad {
            fn drop(&mut self) {
                assert!(std::thread::panicking() || self.0 % 3 != 1, "the end of a copy fails");
            }
        }

        impl Weigh for Bad {
            fn weight(&self) -> u32 {
                1
            }
        }

        let engine = Engine::new(Shape { capacity: 100, entries: 100, largest: 1 });
        for key in 0..20 {
            engine.put(key, key, Bad(u32::try_from(key).unwrap()));
        }
        let mut hashes: Vec<u64> = engine.hashes().collect();
        hashes.sort_unstable();
        assert_eq!(hashes, (0..20).collect::<Vec<_>>());
        // The drops of the engine's own values would fail as well.
        std::mem::forget(engine);
    }

    #[test]
    fn swapping_changes_only_what_is_there() {
        let engine = engine(100);
        assert!(engine.swap(1, 1, Slot(1, 1)).is_err());
        engine.put(1, 1, Slot(1, 1));
        assert!(engine.swap(1, 1, Slot(1, 2)).is_ok());
        assert_eq!(engine.peek(1, &1), Some(Slot(1, 2)));
        assert_eq!(engine.view(1, &1, |slot| slot.1), Some(2));
    }
}
