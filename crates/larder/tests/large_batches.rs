//! Calls on very many keys: linear work, leases that live meanwhile, and threads for others.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::{Cache, SystemClock};
use larder_test_support::{Rig, entry, in_time, on, on_all, on_shared, secs, settle};
use larder_testkit::{Fault, Operation};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::Semaphore;

type Calls = Arc<Mutex<Vec<Vec<String>>>>;

/// Loads the keys; the loader waits for a permit.
fn load(
    cache: &Cache<String, u32>,
    keys: &[&str],
    calls: &Calls,
    gate: &Arc<Semaphore>,
) -> Loading {
    let (cache, calls, gate) = (cache.clone(), Arc::clone(calls), Arc::clone(gate));
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    tokio::spawn(async move {
        let loader = move |keys: Vec<String>| {
            calls.lock().unwrap().push(keys.clone());
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 1)))
            }
        };
        cache.get_many_with(&keys, loader).await.unwrap().into_result().unwrap()
    })
}

type Loading = tokio::task::JoinHandle<HashMap<String, u32>>;

/// Lets time pass in small steps, so that every poll can happen.
async fn pass(rig: &Rig, time: Duration) {
    let step = Duration::from_millis(20);
    for _ in 0..time.as_millis() / step.as_millis() {
        rig.clock.advance(step);
        settle().await;
    }
}

#[test]
fn a_batch_of_any_size_is_one_call_of_the_loader_and_a_few_of_the_backend_for_each_thousand() {
    const KEYS: u64 = 5_000;
    on_all(async |rig| {
        let cache = rig.builder::<u64, u64>().capacity(100_000).build().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&calls);
        let loader = move |keys: Vec<u64>| {
            told.lock().unwrap().push(keys.len());
            async move { Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, key * 2))) }
        };
        let keys: Vec<u64> = (0..KEYS).collect();
        let values = cache.get_many_with(&keys, loader).await.unwrap().into_result().unwrap();
        assert_eq!(values.len(), keys.len());
        assert!(values.iter().all(|(key, value)| *value == key * 2));
        assert_eq!(*calls.lock().unwrap(), [keys.len()]);
        if rig.store.is_none() {
            return;
        }
        let calls = rig.store().calls();
        assert!(calls.iter().all(|call| call.keys.len() <= 1_000));
        assert!(calls.len() <= 8 * keys.len() / 1_000, "{} calls", calls.len());
        rig.store().forget_calls();
        let other = rig.builder::<u64, u64>().capacity(100_000).build().unwrap();
        assert_eq!(other.get_many(&keys).await.unwrap().len(), keys.len());
        assert!(rig.store().calls().len() <= 2 * keys.len() / 1_000);
    });
}

