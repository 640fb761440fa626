//! Calls on many keys: each key has the promises of a single call, and the backend gets one call
//! for all.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::{ErrorKind, Kind};
use larder::{Cache, Event, Loaded, Options, Reach};
use larder_test_support::{Rig, Told, entry, in_time, on, on_all, on_shared, secs, settle};
use larder_testkit::{Call, Fault, Operation};
use tokio::sync::Semaphore;

/// A loader of many keys that remembers the keys of its calls, and returns each key's length.
#[derive(Clone, Default)]
struct Source {
    calls: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Source {
    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }

    fn answer(&self, keys: Vec<String>) -> HashMap<String, u32> {
        self.calls.lock().unwrap().push(keys.clone());
        let length = |key: String| {
            let length = u32::try_from(key.len()).unwrap();
            (key, length)
        };
        keys.into_iter().map(length).collect()
    }

    async fn get(&self, cache: &Cache<String, u32>, keys: &[&str]) -> HashMap<String, u32> {
        let source = self.clone();
        let loader = move |keys| {
            let source = source.clone();
            async move { Ok::<_, std::io::Error>(source.answer(keys)) }
        };
        cache.get_many_with(keys.iter().copied(), loader).await.unwrap().into_result().unwrap()
    }
}

/// The numbers of keys in the calls of one kind that the store got for entries.
fn sizes(calls: &[Call], operation: Operation) -> Vec<usize> {
    let is_entry = |call: &&Call| {
        call.operation == operation
            && call.keys.iter().any(|key| key.name().starts_with(b"larder:k"))
    };
    calls.iter().filter(is_entry).map(|call| call.keys.len()).collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("key-{n}")).collect()
}

#[test]
fn each_verb_asks_the_backend_once_however_many_keys() {
    on_shared(async |rig| {
        let [one, other] = [(), ()].map(|()| rig.builder::<String, u32>().build().unwrap());
        let keys = names(300);
        let entries = keys.iter().map(|key| (key.clone(), 7));
        let stored = one.insert_many(entries).await.unwrap().into_result().unwrap();
        assert_eq!(stored.len(), 300);
        assert!(stored.values().all(|reach| *reach == Reach::Confirmed));
        assert_eq!(sizes(&rig.store().calls(), Operation::Write), [300]);

        rig.store().forget_calls();
        let found = other.get_many(&keys).await.unwrap().into_result().unwrap();
        assert_eq!(found.len(), 300);
        assert_eq!(sizes(&rig.store().calls(), Operation::Read), [300]);
        assert_eq!(other.get_many(&keys).await.unwrap().len(), 300);
        assert_eq!(sizes(&rig.store().calls(), Operation::Read), [300], "copies are here now");

        rig.store().forget_calls();
        assert_eq!(one.invalidate_many(&keys[..100]).await.unwrap().len(), 100);
        assert_eq!(sizes(&rig.store().calls(), Operation::Delete), [100]);

        rig.store().forget_calls();
        let removed = one.remove_many(&keys).await.unwrap().into_result().unwrap();
        assert_eq!(removed.len(), 200);
        let calls = rig.store().calls();
        assert_eq!(sizes(&calls, Operation::Read), [300]);
        assert_eq!(sizes(&calls, Operation::Delete), [200]);
    });
}

#[test]
fn a_load_of_many_keys_takes_a_round_trip_for_each_step() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let source = Source::default();
        let keys = names(200);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        // The first call makes the namespace's marks.
        source.get(&cache, &["first"]).await;
        rig.store().forget_calls();
        let values = source.get(&cache, &keys).await;
        assert_eq!((values.len(), values["key-7"]), (200, 5));
        let calls = rig.store().calls();
        assert_eq!(sizes(&calls, Operation::Read), [200]);
        assert_eq!(sizes(&calls, Operation::Write), [200, 200], "leases, then values");
        assert!(calls.len() <= 8, "{calls:?}");
        assert_eq!(source.calls().len(), 2);
        assert_eq!(rig.record("key-7").unwrap().header.kind, Kind::Value);
    });
}

