//! Numbers, patterns and conditional changes: atomic, and the same on every set-up.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use larder::backend::Kind;
use larder::{Cache, ErrorKind, Event, Options, Ttl};
use larder_test_support::{Rig, Told, in_time, on_all, on_shared, secs, settle};
use larder_testkit::{Fault, Operation};
use tokio::sync::Semaphore;

async fn listed(cache: &Cache<String, u32>, pattern: &str) -> Vec<String> {
    let mut keys = cache.keys(pattern).unwrap();
    let mut found = BTreeSet::new();
    while let Some(key) = keys.next().await.unwrap() {
        assert!(found.insert(key), "a key is met once");
    }
    found.into_iter().collect()
}

#[test]
fn a_number_keeps_its_life_and_its_tags_and_goes_with_what_drops_keys() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let tagged = cache.with(Options::new().ttl(secs(10)).tags(["t"]));
        assert_eq!(tagged.incr("n", 5).await.unwrap(), 5);
        rig.advance(6);
        assert_eq!(cache.with(secs(60)).incr("n", 1).await.unwrap(), 6);
        assert_eq!(cache.ttl("n").await.unwrap(), Some(Ttl::For(secs(4))));
        rig.advance(4);
        assert_eq!(
            (cache.ttl("n").await.unwrap(), cache.counter("n").await.unwrap()),
            (None, None)
        );
        assert_eq!(cache.incr("n", 1).await.unwrap(), 1);
        assert_eq!(cache.ttl("n").await.unwrap(), Some(Ttl::Never));

        assert_eq!(tagged.incr("tagged", 5).await.unwrap(), 5);
        assert_eq!(cache.incr("tagged", 1).await.unwrap(), 6);
        cache.invalidate_tag("t").await.unwrap();
        assert_eq!(cache.incr("tagged", 1).await.unwrap(), 1);
        cache.invalidate_all().await.unwrap();
        assert_eq!(
            (cache.counter("n").await.unwrap(), cache.incr("n", 2).await.unwrap()),
            (None, 2)
        );
        cache.invalidate("n").await.unwrap();
        assert_eq!(cache.counter("n").await.unwrap(), None);
        cache.incr("n", 2).await.unwrap();
        assert_eq!(cache.remove("n").await.unwrap(), None);
        assert_eq!(cache.counter("n").await.unwrap(), None);
    });
}

#[test]
fn a_number_is_no_value_and_a_value_no_number() {
    on_all(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        cache.incr("n", 5).await.unwrap();
        assert_eq!((cache.get("n").await.unwrap(), cache.peek("n").await.unwrap()), (None, None));
        assert!(cache.contains_key("n").await.unwrap());
        assert_eq!(cache.get_with("n", || async { 7 }).await.unwrap(), 7);
        assert_eq!(cache.get("n").await.unwrap(), Some(7));
        assert_eq!(cache.incr("n", 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(cache.counter("n").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(cache.get("n").await.unwrap(), Some(7));
        assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 0);
        cache.incr("max", i64::MAX).await.unwrap();
        assert_eq!(cache.incr("max", 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(cache.counter("max").await.unwrap(), Some(i64::MAX));
        cache.with(Ttl::For(secs(0))).incr("short", 3).await.unwrap();
        assert_eq!(cache.counter("short").await.unwrap(), None);
    });
}

/// Broken once: a load that began before was stored over the number.
#[test]
fn a_load_under_way_does_not_take_a_number_away() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let load = tokio::spawn({
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            async move {
                let loader = || async move {
                    gate.acquire().await.unwrap().forget();
                    1
                };
                cache.get_with("n", loader).await.unwrap()
            }
        });
        settle().await;
        assert_eq!(cache.incr("n", 5).await.unwrap(), 5);
        gate.add_permits(1);
        assert_eq!(in_time(load).await.unwrap(), 1);
        assert_eq!(cache.counter("n").await.unwrap(), Some(5));
        if rig.store.is_some() {
            assert_eq!(rig.record("n").unwrap().header.kind, Kind::Counter);
        }
    });
}

#[test]
fn no_addition_is_lost_among_64_tasks() {
    for rig in Rig::all() {
        let adds = if rig.store.is_none() { 10_000 } else { 200 };
        contend(&rig, adds);
    }
}

