//! Blocking callers: each shares loads with asynchronous ones, and never waits for its own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder::Cache;
use larder_test_support::{Rig, entry, in_time, on_all, on_shared, settle};
use larder_testkit::{Fault, Operation, block_on};

use crate::support::{gate, gated};

#[test]
fn blocking_callers_share_loads_with_asynchronous_ones() {
    for rig in Rig::all() {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        // An asynchronous load leads.
        let open = gate();
        let leader = runtime.spawn({
            let (cache, loader) = (cache.clone(), gated(&open, 1));
            async move { cache.get_with("a", loader).await }
        });
        while cache.stats().loads == 0 {
            std::thread::yield_now();
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| cache.blocking().get_with("a", || 2))).collect();
            let inside: Vec<_> = (0..4)
                .map(|_| {
                    let cache = cache.clone();
                    runtime.spawn(async move { cache.blocking().get_with("a", || 3) })
                })
                .collect();
            while cache.stats().coalesced < 8 {
                std::thread::yield_now();
            }
            open.add_permits(1);
            for thread in threads {
                assert_eq!(thread.join().unwrap().unwrap(), 1);
            }
            for task in inside {
                assert_eq!(block_on(task).unwrap().unwrap(), 1);
            }
        });
        assert_eq!(block_on(leader).unwrap().unwrap(), 1);

        // A blocking load leads; threads and tasks follow.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| {
                cache.blocking().get_with("b", move || {
                    wait.recv().unwrap();
                    4
                })
            });
            while cache.stats().loads == 1 {
                std::thread::yield_now();
            }
            let thread = scope.spawn(|| cache.blocking().get_with("b", || 5));
            let task = runtime.spawn({
                let cache = cache.clone();
                async move { cache.get_with("b", || async { 6 }).await }
            });
            while cache.stats().coalesced < 10 {
                std::thread::yield_now();
            }
            go.send(()).unwrap();
            assert_eq!(leader.join().unwrap().unwrap(), 4);
            assert_eq!(thread.join().unwrap().unwrap(), 4);
            assert_eq!(block_on(task).unwrap().unwrap(), 4);
        });
        assert_eq!(cache.stats().loads, 2);
    }
}

/// Broken once: with a shared store the caller was taken for one of the cache's own thread, waited
/// for its own runtime, and hung.
#[test]
fn a_blocking_caller_on_a_current_thread_runtime_never_waits_for_that_runtime() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let stuck = gated(&gate(), 1);
        let leader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", stuck).await }
        });
        settle().await;
        // The caller does not wait for the lease that the leader left, either.
        assert_eq!(cache.blocking().get_with("a", || 2).unwrap(), 2);
        assert_eq!(cache.blocking().get("a").unwrap(), Some(2));
        leader.abort();
    });
}

/// Broken once: a fill that the same runtime was to run hung the caller as well.
#[test]
fn a_blocking_get_on_a_current_thread_runtime_never_waits_for_that_runtime() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let other = rig.builder::<String, u32>().build().unwrap();
        other.insert("a".into(), 7).await.unwrap();
        let meant = entry("a");
        rig.store().every_where(Operation::Read, Fault::Hold, move |key| *key == meant);
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get("a").await }
        });
        rig.store().until_held(1).await;
        rig.store().clear();
        assert_eq!(cache.blocking().get("a").unwrap(), Some(7));
        rig.store().release_all();
        assert_eq!(in_time(reader).await.unwrap().unwrap(), Some(7));
    });
}

/// The listener runs on the cache's own thread there, which waited for itself.
#[test]
fn a_listener_may_call_a_blocking_cache() {
    for rig in Rig::all() {
        let slot = Arc::new(std::sync::OnceLock::<Cache<String, u32>>::new());
        let seen = Arc::new(AtomicUsize::new(0));
        let (inner, count) = (Arc::clone(&slot), Arc::clone(&seen));
        let builder = rig.builder::<String, u32>().listener(move |_, value, _| {
            let cache = inner.get().unwrap();
            assert_eq!(cache.blocking().get("other").unwrap(), Some(9));
            count.fetch_add(usize::try_from(*value).unwrap(), Ordering::SeqCst);
        });
        let cache = slot.get_or_init(|| builder.build().unwrap());
        cache.blocking().insert("other".into(), 9).unwrap();
        cache.blocking().insert("a".into(), 1).unwrap();
        cache.blocking().invalidate("a").unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 1);
        assert_eq!(cache.stats().listener_panics, 0);
    }
}
