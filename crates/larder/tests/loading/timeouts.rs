//! Soft and hard timeouts: each caller waits as long as its own options say.

use larder::backend::{ErrorKind, Kind};
use larder::{Event, Options};
use larder_test_support::{Told, in_time, on_all, secs, settle};

use crate::support::{Source, gate, gated};

#[test]
fn a_soft_timeout_hands_out_the_stale_value_and_the_load_finishes_behind() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        let soft = cache.with(Options::new().soft_timeout(secs(2)));
        cache.insert("a".into(), 1).await.unwrap();
        rig.advance(10);
        let gate = gate();
        let task = tokio::spawn({
            let (soft, loader) = (soft.clone(), gated(&gate, 2));
            async move { soft.get_with("a", loader).await }
        });
        settle().await;
        assert!(!task.is_finished());
        rig.advance(2);
        assert_eq!(in_time(task).await.unwrap().unwrap(), 1);
        gate.add_permits(1);
        settle().await;
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
        assert_eq!(cache.stats().stale_hits, 1);
    });
}

#[test]
fn a_soft_timeout_without_a_stale_value_waits_for_the_load() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let gate = gate();
        let soft = cache.with(Options::new().soft_timeout(secs(2)));
        let loader = gated(&gate, 1);
        let task = tokio::spawn(async move { soft.get_with("a", loader).await });
        settle().await;
        rig.advance(5);
        settle().await;
        assert!(!task.is_finished());
        gate.add_permits(1);
        assert_eq!(in_time(task).await.unwrap().unwrap(), 1);
    });
}

#[test]
fn a_hard_timeout_is_an_error_and_takes_the_lease_away() {
    on_all(async |rig| {
        let told = Told::default();
        let builder = rig.builder::<String, u32>().on_event(told.observer());
        let cache = builder.defaults(Options::new().hard_timeout(secs(5))).build().unwrap();
        let loader = gated(&gate(), 1);
        let task = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", loader).await }
        });
        settle().await;
        if rig.store.is_some() {
            assert_eq!(rig.record("a").unwrap().header.kind, Kind::Lease);
        }
        rig.advance(5);
        let error = in_time(task).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        settle().await;
        assert_eq!(told.count(|event| matches!(event, Event::LoadFailed(_))), 1);
        assert!(rig.store.is_none() || rig.record("a").is_none());
        assert_eq!(Source::default().get(&cache, "a").await.unwrap(), 1);
    });
}

#[test]
fn a_hard_timeout_gives_the_stale_value_if_there_is_one() {
    on_all(async |rig| {
        let options = Options::new().hard_timeout(secs(5)).ttl(secs(10)).grace(secs(60));
        let cache = rig.builder::<String, u32>().defaults(options).build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        rig.advance(10);
        let loader = gated(&gate(), 2);
        let task = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", loader).await }
        });
        settle().await;
        rig.advance(5);
        assert_eq!(in_time(task).await.unwrap().unwrap(), 1);
    });
}

#[test]
fn each_caller_waits_as_long_as_its_own_options_say() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(100)).build().unwrap();
        let gate = gate();
        let ask = |options: Options, value| {
            let (cache, loader) = (cache.with(options), gated(&gate, value));
            tokio::spawn(async move { cache.get_with("a", loader).await })
        };
        let leader = ask(Options::new().ttl(secs(7)), 1);
        settle().await;
        let hasty = ask(Options::new().hard_timeout(secs(1)), 2);
        let patient = ask(Options::new().hard_timeout(secs(20)), 3);
        settle().await;
        rig.advance(1);
        let error = in_time(hasty).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        gate.add_permits(1);
        assert_eq!(in_time(patient).await.unwrap().unwrap(), 1);
        assert_eq!(in_time(leader).await.unwrap().unwrap(), 1);
        let left = cache.entry_info("a").await.unwrap().unwrap().ttl_left;
        assert_eq!(left, secs(7), "the leader's options decide its life");
    });
}
