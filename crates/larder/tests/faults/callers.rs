//! F17, F44: callers that go away, and callers that asked before a change.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use larder_test_support::{in_time, on_all, on_shared, settle};

#[test]
fn f17_a_dropped_leader_strands_nobody() {
    const ROUNDS: usize = 1_000;
    on_all(async |rig| {
        let cache = rig.builder::<usize, usize>().build().unwrap();
        for round in 0..ROUNDS {
            let loads = Arc::new(AtomicUsize::new(0));
            let ask = || {
                let (cache, loads) = (cache.clone(), Arc::clone(&loads));
                async move {
                    let loader = move || async move {
                        loads.fetch_add(1, Ordering::SeqCst);
                        for _ in 0..fastrand::usize(..4) {
                            tokio::task::yield_now().await;
                        }
                        round
                    };
                    cache.get_with(&round, loader).await
                }
            };
            let mut leader = Some(Box::pin(ask()));
            let early = fastrand::usize(..3);
            let mut followers: Vec<_> = (0..early).map(|_| tokio::spawn(ask())).collect();
            for _ in 0..fastrand::usize(..8) {
                if let Some(future) = &mut leader {
                    let poll = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    if poll.is_ready() {
                        leader = None;
                    }
                }
                tokio::task::yield_now().await;
            }
            followers.extend((0..10).map(|_| tokio::spawn(ask())));
            drop(leader);
            for follower in followers {
                assert_eq!(in_time(follower).await.unwrap().unwrap(), round);
            }
            assert!(loads.load(Ordering::SeqCst) <= 2, "round {round}");
            assert_eq!(cache.get(&round).await.unwrap(), Some(round));
        }
    });
}

#[test]
fn f17_a_change_whose_caller_goes_away_is_finished() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        for polls in 0..6 {
            cache.insert("a".into(), 1).await.unwrap();
            let mut change = Box::pin(cache.insert("a".into(), 2));
            for _ in 0..polls {
                if change.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(change);
            settle().await;
            let expected = if polls == 0 { 1 } else { 2 };
            assert_eq!(cache.get("a").await.unwrap(), Some(expected));
            let other = rig.builder::<String, u32>().build().unwrap();
            assert_eq!(other.get("a").await.unwrap(), Some(expected));
        }
    });
}

#[test]
fn f44_who_asked_before_a_change_may_have_the_value_and_nobody_keeps_it() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        let mut reading = pin!(cache.get_with("b", || async { 1 }));
        let _ = reading.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        cache.invalidate("b").await.unwrap();
        settle().await;
        assert_eq!(in_time(reading).await.unwrap(), 1, "who asked before may have it");
        assert_eq!(cache.get("b").await.unwrap(), None);
    });
}
