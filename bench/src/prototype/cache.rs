//! The cache: a concurrent map for lookups, and policies that only writes wait for.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use papaya::{Equivalent, Guard, HashMap};

use super::body::{Entries, MOST_HITS};
use super::marks::PassThrough;
use super::{Eviction, is_sampled};

/// A bounded map that many threads read at once.
///
/// A hit takes no lock and writes at most to its entry, and there only while it has fewer hits than
/// are told apart. Of the keys that the policy samples, hits are told to it as well, if its lock is
/// free and the cache has evicted lately; else they are lost, which a sample can bear.
///
/// What is written under a key happens under the lock of the key's shard, so that the map and the
/// policy agree on what there is; removing needs no lock, as a policy knows that entries may be gone.
pub struct OwnCache<K, V, E> {
    map: HashMap<Stored<K>, Slot<V>, PassThrough>,
    shards: Box<[Shard<E>]>,
    hasher: foldhash::fast::RandomState,
    one_in: Option<u64>,
}

/// A policy for a part of the hashes. Aligned, so that two shards share no cache line.
#[repr(align(128))]
struct Shard<E> {
    eviction: Mutex<Counted<E>>,
    /// Whether it has evicted since about as many sampled lookups as it has entries.
    evicts: AtomicBool,
}

struct Counted<E> {
    eviction: E,
    /// How many more sampled lookups are worth telling.
    heard: usize,
    capacity: usize,
}

impl<K, V, E> OwnCache<K, V, E>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Eviction,
{
    /// An empty one for so many entries.
    pub fn new(capacity: usize) -> Self {
        let count = [16, 8, 4, 2].into_iter().find(|count| capacity / count >= SMALLEST_SHARD);
        let count = count.unwrap_or(1);
        // Rounded down, so that the parts never add up to more than the capacity.
        let part = (capacity / count).max(1);
        let shards: Box<[Shard<E>]> = (0..count).map(|_| Shard::new(part)).collect();
        let one_in = shards.first().and_then(|shard| shard.lock().eviction.one_in());
        Self {
            map: HashMap::with_capacity_and_hasher(capacity, PassThrough),
            shards,
            hasher: foldhash::fast::RandomState::default(),
            one_in,
        }
    }

    /// The value of a key.
    #[inline]
    pub fn get<Q: ?Sized + Hash + Equivalent<K>>(&self, key: &Q) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let guard = self.map.guard();
        let slot = self.map.get(&Asked { hash, key }, &guard);
        if self.one_in.is_some_and(|one_in| is_sampled(hash, one_in)) {
            self.sample(hash, slot.is_some());
        }
        let slot = slot?;
        let hits = slot.hits.load(Ordering::Relaxed);
        if hits < MOST_HITS {
            // Two that do this at once count as one, which does no harm.
            slot.hits.store(hits + 1, Ordering::Relaxed);
        }
        Some(slot.value.clone())
    }

    /// Puts a value under a key, in the place of what was there.
    pub fn insert(&self, key: K, value: V) {
        let hash = self.hasher.hash_one(&key);
        let shard = self.shard(hash);
        let guard = self.map.guard();
        let mut counted = shard.lock();
        let slot = Slot { value, hits: AtomicU8::new(0) };
        if self.map.insert(Stored { hash, key }, slot, &guard).is_some() {
            return;
        }
        let mut entries = InMap { map: &self.map, guard: &guard, has_evicted: false };
        counted.eviction.insert(hash, &mut entries);
        if entries.has_evicted {
            counted.heard = counted.capacity;
            shard.listen(true);
        }
    }

    /// Takes an entry out; whether it was there. What is timed never does.
    #[cfg(test)]
    pub fn remove<Q: ?Sized + Hash + Equivalent<K>>(&self, key: &Q) -> bool {
        let hash = self.hasher.hash_one(key);
        self.map.remove(&Asked { hash, key }, &self.map.guard()).is_some()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    #[cold]
    fn sample(&self, hash: u64, was_there: bool) {
        let shard = self.shard(hash);
        if !shard.evicts.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut counted) = shard.eviction.try_lock() else { return };
        counted.eviction.sample(hash, was_there);
        counted.heard = counted.heard.saturating_sub(1);
        shard.listen(counted.heard > 0);
    }

    fn shard(&self, hash: u64) -> &Shard<E> {
        // The map and the samples use other bits.
        &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)]
    }
}

impl<E: Eviction> Shard<E> {
    fn new(capacity: usize) -> Self {
        let counted = Counted { eviction: E::new(capacity), heard: 0, capacity };
        Self { eviction: Mutex::new(counted), evicts: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Counted<E>> {
        self.eviction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only what changes is stored: all who read look at this.
    fn listen(&self, evicts: bool) {
        if self.evicts.load(Ordering::Relaxed) != evicts {
            self.evicts.store(evicts, Ordering::Relaxed);
        }
    }
}

/// A key as it is stored.
struct Stored<K> {
    hash: u64,
    key: K,
}

/// A value and its mark.
struct Slot<V> {
    value: V,
    hits: AtomicU8,
}

/// A key as it is asked for.
struct Asked<'a, Q: ?Sized> {
    hash: u64,
    key: &'a Q,
}

/// Any key with this hash.
struct ByHash(u64);

impl<K> Hash for Stored<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Eq> PartialEq for Stored<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key == other.key
    }
}

