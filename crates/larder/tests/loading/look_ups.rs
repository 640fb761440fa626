//! Loads and look-ups of one key at the same time: neither takes the other's answer for its own.

use larder::Event;
use larder::backend::ErrorKind;
use larder_test_support::{Told, in_time, on_shared, secs, settle};
use larder_testkit::{Fault, Operation};

use crate::support::{gate, gated, stale_too};

/// Broken once: the load took the outage that the look-up had met for its own failure.
#[test]
fn a_load_that_meets_a_failing_look_up_loads_all_the_same() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        rig.store().next(Operation::Read, Fault::Hold);
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get("a").await }
        });
        rig.store().until_held(1).await;
        let loader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", || async { 7 }).await }
        });
        settle().await;
        // The waiting read runs into the backend's timeout.
        rig.advance(2);
        assert_eq!(in_time(reader).await.unwrap().unwrap(), None);
        assert_eq!(in_time(loader).await.unwrap().unwrap(), 7);
    });
}

/// Broken once: the load was answered with the stale value, and never ran.
#[test]
fn a_load_that_meets_a_look_up_of_a_stale_value_loads() {
    on_shared(async |rig| {
        let build = || rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        let cache = build();
        build().insert("a".into(), 1).await.unwrap();
        rig.advance(10);
        rig.store().next(Operation::Read, Fault::Hold);
        let reader = tokio::spawn({
            let cache = stale_too(&cache);
            async move { cache.get("a").await }
        });
        rig.store().until_held(1).await;
        let loader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", || async { 2 }).await }
        });
        settle().await;
        rig.store().release_all();
        // The result depends on which of the two comes to the store first.
        assert!(matches!(in_time(reader).await.unwrap().unwrap(), Some(1 | 2)));
        assert_eq!(in_time(loader).await.unwrap().unwrap(), 2);
    });
}

#[test]
fn a_look_up_beside_a_load_tells_of_the_stores_failure() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let gate = gate();
        let task = tokio::spawn({
            let (cache, loader) = (cache.clone(), gated(&gate, 1));
            async move { cache.get_with("a", loader).await }
        });
        settle().await;
        rig.store().next(Operation::Read, Fault::Fail(ErrorKind::Unavailable));
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::SharedFailed(_))), 1);
        gate.add_permits(1);
        assert_eq!(in_time(task).await.unwrap().unwrap(), 1);
    });
}