/// Broken once: each call of a batch to the backend waited for all earlier ones.
#[test]
fn a_lease_is_renewed_while_another_call_of_the_batch_is_stuck() {
    on_shared(async |rig| {
        let build = || rig.builder::<String, u32>().lease_limit(secs(12)).build().unwrap();
        let (cache, other, calls) = (build(), build(), Calls::default());
        let (never, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let failing = tokio::spawn({
            let (other, gate) = (other.clone(), Arc::clone(&gate));
            async move {
                let loader = || async move {
                    gate.acquire().await.unwrap().forget();
                    Err::<u32, _>("the source is down")
                };
                other.try_get_with("b", loader).await
            }
        });
        settle().await;
        let batch = load(&cache, &["a", "b"], &calls, &never);
        settle().await;
        assert_eq!(*calls.lock().unwrap(), [["a"]]);
        pass(&rig, secs(3)).await;
        rig.store().next(Operation::Write, Fault::Hold);
        gate.add_permits(1);
        pass(&rig, Duration::from_millis(600)).await;
        assert!(failing.await.unwrap().is_err());
        assert_eq!(rig.store().count(Operation::Retime), 0);
        // The lease for `b` is being written, up to the backend's timeout of two seconds.
        pass(&rig, Duration::from_millis(600)).await;
        assert_eq!(rig.store().count(Operation::Retime), 1, "that of `a` is renewed every 4 s");
        batch.abort();
    });
}

/// Broken once: polls of others' leases kept the backend so busy that no moment came for the
/// loader. Two batches that waited for each other's keys waited until their timeouts.
#[test]
fn keys_that_wait_for_other_processes_do_not_keep_the_others_from_being_loaded() {
    on_shared(async |rig| {
        let [one, other] = [(), ()].map(|()| rig.builder::<String, u32>().build().unwrap());
        let (calls, gate) = (Calls::default(), Arc::new(Semaphore::new(0)));
        let theirs: Vec<String> = (0..60).map(|n| format!("theirs-{n}")).collect();
        let mut keys: Vec<&str> = theirs.iter().map(String::as_str).collect();
        let first = load(&other, &keys, &Calls::default(), &gate);
        settle().await;
        let is_theirs = |key: &larder::backend::Key| *key != entry("ours");
        let (slow, slower) = (Duration::from_millis(40), Duration::from_millis(80));
        rig.store().every_where(Operation::Read, Fault::Delay(slow), is_theirs);
        rig.store()
            .every_where(Operation::Write, Fault::Delay(slower), |key| *key == entry("ours"));
        keys.push("ours");
        let second = load(&one, &keys, &calls, &Arc::new(Semaphore::new(9)));
        pass(&rig, secs(3)).await;
        assert_eq!(*calls.lock().unwrap(), [["ours"]]);
        assert!(!first.is_finished());
        rig.store().clear();
        gate.add_permits(1);
        pass(&rig, secs(1)).await;
        assert_eq!(in_time(first).await.unwrap().len(), 60);
        assert_eq!(in_time(second).await.unwrap().len(), 61);
    });
}

static DECODED: AtomicUsize = AtomicUsize::new(0);

/// A value that takes a millisecond to decode.
#[derive(Clone, Serialize)]
struct Slow(u32);

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let began = SystemClock.now();
        while SystemClock.now().since(began) < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        DECODED.fetch_add(1, Ordering::SeqCst);
        u32::deserialize(deserializer).map(Self)
    }
}

#[test]
fn decoding_a_large_batch_lets_other_tasks_run_every_few_milliseconds() {
    on(Rig::shared(), &async |rig: Rig| {
        let [one, other] = [(), ()].map(|()| rig.builder::<u64, Slow>().build().unwrap());
        let entries = (0..300).map(|key| (key, Slow(1)));
        assert_eq!(one.insert_many(entries).await.unwrap().len(), 300);
        let is_over = Arc::new(AtomicBool::new(false));
        let ticks = tokio::spawn({
            let is_over = Arc::clone(&is_over);
            async move {
                let (mut before, mut most) = (DECODED.load(Ordering::SeqCst), 0);
                while !is_over.load(Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                    let now = DECODED.load(Ordering::SeqCst);
                    most = most.max(now - before);
                    before = now;
                }
                most
            }
        });
        let keys: Vec<u64> = (0..300).collect();
        assert_eq!(other.get_many(&keys).await.unwrap().len(), 300);
        is_over.store(true, Ordering::SeqCst);
        let most = ticks.await.unwrap();
        assert!((1..10).contains(&most), "{most} values of a millisecond in one step");
    });
}

/// Code that blocks a runtime's only thread cannot wait until that thread has run others.
#[test]
fn a_large_blocking_batch_ends_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let cache = Cache::<u64, u64>::new(100_000).unwrap();
        let loader = |keys: Vec<u64>| Ok::<_, std::io::Error>(keys.into_iter().map(|key| (key, 1)));
        let keys: Vec<u64> = (0..20_000).collect();
        let stored = cache.blocking().insert_many(keys.iter().map(|key| (*key, 1))).unwrap();
        assert_eq!(stored.len(), 20_000);
        assert_eq!(cache.blocking().get_many(&keys).unwrap().len(), 20_000);
        let values = cache.blocking().get_many_with(&keys, loader).unwrap();
        assert_eq!(values.len(), 20_000);
    });
}