impl<K: Eq> Eq for Stored<K> {}

impl<Q: ?Sized> Hash for Asked<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K, Q: ?Sized + Equivalent<K>> Equivalent<Stored<K>> for Asked<'_, Q> {
    #[inline]
    fn equivalent(&self, stored: &Stored<K>) -> bool {
        self.hash == stored.hash && self.key.equivalent(&stored.key)
    }
}

impl Hash for ByHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl<K> Equivalent<Stored<K>> for ByHash {
    fn equivalent(&self, stored: &Stored<K>) -> bool {
        self.0 == stored.hash
    }
}

/// The map as a policy sees it. Of keys with one hash it meets each as often as it knows the hash.
struct InMap<'a, K, V, G> {
    map: &'a HashMap<Stored<K>, Slot<V>, PassThrough>,
    guard: &'a G,
    has_evicted: bool,
}

impl<K: Eq, V, G: Guard> Entries for InMap<'_, K, V, G> {
    fn change_hits(&mut self, hash: u64, change: impl FnOnce(u8) -> u8) -> Option<u8> {
        let slot = self.map.get(&ByHash(hash), self.guard)?;
        let hits = slot.hits.load(Ordering::Relaxed);
        let left = change(hits);
        if left != hits {
            slot.hits.store(left, Ordering::Relaxed);
        }
        Some(hits)
    }

    fn evict(&mut self, hash: u64) {
        self.map.remove(&ByHash(hash), self.guard);
        self.has_evicted = true;
    }
}

const SMALLEST_SHARD: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::OwnCache;
    use crate::prototype::{Eviction, Mixture, S3Fifo, TinyLfu};
    use crate::random::Random;

    fn known<E: Eviction>(cache: &OwnCache<u64, u64, E>) -> usize {
        cache.shards.iter().map(|shard| shard.lock().eviction.len()).sum()
    }

    fn many_threads_keep_to_the_capacity<E: Eviction + Send>() {
        for capacity in [1, 10, 1_000, 10_000] {
            let cache = OwnCache::<u64, u64, E>::new(capacity);
            thread::scope(|scope| {
                for seed in 0..4 {
                    let cache = &cache;
                    scope.spawn(move || {
                        let mut random = Random::new(seed);
                        for _ in 0..30_000 {
                            let key = random.below(capacity * 3) as u64;
                            match random.below(10) {
                                0 => _ = cache.remove(&key),
                                1..4 => cache.insert(key, key * 7),
                                _ => assert!(cache.get(&key).is_none_or(|value| value == key * 7)),
                            }
                        }
                    });
                }
            });
            assert!(cache.len() <= known(&cache), "the policy knows of all that is there");
            assert!(known(&cache) <= capacity, "{} of {capacity}", known(&cache));
        }
    }

    #[test]
    fn the_capacity_holds_among_threads() {
        many_threads_keep_to_the_capacity::<S3Fifo>();
        many_threads_keep_to_the_capacity::<TinyLfu>();
        many_threads_keep_to_the_capacity::<Mixture>();
    }

    #[test]
    fn nothing_is_lost_that_fits() {
        let cache = OwnCache::<u64, u64, Mixture>::new(100_000);
        thread::scope(|scope| {
            for thread in 0..4 {
                let cache = &cache;
                scope
                    .spawn(move || (0..20_000).for_each(|key| cache.insert(key * 4 + thread, key)));
            }
        });
        assert_eq!(cache.len(), 80_000);
        assert!((0..80_000).all(|key| cache.get(&key) == Some(key / 4)));
    }

    #[test]
    fn what_is_replaced_or_removed_is_known_once_or_not_at_all() {
        let cache = OwnCache::<u64, u64, S3Fifo>::new(10);
        (0..100).for_each(|value| cache.insert(1, value));
        assert_eq!((cache.len(), known(&cache), cache.get(&1)), (1, 1, Some(99)));
        assert!(cache.remove(&1) && !cache.remove(&1));
        assert_eq!(cache.get(&1), None);
        (2..30).for_each(|key| cache.insert(key, key));
        // What was removed may hold its place until the policy comes to it.
        assert_eq!(known(&cache), 10);
        assert!((9..=10).contains(&cache.len()));
    }

    #[test]
    fn on_one_thread_it_hits_as_its_policy_does() {
        use larder_trace::{Policy, synthetic};
        let trace = synthetic::zipf(0.9, 5_000, 60_000, 1);
        let cache = OwnCache::<u32, (), S3Fifo>::new(500);
        let mut simulated = crate::prototype::Simulated::<S3Fifo>::new(500);
        let (mut hits, mut expected) = (0_i64, 0_i64);
        for id in trace.ids() {
            expected += i64::from(simulated.access(*id));
            let was_there = cache.get(id).is_some();
            hits += i64::from(was_there);
            if !was_there {
                cache.insert(*id, ());
            }
        }
        // The hashes are others, and so are the collisions of the ghost.
        assert!((hits - expected).abs() < 600, "{hits} {expected}");
    }
}
