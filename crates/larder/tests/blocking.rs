//! The view for code outside of tasks: every verb, in and out of every runtime.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::{Cache, ErrorKind, Event, Loaded, Options, Reach, Ttl};
use larder_test_support::{Rig, Told, entry, in_time, on, on_all, on_shared, secs, settle};
use tokio::sync::Semaphore;

/// Runs a body outside of any runtime, on a current-thread one, and on one of many threads.
fn everywhere(body: impl Fn(Rig) + Sync) {
    for rig in Rig::all() {
        std::thread::scope(|scope| scope.spawn(|| body(rig)).join().unwrap());
    }
    for rig in Rig::all() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { body(rig) });
    }
    for rig in Rig::all() {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_time().build().unwrap().block_on(async { body(rig) });
    }
}

fn keys(cache: &Cache<String, u32>, pattern: &str) -> BTreeSet<String> {
    cache.blocking().keys(pattern).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_verb_works_in_and_out_of_every_runtime() {
    everywhere(|rig| {
        let told = Told::default();
        let builder = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60));
        let cache = builder.on_event(told.observer()).build().unwrap();
        let view = cache.blocking();
        assert_eq!(view.insert("a".into(), 1).unwrap(), Reach::Confirmed);
        assert_eq!((view.get("a").unwrap(), view.peek("a").unwrap()), (Some(1), Some(1)));
        assert_eq!((view.get_or("x", 9).unwrap(), view.get_or_err("a").unwrap()), (9, 1));
        assert_eq!(view.get_or_err("x").unwrap_err().kind(), ErrorKind::NotFound);
        assert!(view.contains_key("a").unwrap() && !view.contains_key("x").unwrap());
        assert!(!view.insert_if_absent("a".into(), 2).unwrap());
        assert!(view.replace("a".into(), 2).unwrap());
        assert!(view.replace_if("a".into(), 3, |there| *there == 2).unwrap());
        assert!(view.compare_and_set("a".into(), 3, 4).unwrap());
        assert!(view.set_ttl("a", secs(5)).unwrap());
        assert_eq!(view.ttl("a").unwrap(), Some(Ttl::For(secs(5))));
        assert!(view.touch("a").unwrap() && view.persist("a").unwrap());
        assert_eq!(view.ttl("a").unwrap(), Some(Ttl::Never));
        assert!(view.entry_info("a").unwrap().is_some());
        assert!(view.mark_stale("a").unwrap());
        assert_eq!((view.get("a").unwrap(), view.revive("a", secs(5)).unwrap()), (None, Some(4)));
        assert_eq!(view.remove("a").unwrap(), Some(4));
        assert_eq!((view.incr("n", 5).unwrap(), view.counter("n").unwrap()), (5, Some(5)));
        assert_eq!(view.optionally_get_with("none", || None).unwrap(), None);
        assert!(!view.is_known_absent("none").unwrap());

        let stored = view.insert_many([("b".to_owned(), 1), ("c".to_owned(), 2)]).unwrap();
        assert_eq!(stored.len(), 2);
        assert_eq!(view.get_many(["b", "c", "x"]).unwrap().len(), 2);
        assert_eq!(view.contains_many(["b", "x"]).unwrap().get("x"), Some(&false));
        let loader = |keys: Vec<String>| {
            assert_eq!(keys, ["d"]);
            Ok::<_, std::io::Error>([("d".to_owned(), 3)])
        };
        assert_eq!(view.get_many_with(["b", "d"], loader).unwrap().len(), 2);
        assert_eq!(keys(&cache, "[bcd]"), ["b", "c", "d"].map(str::to_owned).into());
        assert_eq!((view.count("*").unwrap(), view.clear("[b]").unwrap()), (4, 1));
        assert_eq!(view.invalidate_many(["c"]).unwrap().len(), 1);
        assert_eq!(view.remove_many(["c", "d"]).unwrap().len(), 1);

        let tagged = cache.with(Options::new().tags(["t"]));
        tagged.blocking().insert("t".into(), 1).unwrap();
        view.mark_tag_stale("t").unwrap();
        assert_eq!(view.get("t").unwrap(), None);
        tagged.blocking().insert("t".into(), 1).unwrap();
        view.invalidate_tag("t").unwrap();
        assert_eq!(view.get("t").unwrap(), None);
        view.insert("e".into(), 1).unwrap();
        view.mark_all_stale().unwrap();
        view.invalidate_all().unwrap();
        assert_eq!(view.count("*").unwrap(), 0);

        assert!(view.refresh("r", |_| Ok::<_, std::io::Error>(7)).unwrap());
        while view.get("r").unwrap().is_none() {
            std::thread::yield_now();
        }
        if rig.store.is_none() {
            let lock = view.lock("l", secs(5)).unwrap();
            assert!(view.try_lock("l", secs(5)).unwrap().is_none());
            assert!(lock.left() > Duration::ZERO);
        }
        assert!(view.stats().hits > 0);
        view.close().unwrap();
        view.close().unwrap();
        assert_eq!(view.get("a").unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(told.count(|event| matches!(event, Event::SharedFailed(_))), 0);
    });
}

