//! Runtimes that go down with their loads, and calls from outside of any.

use larder::Cache;
use larder::backend::{Error, ErrorKind};
use larder_test_support::{Rig, in_time, secs, settle};
use larder_testkit::block_on;

use crate::support::{Refused, gate, gated};

#[test]
fn when_a_runtime_goes_down_with_its_load_a_follower_of_another_leads() {
    for rig in Rig::all() {
        // The lease of the dead load is not waited for: the clock stands still.
        let builder = rig.builder::<String, u32>().wait_for_leases(false);
        let cache = builder.build().unwrap();
        let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (started, is_started) = std::sync::mpsc::channel();
        dying.spawn({
            let cache = cache.clone();
            async move {
                let never = || async move {
                    started.send(()).unwrap();
                    std::future::pending().await
                };
                cache.get_with("a", never).await
            }
        });
        is_started.recv().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let follower = tokio::spawn({
                let cache = cache.clone();
                async move { cache.get_with("a", || async { 2 }).await }
            });
            settle().await;
            assert!(!follower.is_finished());
            dying.shutdown_background();
            assert_eq!(in_time(follower).await.unwrap().unwrap(), 2);
            assert_eq!(cache.get("a").await.unwrap(), Some(2));
        });
    }
}

#[test]
fn a_miss_outside_of_a_runtime_is_an_error_and_a_hit_is_not() {
    for rig in Rig::all() {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let error = block_on(cache.get_with("a", || async { 1 })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
        let error = cache.refresh("a", |_| async { Ok::<_, Refused>(1) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
        assert_eq!(cache.blocking().get_with("a", || 2).unwrap(), 2);
        assert_eq!(block_on(cache.get("a")).unwrap(), Some(2));
        assert_eq!(block_on(cache.get_with("a", || async { 3 })).unwrap(), 2);
    }
}

/// Broken once: a wait on the system's clock panicked where no runtime drives timers.
#[test]
fn what_waits_on_the_systems_clock_outside_of_a_runtime_is_an_error() {
    let rig = Rig::shared();
    let build = |shared: bool| {
        let builder = Cache::<String, u32>::builder().tag_check(secs(0)).local_ttl(secs(0));
        if shared { builder.backend(rig.store().clone()) } else { builder }.build().unwrap()
    };
    let shared = build(true);
    shared.blocking().insert("a".into(), 7).unwrap();
    let no_runtime = |error: Error| assert_eq!(error.kind(), ErrorKind::NoRuntime);
    no_runtime(block_on(shared.get("a")).unwrap_err());
    no_runtime(block_on(shared.peek("a")).unwrap_err());
    no_runtime(block_on(shared.entry_info("a")).unwrap_err());
    no_runtime(block_on(shared.get_with("a", || async { 8 })).unwrap_err());
    no_runtime(block_on(shared.invalidate("a")).unwrap_err());
    assert_eq!(shared.blocking().get("a").unwrap(), Some(7));

    // A follower of a load that a runtime runs.
    let memory = build(false);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_time().build().unwrap();
    let gate = gate();
    let leader = runtime.spawn({
        let (memory, loader) = (memory.clone(), gated(&gate, 1));
        async move { memory.get_with("a", loader).await }
    });
    while memory.stats().loads == 0 {
        std::thread::yield_now();
    }
    no_runtime(block_on(memory.get_with("a", || async { 2 })).unwrap_err());
    gate.add_permits(1);
    assert_eq!(block_on(leader).unwrap().unwrap(), 1);
}