#[test]
fn a_new_namespace_makes_its_marks_once_for_all_keys() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let tagged = cache.with(Options::new().tags(["t"]));
        let entries = names(50).into_iter().map(|key| (key, 1));
        assert_eq!(tagged.insert_many(entries).await.unwrap().len(), 50);
        let calls = rig.store().calls();
        let writes = calls.iter().filter(|call| call.operation == Operation::Write);
        assert!(writes.count() <= 3, "{calls:?}");
        assert_eq!(tagged.get_many(&names(50)).await.unwrap().len(), 50);
        tagged.invalidate_tag("t").await.unwrap();
        assert_eq!(tagged.get_many(&names(50)).await.unwrap().len(), 0);
    });
}

#[test]
fn one_keys_failure_leaves_the_others_alone() {
    on_shared(async |rig| {
        let strict = rig.builder::<String, u32>().strict(true).build().unwrap();
        let bad = entry("b");
        let fault = Fault::Fail(ErrorKind::Unavailable);
        rig.store().every_where(Operation::Write, fault, move |key| *key == bad);
        let stored = strict.insert_many(["a", "b", "c"].map(|key| (key.to_owned(), 1)));
        let stored = stored.await.unwrap();
        assert_eq!(stored.len(), 2);
        assert_eq!(stored.failure("b").unwrap().kind(), ErrorKind::Unavailable);
        assert_eq!(stored.failures().count(), 1);
        assert!(stored.into_result().is_err());
        let told = Told::default();
        let lenient = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let stored = lenient.insert_many(["a", "b"].map(|key| (key.to_owned(), 1))).await.unwrap();
        assert_eq!(stored.get("b"), Some(&Reach::Local));
        assert_eq!(told.count(|event| matches!(event, Event::NotConfirmed(_))), 1);
        rig.store().clear();
        assert_eq!(strict.get_many(["a", "b", "c"]).await.unwrap().len(), 2);
    });
}

#[test]
fn a_batch_loads_only_what_nobody_else_is_loading_and_waits_for_the_rest() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let single = tokio::spawn({
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            async move {
                let loader = || async move {
                    gate.acquire().await.unwrap().forget();
                    99
                };
                cache.get_with("b", loader).await.unwrap()
            }
        });
        settle().await;
        let source = Source::default();
        let batch = tokio::spawn({
            let (cache, source) = (cache.clone(), source.clone());
            async move { source.get(&cache, &["a", "b", "cc"]).await }
        });
        settle().await;
        assert_eq!(source.calls(), [["a", "cc"]]);
        // The value that the batch loaded is there already for others.
        assert_eq!(cache.get("cc").await.unwrap(), Some(2));
        gate.add_permits(1);
        let values = in_time(batch).await.unwrap();
        assert_eq!((values["a"], values["b"], values["cc"]), (1, 99, 2));
        assert_eq!(single.await.unwrap(), 99);
    });
}

/// Broken once: each led one key and waited for the other's, and both hung.
#[test]
fn two_batches_that_lead_each_others_keys_both_end() {
    on_all(async |rig| {
        let [one, other] = [(), ()].map(|()| rig.builder::<String, u32>().build().unwrap());
        for round in 0..20 {
            let (a, b) = (format!("a{round}"), format!("b{round}"));
            let source = Source::default();
            let (forth, back) = ([a.as_str(), b.as_str()], [b.as_str(), a.as_str()]);
            let both = async { tokio::join!(source.get(&one, &forth), source.get(&other, &back)) };
            // A caller that waits for another's lease reads again after a while.
            let time = async {
                loop {
                    settle().await;
                    rig.clock.advance(Duration::from_millis(10));
                }
            };
            let (first, second) = in_time(async {
                tokio::select! {
                    both = both => both,
                    () = time => unreachable!("it has no end"),
                }
            })
            .await;
            assert_eq!((first.len(), second.len()), (2, 2));
        }
    });
}