#[test]
fn a_blocking_batch_shares_loads_with_asynchronous_callers() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    for rig in Rig::all() {
        runtime.block_on(in_time(async {
            let cache = rig.builder::<String, u32>().build().unwrap();
            let gate = Arc::new(Semaphore::new(0));
            let single = tokio::spawn({
                let (cache, gate) = (cache.clone(), Arc::clone(&gate));
                async move {
                    let loader = || async move {
                        gate.acquire().await.unwrap().forget();
                        9
                    };
                    cache.get_with("b", loader).await.unwrap()
                }
            });
            while cache.stats().loads == 0 {
                tokio::task::yield_now().await;
            }
            let batch = tokio::task::spawn_blocking({
                let cache = cache.clone();
                move || {
                    let loader = |keys: Vec<String>| {
                        assert_eq!(keys, ["a"]);
                        gate.add_permits(1);
                        Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 1)))
                    };
                    cache.blocking().get_many_with(["a", "b"], loader).unwrap().into_map()
                }
            });
            let batch = batch.await.unwrap();
            assert_eq!((batch["a"], batch["b"], single.await.unwrap()), (1, 9, 9));
        }));
    }
}

/// Broken once: the batch waited for a task of the very thread that it kept from running.
#[test]
fn on_a_current_thread_runtime_a_batch_waits_for_no_task_of_its_thread() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let task = tokio::spawn({
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            async move {
                let loader = || async move {
                    gate.acquire().await.unwrap().forget();
                    1
                };
                cache.get_with("a", loader).await.unwrap()
            }
        });
        settle().await;
        let loader =
            |keys: Vec<String>| Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 2)));
        let batch = cache.blocking().get_many_with(["a", "b"], loader).unwrap();
        assert_eq!(batch.get("a"), Some(&2));
        gate.add_permits(1);
        assert_eq!(task.await.unwrap(), 1);
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
    });
}

#[test]
fn a_blocking_batch_loader_may_fail_panic_or_ask_for_its_own_keys() {
    everywhere(|rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let view = cache.blocking();
        let failed = view.get_many_with(["a"], |_| Err::<Vec<(String, u32)>, _>("down")).unwrap();
        assert_eq!(failed.failure("a").unwrap().kind(), ErrorKind::Loader);
        let panicked = view
            .get_many_with(["a"], |_| -> Result<Vec<(String, u32)>, std::io::Error> {
                panic!("expected")
            })
            .unwrap();
        assert!(panicked.failure("a").unwrap().is_panic());
        let asked = AtomicUsize::new(0);
        let loader = |keys: Vec<String>| {
            let error = view.get_with("a", || 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Reentrant);
            // Another key is another load.
            assert_eq!(view.get_with("inner", || 3).unwrap(), 3);
            asked.fetch_add(1, Ordering::SeqCst);
            let tagged = Loaded::new(5).tags(["t"]);
            Ok::<_, std::io::Error>(
                keys.into_iter()
                    .map(move |key| (key, Loaded::from(5)))
                    .chain([("more".to_owned(), tagged)]),
            )
        };
        assert_eq!(view.get_many_with(["a"], loader).unwrap().get("a"), Some(&5));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(view.get("a").unwrap(), Some(5));
    });
}

