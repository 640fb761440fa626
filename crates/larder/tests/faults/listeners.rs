//! F20: listeners that panic, call the cache or are slow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use larder::{Cache, Reach};
use larder_test_support::{Rig, on_all};
use larder_testkit::block_on;

use crate::support::threads;

#[test]
fn f20_a_listener_that_panics_or_calls_the_cache_is_told_of_each_removal_once() {
    on_all(async |rig| {
        for manner in ["panics", "calls"] {
            let slot = Arc::new(OnceLock::<Cache<u64, u64>>::new());
            let told = Arc::new(Mutex::new(HashMap::<u64, u32>::new()));
            let (inside, counted) = (Arc::clone(&slot), Arc::clone(&told));
            let listener = move |key: &u64, value: &u64, _| {
                assert_eq!(key, value);
                *counted.lock().unwrap().entry(*key).or_default() += 1;
                assert!(manner != "panics", "expected");
                let cache = inside.get().unwrap();
                assert_eq!(cache.blocking().get(&u64::MAX).unwrap(), None);
                assert!(cache.stats().evicted > 0);
            };
            let builder = rig.builder().namespace(manner).capacity(100).listener(listener);
            let cache = slot.get_or_init(|| builder.build().unwrap());
            for number in 0..1_100 {
                cache.insert(number, number).await.unwrap();
            }
            let stats = cache.stats();
            let mut here = 0;
            for number in 0..1_100 {
                let is_here = cache.entry_info(&number).await.unwrap();
                here += u64::from(is_here.is_some_and(|info| info.tier == larder::Tier::Local));
            }
            let told = told.lock().unwrap().clone();
            assert!(stats.evicted >= 1_000);
            assert!(told.values().all(|times| *times == 1));
            let times: u64 = told.values().map(|times| u64::from(*times)).sum();
            assert_eq!(times, stats.evicted);
            assert_eq!(here, 1_100 - stats.evicted);
            let panics = if manner == "panics" { times } else { 0 };
            assert_eq!(stats.listener_panics, panics);
        }
    });
}

#[test]
fn f20_a_slow_listener_keeps_no_reader_waiting() {
    let runtime = threads(2);
    let rig = Rig::memory();
    let (enter, entered) = std::sync::mpsc::channel();
    let gate = Arc::new(Mutex::new(()));
    let inside = Arc::clone(&gate);
    let builder = rig.builder::<u64, u64>().capacity(100).listener(move |_, _, _| {
        let _ = enter.send(());
        drop(inside.lock().unwrap());
    });
    let cache = builder.build().unwrap();
    for number in 0..100 {
        runtime.block_on(cache.insert(number, number)).unwrap();
    }
    let held = gate.lock().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| runtime.block_on(cache.insert(1_000, 1_000)).unwrap());
        entered.recv().unwrap();
        for number in 0..2_000 {
            block_on(cache.get(&number)).unwrap();
            if number > 100 {
                block_on(cache.get_with(&1_000, || async { 0 })).unwrap();
            }
        }
        assert!(!writer.is_finished());
        drop(held);
        assert_eq!(writer.join().unwrap(), Reach::Confirmed);
    });
}
