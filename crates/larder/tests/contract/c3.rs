//! Regions and mutexes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::{Backend, ErrorKind, Scope};
use larder::{LocalCache, Options};
use larder_test_support::{Rig, entry, in_time, on, on_all, on_shared, secs, settle};
use larder_testkit::Operation;
use tokio::sync::Semaphore;

#[test]
fn c3_1_a_read_is_a_miss_known_to_be_nothing_or_a_value() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().absent_ttl(secs(10)).build().unwrap();
        cache.insert("value".into(), 7).await.unwrap();
        cache.optionally_get_with("nothing", || async { None }).await.unwrap();
        let mut answers = Vec::new();
        for key in ["miss", "nothing", "value"] {
            let known = cache.is_known_absent(key).await.unwrap();
            answers.push((cache.get(key).await.unwrap(), known));
        }
        assert_eq!(answers, [(None, false), (None, true), (Some(7), false)]);
        let other = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(other.is_known_absent("nothing").await.unwrap(), rig.store.is_some());
        rig.advance(10);
        assert!(!cache.is_known_absent("nothing").await.unwrap());
    });
}

#[test]
fn c3_2_payload_and_creation_time_are_one_record() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        rig.advance(5);
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().age, Some(secs(5)));
        cache.insert("a".into(), 2).await.unwrap();
        rig.advance(1);
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().age, Some(secs(1)));
        if rig.store.is_some() {
            let other = rig.builder::<String, u32>().build().unwrap();
            let info = other.entry_info("a").await.unwrap().unwrap();
            assert_eq!((other.get("a").await.unwrap(), info.age), (Some(2), Some(secs(1))));
            assert_eq!(rig.record("a").unwrap().header.times.age, secs(1));
        }
    });
}

#[test]
fn c3_3_keys_are_mangled_before_every_backend_call() {
    on_shared(async |rig| {
        let mangled =
            rig.builder::<String, u32>().mangler(|text| format!("<{text}>")).build().unwrap();
        mangled.insert("own".into(), 1).await.unwrap();
        assert_eq!(mangled.get("own").await.unwrap(), Some(1));
        let names = rig.store().calls().into_iter().flat_map(|call| call.keys);
        let mut names = names.map(|key| key.name_bytes());
        assert!(names.any(|name| name[..] == b"larder:k~<own>"[..]));
        rig.store().forget_calls();
        let build = |namespace| rig.builder::<String, String>().namespace(namespace).build();
        let (shop, odd) = (build("shop").unwrap(), build("a:b %").unwrap());
        let long = "x".repeat(1_000);
        let keys = ["plain", "", "two words", "line\r\nbreak", "\u{1F980}", "a:b", &long];
        for key in keys {
            shop.insert(key.into(), format!("shop {key}")).await.unwrap();
            odd.insert(key.into(), format!("odd {key}")).await.unwrap();
        }
        let (shop, odd) = (build("shop").unwrap(), build("a:b %").unwrap());
        for key in keys {
            assert_eq!(shop.get(key).await.unwrap(), Some(format!("shop {key}")));
            assert_eq!(odd.get(key).await.unwrap(), Some(format!("odd {key}")));
        }
        for call in rig.store().calls() {
            for key in call.keys {
                assert!(key.name().len() <= 250);
                assert!(key.name().iter().all(|&byte| byte > b' ' && byte != 0x7f));
                let is_ours = [&b"shop:"[..], b"a%3Ab%20%25:"].map(|ns| key.name().starts_with(ns));
                assert!(is_ours.contains(&true), "{key:?}");
            }
        }
    });
}

#[test]
fn c3_5_a_mutex_of_the_backends_scope_is_acquired_and_released() {
    let scopes = Rig::with_store().map(|rig| rig.store().capabilities().scope);
    assert_eq!(scopes, [Scope::Process, Scope::Host]);
    on_shared(async |rig| {
        let [one, other] = [(), ()].map(|()| rig.builder::<String, u32>().build().unwrap());
        assert_eq!(one.lock_scope(), rig.store().capabilities().scope);
        let lock = one.lock("a", secs(10)).await.unwrap();
        assert!(other.try_lock("a", secs(10)).await.unwrap().is_none());
        assert!(other.try_lock("b", secs(10)).await.unwrap().is_some(), "a mutex for each key");
        assert!(lock.release().await.unwrap());
        let lock = other.lock("a", secs(10)).await.unwrap();
        rig.advance(10);
        assert_eq!(lock.left(), secs(0));
        let next = one.try_lock("a", secs(10)).await.unwrap().unwrap();
        assert!(!lock.release().await.unwrap(), "it ran out and is another's");
        assert!(next.release().await.unwrap());
    });
}

