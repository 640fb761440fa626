//! Allocations of reads and loads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::backend::{Class, Codec, Key, Namespace, Record, StoreTime, Times, layout};
use larder::{
    Cache, EntryOptions, Json, Keyring, LocalCache, LocalCacheBuilder, MemoryBackend, MessagePack,
    Pipeline, Postcard, Raw,
};
use larder_testkit::ManualClock;

const HOUR: Duration = Duration::from_secs(3_600);

fn builder() -> LocalCacheBuilder<String, Arc<[u8; 100]>> {
    LocalCache::builder().capacity(1_000)
}

#[test]
fn hits_allocate_nothing() {
    let options = EntryOptions::new().tags(["one", "two"]);
    let rows = [
        ("plain", builder(), EntryOptions::new()),
        ("ttl", builder().ttl(HOUR), EntryOptions::new()),
        ("ttl of its own", builder().ttl(HOUR), HOUR.into()),
        ("tags", builder().ttl(HOUR).grace(HOUR), options.clone()),
        ("tti", builder().tti(HOUR), EntryOptions::new()),
        ("all", builder().ttl(HOUR).tti(HOUR).max_weight(10_000, |_, _| 7), options),
    ];
    for (name, builder, options) in rows {
        let cache = builder.build().unwrap();
        cache.insert_with("key".to_owned(), Arc::new([0; 100]), options);
        // The thread's own counters are made at its first call.
        assert!(cache.get("key").is_some());
        let info = allocation_counter::measure(|| {
            for _ in 0..1_000 {
                assert!(cache.get("key").is_some());
                assert!(cache.peek("key").is_some() && cache.contains_key("key"));
                assert!(cache.get("other").is_none());
                cache.get_with("key", || unreachable!());
            }
        });
        assert_eq!(info.count_total, 0, "{name}");
    }
}

/// The allocations of a load in memory: its loader's box and its task, which boxes the steps before
/// the loader and the steps after it, so that a load that waits takes little memory; its flight,
/// the flight's link and the list of its wakers. The entry's metadata is in its slot.
const MISS_ALLOCATIONS: u64 = 7;

#[test]
fn hits_of_a_cache_allocate_nothing_alone_and_over_a_backend() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let clock = Arc::new(ManualClock::new());
    let build = || Cache::<u64, u64>::builder().clock(clock.clone()).ttl(HOUR);
    let store = MemoryBackend::new(clock.clone());
    for cache in [build().build().unwrap(), build().backend(store).build().unwrap()] {
        runtime.block_on(cache.insert(1, 7)).unwrap();
        let hit = || {
            runtime.block_on(async {
                for _ in 0..1_000 {
                    assert_eq!(cache.get(&1).await.unwrap(), Some(7));
                    assert_eq!(cache.get_with(&1, || async { 8 }).await.unwrap(), 7);
                }
            });
        };
        // Threads make their own data at the first call.
        hit();
        assert_eq!(allocation_counter::measure(hit).count_total, 0);
    }
}

/// A `Cache` in memory alone keeps the age of an entry, and room for absences and numbers, beside what
/// a `LocalCache` keeps.
#[test]
fn an_entry_takes_few_bytes() {
    const ENTRIES: u64 = 10_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // The time stands still: how many lives end together is part of the figure.
    let clock = Arc::new(ManualClock::new());
    let local = LocalCache::<u64, Arc<[u8; 100]>>::builder().capacity(2 * ENTRIES).build().unwrap();
    let builder =
        || Cache::<u64, Arc<[u8; 100]>>::builder().clock(clock.clone()).capacity(2 * ENTRIES);
    let (plain, mortal) = (builder().build().unwrap(), builder().ttl(HOUR).build().unwrap());
    let by_local = || (0..ENTRIES).for_each(|key| local.insert(key, Arc::new([0; 100])));
    let fill = |cache: &Cache<u64, Arc<[u8; 100]>>| {
        runtime.block_on(async {
            for key in 0..ENTRIES {
                cache.insert(key, Arc::new([0; 100])).await.unwrap();
            }
        });
    };
    let bytes = |fill: &dyn Fn()| {
        let info = allocation_counter::measure(fill);
        info.bytes_current.cast_unsigned() / ENTRIES
    };
    // A table that grows has room for more: this is more than an entry of a full cache takes.
    let local = bytes(&by_local);
    assert!(local <= 240, "LocalCache: {local}");
    for (name, cache) in [("Cache", &plain), ("Cache with a ttl", &mortal)] {
        let bytes = bytes(&|| fill(cache));
        assert!(bytes <= local + 40, "{name}: {bytes} beside {local}");
    }
}

