//! F19: loads that wait for themselves.

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder::backend::ErrorKind;
use larder::{Cache, LocalCache, Options};
use larder_test_support::{Rig, in_time, on_all, secs, settle};

use crate::support::threads;

/// Asks for a key from within the load of another.
fn nested(
    cache: &Cache<String, u32>,
    outer: &'static str,
    inner: &'static str,
) -> impl Future<Output = larder::Result<u32>> + Send + 'static {
    let cache = cache.clone();
    async move {
        let again = cache.clone();
        let loader = move || async move {
            settle().await;
            again.get_with(inner, || async { 1 }).await
        };
        cache.try_get_with(outer, loader).await
    }
}

fn is_reentrant(error: &larder::Error) -> bool {
    let inner = error.loader_error::<larder::Error>();
    error.kind() == ErrorKind::Reentrant || inner.is_some_and(is_reentrant)
}

#[test]
fn f19_a_loader_that_asks_for_its_own_key_is_told_at_once() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        assert!(is_reentrant(&in_time(nested(&cache, "a", "a")).await.unwrap_err()));
        assert_eq!(in_time(nested(&cache, "a", "b")).await.unwrap(), 1, "another key is fine");

        // A cycle by way of another key.
        let (second, third) = (cache.clone(), cache.clone());
        let round = || async move {
            let back = || async move { third.get_with("c", || async { 1 }).await };
            second.try_get_with("d", back).await
        };
        assert!(is_reentrant(&in_time(cache.try_get_with("c", round)).await.unwrap_err()));

        // A cycle by a blocking call inside an asynchronous load, on its only thread.
        let again = cache.clone();
        let blocking = || async move { again.blocking().get_with("e", || 1) };
        assert!(is_reentrant(&in_time(cache.try_get_with("e", blocking)).await.unwrap_err()));
    });
}

#[test]
fn f19_a_blocking_loader_that_asks_for_its_own_key_is_told_at_once() {
    for rig in Rig::all() {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let ask = || {
            let blocking = cache.blocking();
            blocking.try_get_with("a", || cache.blocking().get_with("a", || 1)).unwrap_err()
        };
        assert!(is_reentrant(&ask()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert!(is_reentrant(&runtime.block_on(async { ask() })));
        assert!(is_reentrant(&threads(1).block_on(async { ask() })));
        assert_eq!(cache.blocking().get_with("a", || 2).unwrap(), 2);
    }
    let local = LocalCache::<u8, u32>::new(9);
    let ask = AssertUnwindSafe(|| local.get_with(&1, || local.get_with(&1, || 1)));
    assert!(catch_unwind(ask).is_err());
    assert_eq!(local.get_with(&1, || 2), 2);
}

#[test]
fn f19_of_two_loads_that_wait_for_each_other_one_is_told_at_once() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        for _ in 0..20 {
            let (one, other) =
                in_time(async { tokio::join!(nested(&cache, "a", "b"), nested(&cache, "b", "a")) })
                    .await;
            let errors: Vec<_> =
                [&one, &other].into_iter().filter_map(|r| r.as_ref().err()).collect();
            assert!(!errors.is_empty() && errors.iter().all(|error| is_reentrant(error)));
            for key in ["a", "b"] {
                cache.invalidate(key).await.unwrap();
                assert_eq!(cache.get_with(key, || async { 2 }).await.unwrap(), 2);
                cache.invalidate(key).await.unwrap();
            }
        }
    });
}

#[test]
fn f19_a_cycle_that_cannot_be_seen_ends_with_the_hard_timeout() {
    on_all(async |rig| {
        let options = Options::new().hard_timeout(secs(5));
        let cache = rig.builder::<String, u32>().defaults(options).build().unwrap();
        let task = tokio::spawn({
            let cache = cache.clone();
            async move {
                let again = cache.clone();
                // A task of its own is not inside the load.
                let loader = || async move {
                    tokio::spawn(async move { again.get_with("a", || async { 1 }).await })
                        .await
                        .unwrap()
                };
                cache.try_get_with("a", loader).await
            }
        });
        settle().await;
        rig.advance(5);
        let error = in_time(task).await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Loader));
        settle().await;
        assert_eq!(cache.get_with("a", || async { 2 }).await.unwrap(), 2);
    });
}