#[test]
fn c3_6_a_cache_without_a_backend_locks_in_the_process() {
    on(Rig::memory(), &async |rig: Rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(cache.lock_scope(), Scope::Process);
        let first = cache.lock("a", secs(10)).await.unwrap();
        let second = tokio::spawn({
            let cache = cache.clone();
            async move { cache.lock("a", secs(10)).await }
        });
        rig.clock.until_sleepers(1).await;
        assert!(!second.is_finished());
        assert!(first.release().await.unwrap());
        rig.advance(1);
        assert!(second.await.unwrap().unwrap().release().await.unwrap());
    });
}

#[test]
fn c3_7_keys_load_at_once_one_by_one_or_so_many_at_a_time() {
    on_all(async |rig| {
        for (limit, expected) in [(None, 8), (Some(1), 1), (Some(3), 3)] {
            let name = format!("limit {limit:?}");
            let builder = rig.builder::<usize, usize>().namespace(name);
            let cache = match limit {
                Some(limit) => builder.max_concurrent_loads(limit).build().unwrap(),
                None => builder.build().unwrap(),
            };
            let gate = Arc::new(Semaphore::new(0));
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let tasks: Vec<_> = (0..8)
                .map(|key| {
                    let (cache, gate) = (cache.clone(), Arc::clone(&gate));
                    let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                    let loader = move || async move {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        gate.acquire().await.unwrap().forget();
                        running.fetch_sub(1, Ordering::SeqCst);
                        key
                    };
                    tokio::spawn(async move { cache.get_with(&key, loader).await.unwrap() })
                })
                .collect();
            settle().await;
            assert_eq!(running.load(Ordering::SeqCst), expected);
            gate.add_permits(8);
            for (key, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), key);
            }
            assert_eq!(most.load(Ordering::SeqCst), expected);
        }
    });
}

#[test]
fn c3_8_deleting_twice_is_deleting_once() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        for _ in 0..3 {
            cache.invalidate("a").await.unwrap();
            assert_eq!(cache.get("a").await.unwrap(), None);
        }
        cache.invalidate("never there").await.unwrap();
    });
    let local = LocalCache::<String, u32>::new(9);
    local.insert("a".into(), 7);
    local.invalidate("a");
    local.invalidate("a");
    assert_eq!(local.get("a"), None);
}

#[test]
fn c3_9_one_creates_the_others_take_the_older_value_or_wait() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let loads = Arc::new(AtomicUsize::new(0));
        let ask = |cache: larder::Cache<String, u32>| {
            let (gate, loads) = (Arc::clone(&gate), Arc::clone(&loads));
            tokio::spawn(async move {
                let loader = move || async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    2
                };
                cache.get_with("a", loader).await.unwrap()
            })
        };
        // Without an older value all callers wait for one load.
        let waiting: Vec<_> = (0..20).map(|_| ask(cache.clone())).collect();
        settle().await;
        assert!(waiting.iter().all(|task| !task.is_finished()));
        gate.add_permits(1);
        for task in waiting {
            assert_eq!(task.await.unwrap(), 2);
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);

        // With an older value a caller that does not want to wait gets it at once.
        cache.insert("a".into(), 1).await.unwrap();
        rig.advance(10);
        let creator = ask(cache.clone());
        let impatient = ask(cache.with(Options::new().soft_timeout(secs(0))));
        settle().await;
        assert!(!creator.is_finished());
        assert_eq!(impatient.await.unwrap(), 1);
        gate.add_permits(1);
        assert_eq!(creator.await.unwrap(), 2);
        assert_eq!(loads.load(Ordering::SeqCst), 2);
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
    });
}