#[test]
fn a_key_whose_load_elsewhere_fails_is_asked_for_again() {
    on_shared(async |rig| {
        let [one, other] = [(), ()].map(|()| rig.builder::<String, u32>().build().unwrap());
        let gate = Arc::new(Semaphore::new(0));
        let failing = tokio::spawn({
            let (one, gate) = (one.clone(), Arc::clone(&gate));
            async move {
                let loader = || async move {
                    gate.acquire().await.unwrap().forget();
                    Err::<u32, _>("the source is down")
                };
                one.try_get_with("b", loader).await
            }
        });
        settle().await;
        assert_eq!(rig.record("b").unwrap().header.kind, Kind::Lease);
        let source = Source::default();
        let batch = tokio::spawn({
            let (other, source) = (other.clone(), source.clone());
            async move { source.get(&other, &["a", "b"]).await }
        });
        settle().await;
        assert_eq!(source.calls(), [["a"]]);
        gate.add_permits(1);
        settle().await;
        rig.advance(1);
        let values = in_time(batch).await.unwrap();
        assert_eq!((values["a"], values["b"]), (1, 1));
        assert_eq!(source.calls(), [["a"], ["b"]]);
        assert!(failing.await.unwrap().is_err());
    });
}

#[test]
fn a_change_during_a_batch_refuses_that_key_alone() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let batch = tokio::spawn({
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            async move {
                let loader = move |keys: Vec<String>| {
                    let gate = Arc::clone(&gate);
                    async move {
                        gate.acquire().await.unwrap().forget();
                        Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 1)))
                    }
                };
                cache.get_many_with(["a", "b"], loader).await.unwrap()
            }
        });
        settle().await;
        cache.invalidate("b").await.unwrap();
        gate.add_permits(1);
        assert_eq!(in_time(batch).await.unwrap().len(), 2, "callers from before get theirs");
        assert_eq!(cache.get("a").await.unwrap(), Some(1));
        assert_eq!(cache.get("b").await.unwrap(), None);
    });
}

#[test]
fn a_failing_loader_fails_its_keys_and_serves_what_is_stale() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(5)).grace(secs(60)).build().unwrap();
        cache.insert("old".into(), 7).await.unwrap();
        rig.advance(6);
        let loader = |_: Vec<String>| async { Err::<Vec<(String, u32)>, _>("down") };
        let values = cache.get_many_with(["old", "new"], loader).await.unwrap();
        assert_eq!(values.get("old"), Some(&7));
        assert_eq!(values.failure("new").unwrap().kind(), ErrorKind::Loader);
    });
}

#[test]
fn a_panicking_loader_is_a_failure_and_leaves_nothing_behind() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let loader = |keys: Vec<String>| async move {
            assert!(keys.is_empty(), "expected");
            Ok::<_, std::io::Error>(Vec::<(String, u32)>::new())
        };
        let values = cache.get_many_with(["a", "b"], loader).await.unwrap();
        assert_eq!(values.failures().count(), 2);
        assert_eq!(Source::default().get(&cache, &["a", "b"]).await.len(), 2);
    });
}

#[test]
fn a_batch_loader_that_asks_for_one_of_its_keys_is_told() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let inner = cache.clone();
        let loader = move |keys: Vec<String>| {
            let inner = inner.clone();
            async move {
                let error = inner.get_with("b", || async { 1 }).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Reentrant);
                let error = Source::default_error(&inner).await;
                assert_eq!(error, ErrorKind::Reentrant);
                Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 5)))
            }
        };
        let values = in_time(cache.get_many_with(["a", "b"], loader)).await.unwrap();
        assert_eq!(values.into_result().unwrap().len(), 2);
    });
}

impl Source {
    /// Returns the error of a batch that asks for a key which the code around it loads.
    async fn default_error(cache: &Cache<String, u32>) -> ErrorKind {
        let loader = |keys: Vec<String>| async move {
            Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 5)))
        };
        let values = cache.get_many_with(["b"], loader).await.unwrap();
        values.failure("b").unwrap().kind()
    }
}