#[test]
#[ignore = "takes minutes: 640,000 commits on disk"]
fn no_addition_is_lost_among_64_tasks_of_10_000_each() {
    for rig in Rig::all() {
        contend(&rig, 10_000);
    }
}

/// Lets two caches add at once, as two processes do.
fn contend(rig: &Rig, adds: i64) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let one = rig.builder::<String, u32>().build().unwrap();
        let other = if rig.store.is_some() {
            rig.builder::<String, u32>().build().unwrap()
        } else {
            one.clone()
        };
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let cache = if task % 2 == 0 { one.clone() } else { other.clone() };
                tokio::spawn(async move {
                    for _ in 0..adds {
                        add_once(&cache).await;
                    }
                })
            })
            .collect();
        let time = async {
            loop {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                rig.clock.advance(std::time::Duration::from_millis(1));
            }
        };
        tokio::select! {
            () = async { for task in tasks { task.await.unwrap(); } } => {}
            () = time => {}
        }
        assert_eq!(one.counter("n").await.unwrap(), Some(64 * adds));
    });
}

/// Adds until it succeeds. Under contention between caches all tries may fail: nothing was added
/// then.
async fn add_once(cache: &Cache<String, u32>) {
    loop {
        match cache.incr("n", 1).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    }
}

#[test]
fn a_comparison_and_its_change_are_one_step() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        assert!(!cache.compare_and_set("a".into(), 0, 1).await.unwrap());
        cache.insert("a".into(), 0).await.unwrap();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    loop {
                        let now = cache.get("a").await.unwrap().unwrap();
                        if cache.compare_and_set("a".into(), now, now + 1).await.unwrap() {
                            return;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            in_time(task).await.unwrap();
        }
        assert_eq!(cache.get("a").await.unwrap(), Some(50));
        assert!(!cache.replace_if("a".into(), 9, |there| *there > 50).await.unwrap());
        assert!(cache.replace_if("a".into(), 9, |there| *there == 50).await.unwrap());
        rig.advance(10);
        assert!(!cache.compare_and_set("a".into(), 9, 1).await.unwrap());
    });
}

#[test]
fn a_value_is_persisted_and_a_missing_one_defaulted() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        assert!(!cache.persist("a").await.unwrap());
        assert_eq!(cache.get_or("a", 3).await.unwrap(), 3);
        assert_eq!(cache.get_or_err("a").await.unwrap_err().kind(), ErrorKind::NotFound);
        cache.insert("a".into(), 1).await.unwrap();
        assert!(cache.persist("a").await.unwrap());
        rig.advance(1_000);
        assert_eq!(cache.ttl("a").await.unwrap(), Some(Ttl::Never));
        assert_eq!(
            (cache.get_or("a", 3).await.unwrap(), cache.get_or_err("a").await.unwrap()),
            (1, 1)
        );
    });
}

#[test]
fn keys_are_those_with_something_fresh_under_them() {
    on_all(async |rig| {
        let cache =
            rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).absent_ttl(secs(60)).build();
        let cache = cache.unwrap();
        for key in ["user:1", "user:2", "team:1"] {
            cache.insert(key.into(), 0).await.unwrap();
        }
        cache.with(secs(5)).insert("user:short".into(), 0).await.unwrap();
        cache.incr("user:count", 1).await.unwrap();
        cache.optionally_get_with("user:none", || async { None }).await.unwrap();
        cache.with(Options::new().tags(["t"])).insert("user:tagged".into(), 0).await.unwrap();
        assert_eq!(listed(&cache, "user:?").await, ["user:1", "user:2"]);
        assert_eq!(cache.count("*").await.unwrap(), 6);
        rig.advance(5);
        cache.invalidate_tag("t").await.unwrap();
        assert_eq!(listed(&cache, "user:*").await, ["user:1", "user:2", "user:count"]);
        let lenient = cache.with(Options::new().allow_stale(true));
        assert_eq!(lenient.count("user:*").await.unwrap(), 4);
        assert_eq!(cache.keys("[").unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn long_and_odd_keys_are_matched_by_their_whole_text() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let long = format!("user:{}", "x".repeat(10_000));
        let odd = "user:a b\n\u{7f}".to_owned();
        let keys = [long.clone(), odd.clone(), "user:1".to_owned(), "team: 1".to_owned()];
        for key in keys {
            cache.insert(key, 0).await.unwrap();
        }
        assert_eq!(listed(&cache, "user:*").await, ["user:1", &odd, &long]);
        assert_eq!(listed(&cache, "user:a *").await, [odd.as_str()]);
        assert_eq!(listed(&cache, "user:x*x").await, [long.as_str()]);
        assert_eq!(listed(&cache, "team: ?").await, ["team: 1"]);
        assert_eq!(cache.clear("user:[ax]*").await.unwrap(), 2);
        assert_eq!(listed(&cache, "*").await, ["team: 1", "user:1"]);
    });
}

