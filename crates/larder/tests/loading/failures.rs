//! Failures and panics of a loader: all callers share one, and loads rest after it.

use std::time::Duration;

use larder::backend::ErrorKind;
use larder_test_support::{in_time, on_all, secs, settle};

use crate::support::{Gated, Refused, Source, gate, gated};

#[test]
fn after_a_failure_loads_rest_for_ever_longer() {
    on_all(async |rig| {
        let cache = rig.builder().ttl(secs(10)).grace(secs(10_000)).build().unwrap();
        let source = Source::default();
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        rig.advance(10);
        // Each rest is twice the one before, up to a quarter more or less.
        for (failure, half) in [0.5_f64, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0].into_iter().enumerate() {
            let before = source.loads();
            assert_eq!(source.fail(&cache, "a").await.unwrap(), 1, "the stale value");
            assert_eq!(source.loads(), before + 1, "failure {failure}");
            rig.clock.advance(Duration::from_secs_f64(half * 0.74));
            assert_eq!(source.fail(&cache, "a").await.unwrap(), 1);
            assert_eq!(source.loads(), before + 1, "it rests after failure {failure}");
            rig.clock.advance(Duration::from_secs_f64(half * 0.52));
        }
        let next = source.loads() + 1;
        assert_eq!(source.get(&cache, "a").await.unwrap(), next, "and then loads again");
        assert_eq!(cache.get("a").await.unwrap(), Some(next));
    });
}

#[test]
fn a_failed_refresh_leaves_a_fresh_value_and_rests_too() {
    on_all(async |rig| {
        let builder = rig.builder().ttl(secs(100)).refresh_after(secs(5));
        let cache = builder.build().unwrap();
        let source = Source::default();
        source.get(&cache, "a").await.unwrap();
        rig.advance(5);
        for _ in 0..3 {
            assert_eq!(source.fail(&cache, "a").await.unwrap(), 1);
            settle().await;
        }
        assert_eq!(source.loads(), 2);
        assert_eq!(cache.get("a").await.unwrap(), Some(1));
        rig.advance(1);
        source.fail(&cache, "a").await.unwrap();
        settle().await;
        assert_eq!(source.loads(), 3);
    });
}

/// Broken once: the failed load put back the value with the life it had when the load began.
#[test]
fn a_failed_load_does_not_undo_a_change_of_life() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        rig.advance(10);
        let gate = gate();
        let task = tokio::spawn({
            let (cache, loader) = (cache.clone(), gated(&gate, 2));
            async move {
                let fail = || async move { Err::<u32, _>(Refused(loader().await)) };
                cache.try_get_with("a", fail).await
            }
        });
        settle().await;
        assert_eq!(cache.revive("a", secs(1_000)).await.unwrap(), Some(1));
        gate.add_permits(1);
        assert_eq!(in_time(task).await.unwrap().unwrap(), 1);
        rig.advance(500);
        assert_eq!(cache.get("a").await.unwrap(), Some(1));
    });
}

#[test]
fn all_who_waited_share_one_failure_and_nothing_of_it_is_kept() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let source = Source::default();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (cache, source) = (cache.clone(), source.clone());
                tokio::spawn(async move { source.fail(&cache, "a").await })
            })
            .collect();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Loader);
            assert_eq!(error.loader_error::<Refused>(), Some(&Refused(1)));
        }
        assert_eq!(source.get(&cache, "a").await.unwrap(), 2);
        assert_eq!(cache.stats().load_failures, 1);
    });
}

#[test]
fn a_panic_of_the_loader_is_an_error_for_all_and_poisons_nothing() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let panics = || async { panic!("expected") };
        let (one, other) =
            tokio::join!(cache.get_with("a", panics), cache.get_with("a", || async { 2 }));
        for error in [one.unwrap_err(), other.unwrap_err()] {
            assert!(error.is_panic());
            assert_eq!(error.kind(), ErrorKind::Loader);
        }
        // A loader may also panic before there is a future.
        let error = cache.get_with("a", || -> Gated { panic!("expected") }).await.unwrap_err();
        assert!(error.is_panic());
        assert!(rig.store.is_none() || rig.record("a").is_none());
        assert_eq!(cache.get_with("a", || async { 3 }).await.unwrap(), 3);
    });
}