#[test]
fn one_permit_serves_a_whole_batch() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().max_concurrent_loads(1).build().unwrap();
        let source = Source::default();
        assert_eq!(in_time(source.get(&cache, &["a", "b", "c"])).await.len(), 3);
        assert_eq!(source.calls().len(), 1);
    });
}

/// Broken once: the batch waited for the permit of the load that waited for the batch.
#[test]
fn a_load_with_the_only_permit_may_wait_for_a_batch() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().max_concurrent_loads(1).build().unwrap();
        let inner = cache.clone();
        let loader = move || async move { Source::default().get(&inner, &["a", "b"]).await["a"] };
        assert_eq!(in_time(cache.get_with("outer", loader)).await.unwrap(), 1);
    });
}

#[test]
fn an_answer_per_key_has_its_own_ttl_and_tags_and_may_say_there_is_none() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().absent_ttl(secs(60)).build().unwrap();
        let loader = |_: Vec<String>| async {
            let short = Loaded::new(1).ttl(secs(5));
            let tagged = Loaded::new(2).tags(["t"]);
            Ok::<_, std::io::Error>([("short".to_owned(), short), ("tagged".to_owned(), tagged)])
        };
        let values = cache.get_many_with(["short", "tagged", "none"], loader).await.unwrap();
        assert_eq!(values.len(), 2);
        assert!(cache.is_known_absent("none").await.unwrap());
        rig.advance(5);
        assert_eq!(cache.get_many(["short", "tagged"]).await.unwrap().len(), 1);
        cache.invalidate_tag("t").await.unwrap();
        assert_eq!(cache.get_many(["short", "tagged"]).await.unwrap().len(), 0);
    });
}

#[test]
fn a_dropped_caller_leaves_the_batch_running() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let loader = {
            let gate = Arc::clone(&gate);
            move |keys: Vec<String>| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 1)))
                }
            }
        };
        let caller = tokio::spawn({
            let cache = cache.clone();
            async move { drop(cache.get_many_with(["a", "b"], loader).await) }
        });
        settle().await;
        caller.abort();
        settle().await;
        gate.add_permits(1);
        settle().await;
        assert_eq!(cache.get_many(["a", "b"]).await.unwrap().len(), 2);
    });
}

#[test]
fn single_loads_within_a_window_are_one_batch() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let source = Source::default();
        let loader = {
            let source = source.clone();
            move |keys: Vec<String>| {
                let source = source.clone();
                async move { Ok::<_, std::io::Error>(source.answer(keys)) }
            }
        };
        let window = Duration::from_millis(20);
        let batched = cache.batch_loader(window, 3, loader).unwrap();
        let ask = |key: &'static str| {
            let batched = batched.clone();
            tokio::spawn(async move { batched.get(key).await.unwrap() })
        };
        let early = [ask("a"), ask("bb")];
        settle().await;
        assert_eq!(source.calls().len(), 0);
        rig.clock.advance(window);
        for (task, length) in early.into_iter().zip([1, 2]) {
            assert_eq!(in_time(task).await.unwrap(), Some(length));
        }
        assert_eq!(source.calls(), [["a", "bb"]]);

        // A full batch does not wait for the end of the window.
        let full = ["x", "yy", "zzz"].map(ask);
        settle().await;
        for (task, length) in full.into_iter().zip([1, 2, 3]) {
            assert_eq!(in_time(task).await.unwrap(), Some(length));
        }
        assert_eq!(source.calls().len(), 2);
        // A hit waits for nothing.
        assert_eq!(batched.get("a").await.unwrap(), Some(1));
    });
}

