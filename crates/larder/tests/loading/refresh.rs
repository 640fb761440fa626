//! Refreshes: loads in the background of a present value, begun by age, by hand or by chance.

use std::fmt;
use std::time::Duration;

use larder::Options;
use larder_test_support::{on_all, on_shared, secs, settle};

use crate::support::{Source, gate, gated};

#[test]
fn a_hit_past_refresh_after_is_answered_and_loads_once_behind() {
    on_all(async |rig| {
        let source = Source::default();
        let builder = rig.builder().ttl(secs(10)).refresh_after(secs(5));
        let cache = builder.build().unwrap();
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        rig.clock.advance(Duration::from_millis(4_999));
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        settle().await;
        assert_eq!(source.loads(), 1, "not yet");
        rig.clock.advance(Duration::from_millis(1));
        for _ in 0..5 {
            assert_eq!(source.get(&cache, "a").await.unwrap(), 1, "without waiting");
        }
        settle().await;
        assert_eq!(source.loads(), 2);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 2);
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().age, Some(secs(0)));
    });
}

#[test]
fn a_refresh_that_another_process_has_made_is_adopted() {
    on_shared(async |rig| {
        let source = Source::default();
        let build = || rig.builder().ttl(secs(10)).refresh_after(secs(5)).build().unwrap();
        let (cache, other) = (build(), build());
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        assert_eq!(source.get(&other, "a").await.unwrap(), 1);
        rig.advance(5);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        settle().await;
        assert_eq!(source.get(&other, "a").await.unwrap(), 1);
        settle().await;
        assert_eq!(source.loads(), 2);
        assert_eq!(source.get(&other, "a").await.unwrap(), 2);
    });
}

#[test]
fn a_refresh_by_hand_loads_behind_whatever_is_there() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        let gate = gate();
        let start = |value| {
            let loader = gated(&gate, value);
            cache.refresh("a", |_| async { Ok::<_, fmt::Error>(loader().await) }).unwrap()
        };
        assert!(start(2));
        settle().await;
        assert!(!start(3), "one is enough");
        assert_eq!(cache.get("a").await.unwrap(), Some(1));
        gate.add_permits(1);
        settle().await;
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
    });
}

#[test]
fn xfetch_loads_early_just_before_the_expiry_and_never_far_from_it() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(100)).build().unwrap();
        let eager = cache.with(Options::new().early_refresh(1.0));
        let clock = rig.clock.clone();
        // The load costs one second of the clock.
        let slow = move || async move {
            clock.advance(secs(1));
            1
        };
        eager.get_with("a", slow).await.unwrap();
        let source = Source::default();
        rig.advance(80);
        for _ in 0..200 {
            source.get(&eager, "a").await.unwrap();
        }
        settle().await;
        assert_eq!(source.loads(), 0, "further than ten loads away");
        let left = cache.entry_info("a").await.unwrap().unwrap().ttl_left;
        rig.clock.advance(left.checked_sub(Duration::from_nanos(1)).unwrap());
        source.get(&eager, "a").await.unwrap();
        settle().await;
        assert_eq!(source.loads(), 1);
    });
}