#[test]
fn what_is_cleared_is_gone_in_all_tiers_and_for_loads_under_way() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let slow = |key: &'static str| {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let loader = || async move {
                    gate.acquire().await.unwrap().forget();
                    1
                };
                cache.get_with(key, loader).await.unwrap()
            })
        };
        cache.insert("user:1".into(), 0).await.unwrap();
        cache.insert("team:1".into(), 0).await.unwrap();
        let loads = [slow("user:2"), slow("team:2")];
        settle().await;
        assert_eq!(cache.clear("user:*").await.unwrap(), 1);
        gate.add_permits(2);
        for load in loads {
            assert_eq!(in_time(load).await.unwrap(), 1);
        }
        assert_eq!(listed(&cache, "*").await, ["team:1", "team:2"]);
        assert_eq!(cache.get("user:2").await.unwrap(), None);
        assert_eq!(cache.clear("*").await.unwrap(), 2);
        assert_eq!(
            (cache.count("*").await.unwrap(), cache.get("team:1").await.unwrap()),
            (0, None)
        );
    });
}

#[test]
fn f29_clear_takes_only_the_namespaces_own_keys() {
    const NAMES: [&str; 10] = ["a", "ab", "a*", "a?", "[a]", "a:b", "\\a", "%", "_", ""];
    on_shared(async |rig| {
        let build = |name: &str| {
            let builder = rig.builder::<String, u32>().capacity(100);
            builder.namespace(name).build().unwrap()
        };
        let caches = NAMES.map(build);
        for cache in &caches {
            let entries = (0..2_600).map(|n| (format!("k{n}"), n));
            assert_eq!(cache.insert_many(entries).await.unwrap().len(), 2_600);
        }
        for (index, cache) in caches.iter().enumerate() {
            assert_eq!(cache.count("*").await.unwrap(), 2_600);
            assert_eq!(cache.clear("k1*").await.unwrap(), 1_111);
            assert_eq!(cache.clear("*").await.unwrap(), 1_489);
            for (other, cache) in caches.iter().enumerate() {
                let left = if other <= index { 0 } else { 2_600 };
                assert_eq!(cache.count("*").await.unwrap(), left, "{:?}", NAMES[other]);
            }
        }
    });
}

#[test]
fn a_backends_failure_is_an_error_and_no_short_list() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 0).await.unwrap();
        rig.store().every(Operation::Scan, Fault::Fail(ErrorKind::Unavailable));
        assert_eq!(cache.count("*").await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(cache.clear("*").await.unwrap_err().kind(), ErrorKind::Unavailable);
    });
}

#[test]
fn a_backend_without_scans_says_that_it_lists_nothing() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 0).await.unwrap();
        rig.store().every(Operation::Scan, Fault::Fail(ErrorKind::Unsupported));
        assert_eq!(cache.count("*").await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(cache.clear("a").await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(cache.get("a").await.unwrap(), Some(0), "it was not cleared");
    });
}