#[test]
fn batches_on_every_runtime_end_and_lose_nothing() {
    let rig = Rig::disk();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let loads = Arc::new(AtomicUsize::new(0));
    runtime.block_on(in_time(async {
        let cache = rig.builder::<u64, u64>().build().unwrap();
        let mut tasks = Vec::new();
        for start in 0..20_u64 {
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            tasks.push(tokio::spawn(async move {
                let keys: Vec<u64> = (start * 10..start * 10 + 100).collect();
                let loader = move |keys: Vec<u64>| {
                    loads.fetch_add(keys.len(), Ordering::SeqCst);
                    async move { Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, key * 2))) }
                };
                let values = cache.get_many_with(&keys, loader).await.unwrap();
                let values = values.into_result().unwrap();
                assert_eq!(values.len(), 100);
                assert!(values.iter().all(|(key, value)| *value == key * 2));
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    }));
    assert_eq!(loads.load(Ordering::SeqCst), 290, "each key is values once");
}

/// Broken once: the permit of such a loader was never given back.
#[test]
fn a_loader_of_many_keys_gives_its_permit_back_when_nobody_waits_any_more() {
    on_all(async |rig| {
        let builder = rig.builder::<String, u32>().max_concurrent_loads(1);
        let cache = builder.defaults(Options::new().hard_timeout(secs(5))).build().unwrap();
        let stuck = tokio::spawn({
            let cache = cache.clone();
            async move {
                let loader = |_: Vec<String>| async {
                    std::future::pending::<()>().await;
                    Ok::<_, std::io::Error>([("a".to_owned(), 1)])
                };
                cache.get_many_with(["a", "b"], loader).await.unwrap().failures().count()
            }
        });
        settle().await;
        rig.advance(6);
        assert_eq!(in_time(stuck).await.unwrap(), 2);
        settle().await;
        assert_eq!(in_time(cache.get_with("c", || async { 3 })).await.unwrap(), 3);
    });
}

#[test]
fn a_window_that_died_with_its_runtime_is_no_trap() {
    let cache = Cache::<String, u32>::new(100).unwrap();
    let loader = |keys: Vec<String>| async move {
        Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 1)))
    };
    let batched = cache.batch_loader(Duration::from_millis(20), 100, loader).unwrap();
    for key in ["a", "b"] {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().build().unwrap();
        if key == "a" {
            let batched = batched.clone();
            runtime.spawn(async move { drop(batched.get("a").await) });
            runtime.block_on(settle());
            continue;
        }
        assert_eq!(runtime.block_on(in_time(batched.get(key))).unwrap(), Some(1));
    }
}

#[test]
fn a_batch_is_never_larger_than_it_may_be() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let most = Arc::new(AtomicUsize::new(0));
    runtime.block_on(in_time(async {
        let cache = Cache::<u64, u64>::new(10_000).unwrap();
        let seen = Arc::clone(&most);
        let loader = move |keys: Vec<u64>| {
            seen.fetch_max(keys.len(), Ordering::SeqCst);
            async move { Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, key))) }
        };
        let batched = cache.batch_loader(Duration::from_millis(1), 7, loader).unwrap();
        let tasks: Vec<_> = (0..2_000)
            .map(|key| {
                let batched = batched.clone();
                tokio::spawn(async move { batched.get(&key).await.unwrap() })
            })
            .collect();
        for (key, task) in (0..).zip(tasks) {
            assert_eq!(task.await.unwrap(), Some(key));
        }
    }));
    assert!((2..=7).contains(&most.load(Ordering::SeqCst)));
}

#[test]
fn a_large_batch_is_sent_in_pieces_and_is_whole() {
    on_shared(async |rig| {
        let cache = rig.builder::<u64, u64>().build().unwrap();
        let stored = cache.insert_many((0..2_500).map(|key| (key, key))).await.unwrap();
        assert_eq!(stored.into_result().unwrap().len(), 2_500);
        let largest = rig.store().calls().iter().map(|call| call.keys.len()).max();
        assert_eq!(largest, Some(1_000));
        let other = rig.builder::<u64, u64>().build().unwrap();
        let keys: Vec<u64> = (0..2_500).collect();
        assert_eq!(other.get_many(&keys).await.unwrap().len(), 2_500);
    });
}

#[test]
fn an_empty_batch_does_nothing() {
    on(Rig::shared(), &async |rig: Rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let none: [&str; 0] = [];
        assert!(cache.get_many(none).await.unwrap().is_empty());
        assert!(cache.insert_many(Vec::<(String, u32)>::new()).await.unwrap().is_empty());
        assert!(rig.store().calls().is_empty());
    });
}
