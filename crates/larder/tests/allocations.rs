//! A hit allocates nothing.

use std::sync::Arc;
use std::time::Duration;

use larder::{EntryOptions, LocalCache, LocalCacheBuilder};

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
