//! The caches that traces are replayed through.
//!
//! The peers have one shard where that can be chosen, so that the policies are compared, and a
//! hasher that is the same in each run where one can be given. The local tier is as it is: it has
//! shards and a random hasher, so its figures differ a little each time.

use foldhash::fast::FixedState;
use foyer_memory::{EvictionConfig, LfuConfig, LruConfig, S3FifoConfig};
use larder::LocalCache;
use larder_trace::{Lru, Policy};

/// A cache that a trace can be replayed through.
#[derive(Clone, Copy, Debug)]
pub struct Contestant {
    /// The name in tables and lines.
    pub name: &'static str,
    /// A function that makes an empty cache for this many entries.
    pub new: fn(usize) -> Box<dyn Policy>,
}

/// All contestants.
pub const CONTESTANTS: [Contestant; 11] = [
    Contestant::new("larder-local", larder_local),
    Contestant::new("quick_cache", |capacity| quick_cache(capacity, Some(1))),
    // The number of shards is its default, which depends on the processors.
    Contestant::new("quick_cache-sharded", |capacity| quick_cache(capacity, None)),
    // A call after each access keeps it to its capacity.
    Contestant::new("moka", |capacity| moka(capacity, true)),
    // The cache is called as applications call it.
    Contestant::new("moka-lazy", |capacity| moka(capacity, false)),
    Contestant::new("mini-moka", mini_moka),
    Contestant::new("foyer-lru", |capacity| foyer(capacity, LruConfig::default())),
    Contestant::new("foyer-lfu", |capacity| foyer(capacity, LfuConfig::default())),
    Contestant::new("foyer-s3fifo", |capacity| foyer(capacity, S3FifoConfig::default())),
    Contestant::new("cached", cached),
    Contestant::new("lru", |capacity| Box::new(Lru::new(capacity))),
];

impl Contestant {
    const fn new(name: &'static str, new: fn(usize) -> Box<dyn Policy>) -> Self {
        Self { name, new }
    }
}

/// A cache and the functions of a replay.
struct Replayed<C, A, L> {
    cache: C,
    access: A,
    len: L,
}

impl<C, A: Fn(&mut C, u32) -> bool, L: Fn(&C) -> usize> Policy for Replayed<C, A, L> {
    fn access(&mut self, id: u32) -> bool {
        (self.access)(&mut self.cache, id)
    }

    fn len(&self) -> usize {
        (self.len)(&self.cache)
    }
}

fn replayed<C: 'static>(
    cache: C,
    access: impl Fn(&mut C, u32) -> bool + 'static,
    len: impl Fn(&C) -> usize + 'static,
) -> Box<dyn Policy> {
    Box::new(Replayed { cache, access, len })
}

fn larder_local(capacity: usize) -> Box<dyn Policy> {
    let access = |cache: &mut LocalCache<u32, u32>, id| {
        let was_there = cache.get(&id).is_some();
        if !was_there {
            cache.insert(id, id);
        }
        was_there
    };
    replayed(LocalCache::new(capacity as u64), access, LocalCache::len)
}

fn quick_cache(capacity: usize, shards: Option<usize>) -> Box<dyn Policy> {
    let mut options = quick_cache::OptionsBuilder::new();
    options.estimated_items_capacity(capacity).weight_capacity(capacity as u64);
    if let Some(shards) = shards {
        options.shards(shards);
    }
    let options = options.build().expect("both capacities are set");
    let cache = quick_cache::sync::Cache::with_options(
        options,
        quick_cache::UnitWeighter,
        FixedState::default(),
        quick_cache::sync::DefaultLifecycle::default(),
    );
    let access = |cache: &mut quick_cache::sync::Cache<u32, u32, _, FixedState>, id| {
        let was_there = cache.get(&id).is_some();
        if !was_there {
            cache.insert(id, id);
        }
        was_there
    };
    replayed(cache, access, quick_cache::sync::Cache::len)
}

fn moka(capacity: usize, is_held: bool) -> Box<dyn Policy> {
    let cache = moka::sync::Cache::builder()
        .max_capacity(capacity as u64)
        .build_with_hasher(FixedState::default());
    let access = move |cache: &mut moka::sync::Cache<u32, u32, FixedState>, id| {
        let was_there = cache.get(&id).is_some();
        if !was_there {
            cache.insert(id, id);
        }
        if is_held {
            cache.run_pending_tasks();
        }
        was_there
    };
    // moka's own count is that of the last maintenance.
    replayed(cache, access, |cache| cache.iter().count())
}

fn mini_moka(capacity: usize) -> Box<dyn Policy> {
    let cache = mini_moka::unsync::Cache::builder()
        .max_capacity(capacity as u64)
        .build_with_hasher(FixedState::default());
    let access = |cache: &mut mini_moka::unsync::Cache<u32, u32, FixedState>, id| {
        let was_there = cache.get(&id).is_some();
        if !was_there {
            cache.insert(id, id);
        }
        was_there
    };
    replayed(cache, access, |cache| cache.iter().count())
}

fn foyer(capacity: usize, eviction: impl Into<EvictionConfig>) -> Box<dyn Policy> {
    let cache: foyer_memory::Cache<u32, u32, FixedState> =
        foyer_memory::CacheBuilder::new(capacity)
            .with_shards(1)
            .with_eviction_config(eviction)
            .with_hash_builder(FixedState::default())
            .build();
    let access = |cache: &mut foyer_memory::Cache<u32, u32, FixedState>, id: u32| {
        let was_there = cache.get(&id).is_some();
        if !was_there {
            drop(cache.insert(id, id));
        }
        was_there
    };
    replayed(cache, access, foyer_memory::Cache::entries)
}

fn cached(capacity: usize) -> Box<dyn Policy> {
    use cached::Cached;
    let access = |cache: &mut cached::LruCache<u32, u32>, id: u32| {
        let was_there = cache.cache_get(&id).is_some();
        if !was_there {
            cache.cache_set(id, id);
        }
        was_there
    };
    replayed(cached::LruCache::new(capacity.max(1)), access, Cached::cache_size)
}

#[cfg(test)]
mod tests {
    use super::CONTESTANTS;

    #[test]
    fn all_keep_what_fits() {
        for contestant in CONTESTANTS {
            let mut cache = (contestant.new)(1_000);
            let misses = (0..200).filter(|id| !cache.access(*id)).count();
            let hits = (0..200).filter(|id| cache.access(*id)).count();
            assert_eq!((misses, hits, cache.len()), (200, 200, 200), "{}", contestant.name);
        }
    }
}