#[test]
fn c3_10_expiry_is_judged_at_read_so_a_ttl_changes_without_rewriting() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        let version = rig.store.as_ref().map(|_| rig.record("a").unwrap().header.version);
        if let Some(store) = &rig.store {
            store.forget_calls();
        }
        assert!(cache.set_ttl("a", secs(30)).await.unwrap());
        rig.advance(29);
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        if let Some(store) = &rig.store {
            assert_eq!(store.count(Operation::Write), 0);
            assert_eq!(store.count(Operation::Retime), 1);
            assert_eq!(Some(rig.record("a").unwrap().header.version), version);
        }
        rig.advance(1);
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
}

#[test]
fn c3_11_what_is_invalidated_softly_is_stale_and_hard_is_missing_for_all_processes() {
    on_all(async |rig| {
        let options = Options::new().grace(secs(60)).tags(["t"]).ttl(secs(1_000));
        let cache = rig.builder::<String, u32>().defaults(options).build().unwrap();
        let other = rig.builder::<String, u32>().build().unwrap();
        let stale = |cache: &larder::Cache<_, _>| cache.with(Options::new().allow_stale(true));
        for scope in ["key", "tag", "all"] {
            for is_hard in [false, true] {
                cache.insert("a".into(), 7).await.unwrap();
                if rig.store.is_some() {
                    assert_eq!(other.get("a").await.unwrap(), Some(7), "{scope} {is_hard}");
                }
                match (scope, is_hard) {
                    ("key", false) => assert!(cache.mark_stale("a").await.unwrap()),
                    ("key", true) => drop(cache.invalidate("a").await.unwrap()),
                    ("tag", false) => drop(cache.mark_tag_stale("t").await.unwrap()),
                    ("tag", true) => drop(cache.invalidate_tag("t").await.unwrap()),
                    ("all", false) => drop(cache.mark_all_stale().await.unwrap()),
                    _ => drop(cache.invalidate_all().await.unwrap()),
                }
                let expected = (!is_hard).then_some(7);
                assert_eq!(cache.get("a").await.unwrap(), None);
                assert_eq!(stale(&cache).get("a").await.unwrap(), expected, "{scope} {is_hard}");
                // Another process has noticed when its copy, or its marks, must be compared.
                rig.advance(if scope == "key" { 10 } else { 1 });
                assert_eq!(other.get("a").await.unwrap(), None, "{scope} {is_hard}");
                let expected = expected.filter(|_| rig.store.is_some());
                assert_eq!(stale(&other).get("a").await.unwrap(), expected, "{scope} {is_hard}");
            }
        }
    });
}

#[test]
fn c3_11_a_hard_invalidation_leaves_nothing_behind_in_the_store() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().grace(secs(60)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        cache.invalidate("a").await.unwrap();
        assert!(rig.store().inner().read_one(&entry("a")).await.unwrap().is_none());
        let error = cache.invalidate_tag("").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn c3_12_a_multi_key_load_calls_its_creator_once_with_the_missing_keys() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        cache.insert("b".into(), 7).await.unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let create = move |keys: Vec<String>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_eq!(keys, ["c", "a"]);
                Ok::<_, std::io::Error>([("a".to_owned(), 1), ("c".to_owned(), 3)])
            }
        };
        for _ in 0..2 {
            let all = cache.get_many_with(["c", "b", "a"], create.clone()).await.unwrap();
            let all = all.into_result().unwrap();
            assert_eq!((all["a"], all["b"], all["c"]), (1, 7, 3));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

/// Row 1.17, beside the many keys of one call.
#[test]
fn c1_17_concurrent_loads_within_a_window_or_up_to_a_size_are_one_batch() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let loader = move |keys: Vec<String>| {
            seen.lock().unwrap().push(keys.len());
            async move { Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 1))) }
        };
        let window = Duration::from_millis(10);
        let batched = cache.batch_loader(window, 3, loader).unwrap();
        let ask = |key: &'static str| {
            let batched = batched.clone();
            tokio::spawn(async move { batched.get(key).await.unwrap() })
        };
        let two = ["a", "b"].map(ask);
        settle().await;
        assert!(calls.lock().unwrap().is_empty(), "the window is open");
        rig.clock.advance(window);
        for task in two {
            assert_eq!(in_time(task).await.unwrap(), Some(1));
        }
        for task in ["c", "d", "e"].map(ask) {
            assert_eq!(in_time(task).await.unwrap(), Some(1));
        }
        assert_eq!(*calls.lock().unwrap(), [2, 3]);
        assert_eq!((cache.stats().loads, cache.len()), (5, 5), "and there are figures");
    });
}