#[test]
fn a_lock_is_shared_by_all_caches_of_a_store() {
    on_shared(async |rig| {
        let [one, other] = [(), ()].map(|()| rig.builder::<String, u32>().build().unwrap());
        let lock = one.lock("l", secs(10)).await.unwrap();
        assert!(other.try_lock("l", secs(10)).await.unwrap().is_none());
        assert!(rig.record("l").is_none(), "an entry of that name is something else");
        assert_eq!(
            entry("l").text(&larder::backend::Namespace::new("larder").unwrap()),
            Some(&b"l"[..])
        );
        rig.advance(10);
        assert!(other.try_lock("l", secs(10)).await.unwrap().is_some());
        assert!(!lock.release().await.unwrap());
    });
    on(Rig::memory(), &async |rig: Rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let waiting = cache.with(Options::new().hard_timeout(secs(3)));
        let _lock = cache.lock("l", secs(100)).await.unwrap();
        let task = tokio::spawn(async move { waiting.lock("l", secs(1)).await.map(drop) });
        for _ in 0..50 {
            settle().await;
            rig.clock.advance(Duration::from_millis(100));
        }
        assert_eq!(in_time(task).await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    });
}

/// Broken once: the call asked for the lock on a thread without timers, and panicked.
#[test]
fn a_lock_is_waited_for_on_any_thread() {
    let cache = Cache::<u64, u64>::new(100).unwrap();
    let view = cache.blocking();
    let held = view.lock("l", Duration::from_millis(50)).unwrap();
    let next = view.lock("l", secs(10)).unwrap();
    assert!(next.left() > Duration::ZERO);
    drop(held);
    let error = larder_testkit::block_on(cache.lock("m", secs(1)));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NoRuntime);
}

/// Broken once: the read on the cache's own thread waited for a copy that this thread was to make.
#[test]
fn on_a_current_thread_runtime_reads_wait_for_no_task_of_their_thread() {
    on_shared(async |rig| {
        rig.builder::<String, u32>().build().unwrap().insert("a".into(), 7).await.unwrap();
        let cache = rig.builder::<String, u32>().build().unwrap();
        let hold = larder_testkit::Fault::Hold;
        rig.store().next(larder_testkit::Operation::Read, hold);
        let copy = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get("a").await.unwrap() }
        });
        settle().await;
        let view = cache.blocking();
        assert_eq!(view.get_or("a", 0).unwrap(), 7);
        assert_eq!(view.get_many(["a"]).unwrap().len(), 1);
        rig.store().release_all();
        assert_eq!(in_time(copy).await.unwrap(), Some(7));
    });
}

/// Broken once: the close waited for loads of the thread that it kept from running.
#[test]
fn a_close_never_waits_for_its_own_thread() {
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
                cache.get_with("a", loader).await
            }
        });
        settle().await;
        cache.blocking().close().unwrap();
        assert_eq!(cache.get("a").await.unwrap_err().kind(), ErrorKind::Closed);
        gate.add_permits(1);
        assert_eq!(in_time(load).await.unwrap().unwrap(), 1);
    });
    let cache = Cache::<String, u32>::new(100).unwrap();
    let view = cache.blocking();
    let asked =
        view.get_with("a", || u32::from(view.close().unwrap_err().kind() == ErrorKind::Reentrant));
    assert_eq!(asked.unwrap(), 1);
}

/// Broken once: the addition waited behind another one that needed this thread.
#[test]
fn on_a_current_thread_runtime_a_sum_waits_for_no_turn_for_ever() {
    on(Rig::shared(), &async |rig: Rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.incr("n", 1).await.unwrap();
        rig.store().next(larder_testkit::Operation::Write, larder_testkit::Fault::Hold);
        let first = tokio::spawn({
            let cache = cache.clone();
            async move { cache.incr("n", 1).await.unwrap() }
        });
        settle().await;
        let (clock, is_over) = (rig.clock.clone(), Arc::new(AtomicUsize::new(0)));
        let over = Arc::clone(&is_over);
        let time = std::thread::spawn(move || {
            while over.load(Ordering::SeqCst) == 0 {
                clock.advance(Duration::from_millis(10));
                std::thread::yield_now();
            }
        });
        assert!(cache.blocking().incr("n", 1).is_ok());
        is_over.store(1, Ordering::SeqCst);
        time.join().unwrap();
        rig.store().release_all();
        let _ = in_time(first).await;
        assert!(cache.counter("n").await.unwrap().unwrap() >= 2);
    });
}