#[test]
fn a_mangler_names_entries_and_hides_nothing_from_patterns() {
    on_shared(async |rig| {
        let reversed = |text: &str| text.chars().rev().collect::<String>();
        let build = || rig.builder::<String, u32>().mangler(reversed).build().unwrap();
        let (cache, other) = (build(), build());
        let long = format!("user:{}", "x".repeat(300));
        for key in ["user:1", "user: 2", &long, ""] {
            cache.insert(key.into(), 7).await.unwrap();
            assert_eq!(other.get(key).await.unwrap(), Some(7));
        }
        for call in rig.store().calls() {
            for key in call.keys.iter().filter(|key| key.name().starts_with(b"larder:k")) {
                let name = key.name();
                assert!(name.starts_with(b"larder:k~") || name.starts_with(b"larder:k#"));
            }
        }
        let names = rig.store().calls();
        assert!(
            names.iter().flat_map(|call| &call.keys).any(|key| key.name() == b"larder:k~1:resu")
        );
        assert_eq!(listed(&other, "user:*").await, ["user: 2", "user:1", &long]);
        assert_eq!(other.clear("user:*").await.unwrap(), 3);
        assert_eq!(cache.with(Options::new()).count("*").await.unwrap(), 1);
    });
}

/// Two keys under one name: each pushes the other out, and neither is served for the other.
#[test]
fn keys_that_a_mangler_takes_for_each_other_are_misses_and_never_wrong() {
    on_shared(async |rig| {
        let build = || rig.builder::<String, u32>().mangler(|_| "one".to_owned()).build().unwrap();
        let (cache, other) = (build(), build());
        cache.insert("a".into(), 1).await.unwrap();
        assert_eq!(other.get("b").await.unwrap(), None);
        cache.insert("b".into(), 2).await.unwrap();
        assert_eq!((other.get("a").await.unwrap(), other.get("b").await.unwrap()), (None, Some(2)));
        assert_eq!(in_time(other.get_with("c", || async { 3 })).await.unwrap(), 3);
        assert_ne!(other.get("b").await.unwrap(), Some(3));
    });
}

#[test]
fn loads_of_keys_that_share_a_slot_run_one_after_the_other() {
    on_all(async |rig| {
        let cache = rig.builder::<u32, u32>().load_slots(4).build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..64)
            .map(|key| {
                let (cache, gate) = (cache.clone(), Arc::clone(&gate));
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                tokio::spawn(async move {
                    let loader = move || async move {
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        gate.acquire().await.unwrap().forget();
                        running.fetch_sub(1, SeqCst);
                        key
                    };
                    assert_eq!(cache.get_with(&key, loader).await.unwrap(), key);
                })
            })
            .collect();
        settle().await;
        assert_eq!(running.load(SeqCst), 4, "64 keys are in all slots");
        // A batch takes the permits of all of its keys' slots, and waits for them.
        let keys: Vec<u32> = (100..164).collect();
        let batch = tokio::spawn({
            let cache = cache.clone();
            async move {
                let loader = |keys: Vec<u32>| async move {
                    Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, key)))
                };
                cache.get_many_with(&keys, loader).await.unwrap().len()
            }
        });
        settle().await;
        assert!(!batch.is_finished());
        gate.add_permits(64);
        for task in tasks {
            in_time(task).await.unwrap();
        }
        assert_eq!(in_time(batch).await.unwrap(), 64);
        assert_eq!(most.load(SeqCst), 4);
        let both = rig.builder::<u32, u32>().load_slots(4).max_concurrent_loads(4).build();
        assert_eq!(both.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

/// Broken once: a copy that landed between two walks outlived the clear.
#[test]
fn what_lands_during_a_clear_does_not_outlive_it() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let cache = Cache::<String, u64>::new(10_000).unwrap();
        let source = Arc::new(std::sync::atomic::AtomicU64::new(0));
        for _ in 0..2_000 {
            let (loading, loaded_from) = (cache.clone(), Arc::clone(&source));
            let load = tokio::spawn(async move {
                let loader = || async move {
                    let read = loaded_from.load(SeqCst);
                    tokio::task::yield_now().await;
                    read
                };
                loading.get_with("user:1", loader).await.unwrap()
            });
            tokio::task::yield_now().await;
            source.fetch_add(1, SeqCst);
            cache.clear("user:*").await.unwrap();
            let now = source.load(SeqCst);
            let seen = cache.get("user:1").await.unwrap();
            assert!(seen.is_none_or(|seen| seen >= now), "{seen:?} {now}");
            load.await.unwrap();
            cache.invalidate("user:1").await.unwrap();
        }
    });
}
