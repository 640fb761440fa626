//! Several processes over one store: they load once, and notice each other's changes and deaths.

use std::sync::Arc;
use std::time::Duration;

use larder::backend::{Backend, Kind, Life};
use larder::{Options, Reach};
use larder_test_support::{Rig, entry, in_time, on_shared, secs, settle};

use crate::support::{Source, gate};

#[test]
fn two_processes_load_once() {
    on_shared(async |rig| {
        let source = Source::default();
        let caches = [(); 2].map(|()| rig.builder::<String, u32>().build().unwrap());
        let gate = gate();
        let tasks = caches.clone().map(|cache| {
            let (source, gate) = (source.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let loader = || async move {
                    gate.acquire().await.unwrap().forget();
                    source.next()
                };
                cache.get_with("a", loader).await
            })
        });
        settle().await;
        rig.advance(1);
        settle().await;
        gate.add_permits(1);
        while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
            settle().await;
            rig.clock.advance(Duration::from_millis(20));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
        assert_eq!(source.loads(), 1);
    });
}

#[test]
fn when_the_holder_of_a_lease_dies_another_takes_over_after_it() {
    let rig = Rig::shared();
    let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let options = Options::new().hard_timeout(secs(2));
    let doomed = rig.builder::<String, u32>().defaults(options).build().unwrap();
    dying.spawn(async move { doomed.get_with("a", std::future::pending::<u32>).await });
    while rig.record("a").is_none() {
        std::thread::yield_now();
    }
    let lease = rig.record("a").unwrap().header;
    assert_eq!(lease.kind, Kind::Lease);
    drop(dying);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(async {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let task = tokio::spawn(async move { cache.get_with("a", || async { 2 }).await });
        let mut waited = secs(0);
        settle().await;
        while !task.is_finished() {
            rig.clock.advance(Duration::from_millis(10));
            waited += Duration::from_millis(10);
            settle().await;
        }
        assert_eq!(task.await.unwrap().unwrap(), 2);
        let length = lease.times.kept_for;
        assert!(waited >= length && waited <= length + secs(1), "{waited:?} of {length:?}");
    }));
}

#[test]
fn another_process_notices_an_invalidation_after_the_local_ttl_at_the_latest() {
    on_shared(async |rig| {
        let build = || rig.builder::<String, u32>().local_ttl(secs(10)).tag_check(secs(1));
        let tagged = Options::new().tags(["t"]);
        let (cache, other) = (build().build().unwrap(), build().defaults(tagged).build().unwrap());
        for (change, after) in [("key", 10), ("insert", 10), ("tag", 1), ("all", 1)] {
            other.insert("a".into(), 1).await.unwrap();
            assert_eq!(other.get("a").await.unwrap(), Some(1));
            let reach = match change {
                "key" => cache.invalidate("a").await,
                "insert" => cache.insert("a".into(), 2).await,
                "tag" => cache.invalidate_tag("t").await,
                _ => cache.invalidate_all().await,
            };
            assert_eq!(reach.unwrap(), Reach::Confirmed);
            rig.advance(after);
            let expected = (change == "insert").then_some(2);
            assert_eq!(other.get("a").await.unwrap(), expected, "{change}");
            assert_eq!(
                other.entry_info("a").await.unwrap().map(|info| info.life),
                expected.map(|_| Life::Fresh)
            );
        }
    });
}

#[test]
fn a_copy_that_is_compared_is_not_decoded_again_and_lives_on() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(100)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        let source = Source::default();
        for _ in 0..9 {
            rig.advance(11);
            assert_eq!(source.get(&cache, "a").await.unwrap(), 7);
        }
        rig.advance(1);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        assert!(rig.store().inner().read_one(&entry("a")).await.unwrap().is_some());
    });
}
