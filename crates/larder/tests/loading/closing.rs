//! A close waits for the loads and changes that have begun, and refuses all later ones.

use larder::Reach;
use larder::backend::{Error, ErrorKind};
use larder_test_support::{in_time, on_all, on_shared, secs, settle};
use larder_testkit::{Fault, Operation};

use crate::support::{gate, gated};

#[test]
fn close_waits_for_loads_and_refuses_what_comes_later() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("there".into(), 7).await.unwrap();
        let gate = gate();
        let task = tokio::spawn({
            let (cache, loader) = (cache.clone(), gated(&gate, 1));
            async move { cache.get_with("a", loader).await }
        });
        settle().await;
        let closing = tokio::spawn({
            let cache = cache.clone();
            async move { cache.close().await }
        });
        settle().await;
        assert!(!closing.is_finished());
        gate.add_permits(1);
        assert_eq!(in_time(task).await.unwrap().unwrap(), 1, "it was there before");
        in_time(closing).await.unwrap().unwrap();
        cache.close().await.unwrap();
        let is_closed = |error: Error| assert_eq!(error.kind(), ErrorKind::Closed);
        for key in ["there", "a", "missing"] {
            is_closed(cache.get(key).await.unwrap_err());
            is_closed(cache.peek(key).await.unwrap_err());
            is_closed(cache.get_with(key, || async { 1 }).await.unwrap_err());
            is_closed(cache.blocking().get(key).unwrap_err());
            is_closed(cache.blocking().get_with(key, || 1).unwrap_err());
            is_closed(cache.insert(key.into(), 1).await.unwrap_err());
            is_closed(cache.remove(key).await.unwrap_err());
            is_closed(cache.with(secs(1)).invalidate(key).await.unwrap_err());
        }
        is_closed(cache.invalidate_all().await.unwrap_err());
    });
}

#[test]
fn close_waits_for_the_changes_that_have_begun() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        rig.store().every(Operation::Write, Fault::Hold);
        let insert = tokio::spawn({
            let cache = cache.clone();
            async move { cache.insert("a".into(), 7).await }
        });
        rig.store().until_held(1).await;
        let closing = tokio::spawn({
            let cache = cache.clone();
            async move { cache.close().await }
        });
        settle().await;
        assert!(!closing.is_finished());
        rig.store().clear();
        while !insert.is_finished() {
            rig.store().release_all();
            settle().await;
        }
        assert_eq!(insert.await.unwrap().unwrap(), Reach::Confirmed);
        in_time(closing).await.unwrap().unwrap();
    });
}