#[test]
fn a_miss_in_memory_alone_allocates_nothing() {
    let cache = Cache::<String, u64>::new(10).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let miss = || {
        runtime.block_on(async {
            for _ in 0..1_000 {
                assert_eq!(cache.get("nobody").await.unwrap(), None);
            }
        });
    };
    // The first time, threads make what they keep for themselves.
    miss();
    assert_eq!(allocation_counter::measure(miss).count_total, 0);
    assert_eq!((cache.stats().hits, cache.stats().misses), (0, 2_000));
}

#[test]
fn a_miss_allocates_its_task_its_loader_its_flight_and_its_entry() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cache = Cache::<u64, u64>::new(10_000).unwrap();
    let load_all = async || {
        for key in 0..1_000 {
            cache.get_with(&key, || async { 7 }).await.unwrap();
        }
    };
    runtime.block_on(async {
        load_all().await;
        cache.invalidate_all().await.unwrap();
    });
    let info = allocation_counter::measure(|| runtime.block_on(load_all()));
    // Tables that grow cost one for several entries.
    assert_eq!(info.count_total / 1_000, MISS_ALLOCATIONS);
}

/// A future is part of its caller's future: parts that are rarely needed are boxed.
#[test]
fn futures_stay_small() {
    let clock = Arc::new(ManualClock::new());
    let store = MemoryBackend::new(clock.clone());
    let cache = Cache::<u64, u64>::builder().clock(clock).backend(store).build().unwrap();
    let sizes = [
        ("get", size_of_val(&cache.get(&1))),
        ("get_with", size_of_val(&cache.get_with(&1, || async { 7 }))),
        ("peek", size_of_val(&cache.peek(&1))),
        ("insert", size_of_val(&cache.insert(1, 7))),
        ("invalidate", size_of_val(&cache.invalidate(&1))),
        ("invalidate_tag", size_of_val(&cache.invalidate_tag("t"))),
    ];
    for (name, size) in sizes {
        assert!(size <= 2_048, "{name}: {size} bytes");
    }
    let get = size_of_val(&cache.get(&1));
    assert!(get <= 100, "the verb of most calls: {get} bytes");
}

#[test]
fn a_frame_is_one_allocation_and_none_to_read_what_is_as_it_was() {
    let value = Bytes::from(vec![7; 10_000]);
    // Shared bytes have one allocation more, which counts the sharers.
    let _shared = value.clone();
    let place = [b'p'; 100];
    let ring = Keyring::new(7, [(7, [7; 32])]).unwrap();
    let (plain, sealed) = (Pipeline::new(Raw), Pipeline::new(Raw).encrypt(ring));
    // Decrypted bytes are new, and so is the counter by which Raw shares them with the value.
    for (pipeline, reads) in [(plain, 0), (sealed, 2)] {
        let mut bytes = Bytes::new();
        let encode = || bytes = pipeline.encode_at(&value, &place).unwrap();
        assert_eq!(allocation_counter::measure(encode).count_total, 1);
        let _shared = bytes.clone();
        let mut read = Bytes::new();
        let decode = || read = pipeline.decode_at(&bytes, &place).unwrap();
        assert_eq!(allocation_counter::measure(decode).count_total, reads);
        assert_eq!(read, value);
    }
}

#[test]
fn an_encoded_value_is_one_allocation_and_so_is_its_record() {
    type Names = Vec<(String, u64)>;
    let value: Names = (0..40).map(|number| ("leek".to_owned(), number)).collect();
    let codecs: [(&str, &dyn Codec<Names>); 3] =
        [("MessagePack", &MessagePack), ("Json", &Json), ("Postcard", &Postcard)];
    let namespace = Namespace::new("shop").unwrap();
    for (name, codec) in codecs {
        // The thread's buffer grows with the first of its size.
        let mut payload = codec.encode(&value).unwrap();
        let encode = || payload = codec.encode(&value).unwrap();
        assert_eq!(allocation_counter::measure(encode).count_total, 1, "{name}");
        let key = Key::new(&namespace, Class::Entry, name.as_bytes());
        let record = Record::value(payload, Times::new(HOUR, HOUR));
        let encode = || drop(layout::encode(&key, &record, StoreTime::default()).unwrap());
        assert_eq!(allocation_counter::measure(encode).count_total, 1, "{name}");
    }
}
