//! F15, F16: crowds of callers, whose load gives a value or fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use larder::LocalCache;
use larder_test_support::{Refused, Rig, in_time, on_all};
use larder_testkit::block_on;

use crate::support::threads;

#[test]
fn f15_ten_thousand_tasks_and_threads_load_once() {
    const TASKS: u64 = 10_000;
    const THREADS: u64 = 64;
    for rig in Rig::all() {
        let runtime = threads(2);
        let cache = rig.builder::<String, u32>().build().unwrap();
        let (gate, loads) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (cache, gate, loads) = (cache.clone(), Arc::clone(&gate), Arc::clone(&loads));
                runtime.spawn(async move {
                    let loader = || async move {
                        gate.acquire().await.unwrap().forget();
                        loads.fetch_add(1, Ordering::SeqCst) + 1
                    };
                    cache.get_with("a", loader).await
                })
            })
            .collect();
        while cache.stats().loads == 0 {
            std::thread::yield_now();
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let loader = || loads.fetch_add(1, Ordering::SeqCst) + 1;
                        cache.blocking().get_with("a", loader)
                    })
                })
                .collect();
            while cache.stats().coalesced < TASKS + THREADS - 1 {
                std::thread::yield_now();
            }
            gate.add_permits(1);
            for thread in threads {
                assert_eq!(thread.join().unwrap().unwrap(), 1);
            }
        });
        for task in tasks {
            assert_eq!(block_on(task).unwrap().unwrap(), 1);
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(cache.stats().loads, 1);
    }
    let local = LocalCache::<u8, u32>::new(9);
    let loads = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let loader = || {
                    (0..1_000).for_each(|_| std::thread::yield_now());
                    loads.fetch_add(1, Ordering::SeqCst) + 1
                };
                assert_eq!(local.get_with(&1, loader), 1);
            });
        }
    });
}

#[test]
fn f16_a_failing_load_is_one_load_for_all_and_is_not_kept() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let loads = Arc::new(AtomicUsize::new(0));
        for round in 1..=5 {
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let (cache, loads) = (cache.clone(), Arc::clone(&loads));
                    tokio::spawn(async move {
                        let loader = || async move {
                            loads.fetch_add(1, Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            Err::<u32, _>(Refused)
                        };
                        cache.try_get_with("a", loader).await
                    })
                })
                .collect();
            let mut errors = Vec::new();
            for task in tasks {
                errors.push(in_time(task).await.unwrap().unwrap_err());
            }
            let first = std::ptr::from_ref(errors[0].loader_error::<Refused>().unwrap());
            for error in &errors {
                let shared = std::ptr::from_ref(error.loader_error::<Refused>().unwrap());
                assert!(std::ptr::addr_eq(shared, first), "the same one");
            }
            assert_eq!(loads.load(Ordering::SeqCst), round);
        }
    });
}
