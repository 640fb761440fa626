//! Outages of the store: loads are answered all the same, and fail only in strict mode.

use larder::backend::{Error, ErrorKind};
use larder::{Event, Reach};
use larder_test_support::{Told, on_shared, secs};
use larder_testkit::{Fault, Operation};

use crate::support::Source;

#[test]
fn while_the_store_is_down_loads_are_answered_and_kept_for_a_while() {
    on_shared(async |rig| {
        let told = Told::default();
        let builder = rig.builder::<String, u32>().on_event(told.observer());
        let cache = builder.ttl(secs(100)).degraded_ttl(secs(5)).build().unwrap();
        for operation in [Operation::Read, Operation::Write, Operation::Delete] {
            rig.store().every(operation, Fault::Fail(ErrorKind::Unavailable));
        }
        let source = Source::default();
        for _ in 0..3 {
            assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
            rig.advance(1);
        }
        assert_eq!(cache.get("missing").await.unwrap(), None);
        assert!(told.count(|event| matches!(event, Event::SharedFailed(_))) >= 2);
        rig.advance(2);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 2, "after the degraded ttl");
        assert_eq!(cache.invalidate("a").await.unwrap(), Reach::Local);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 3);
        rig.store().clear();
        rig.advance(5);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 4);
        let other = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(other.get("a").await.unwrap(), Some(4));
    });
}

/// Broken once: the lease stayed, and the next load waited for it.
#[test]
fn a_result_that_cannot_be_written_takes_its_lease_along() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let store = rig.store().clone();
        let loader = || async move {
            store.next(Operation::Write, Fault::Fail(ErrorKind::Unavailable));
            1
        };
        assert_eq!(cache.get_with("a", loader).await.unwrap(), 1);
        assert_eq!(told.count(|event| matches!(event, Event::SharedFailed(_))), 1);
        assert!(rig.record("a").is_none());
        assert_eq!(cache.get_with("a", || async { 2 }).await.unwrap(), 2);
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
    });
}

#[test]
fn in_strict_mode_the_stores_failures_are_errors() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().strict(true).build().unwrap();
        cache.insert("kept".into(), 7).await.unwrap();
        for operation in [Operation::Read, Operation::Write, Operation::Delete] {
            rig.store().every(operation, Fault::Fail(ErrorKind::Unavailable));
        }
        let is_down = |error: Error| assert_eq!(error.kind(), ErrorKind::Unavailable);
        let source = Source::default();
        is_down(cache.get("a").await.unwrap_err());
        is_down(cache.peek("a").await.unwrap_err());
        is_down(source.get(&cache, "a").await.unwrap_err());
        is_down(cache.insert("a".into(), 1).await.unwrap_err());
        is_down(cache.invalidate("a").await.unwrap_err());
        is_down(cache.invalidate_tag("t").await.unwrap_err());
        is_down(cache.invalidate_all().await.unwrap_err());
        assert_eq!(source.loads(), 0);
        is_down(cache.get("kept").await.unwrap_err());
    });
}
