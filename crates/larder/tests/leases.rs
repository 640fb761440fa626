//! Leases: how long one keeps others waiting, how it is kept alive, and the effect of a lost one.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use larder::backend::{ErrorKind, Kind, Version};
use larder::{Cache, CacheBuilder, Event, Options, Reach};
use larder_test_support::{Rig, Told, in_time, on_shared, secs, settle};
use larder_testkit::{Fault, Operation};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const STEP: Duration = Duration::from_millis(100);

/// A process, which stands still while nobody runs it.
fn process() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// A cache of one process, whose loads may take an hour.
fn builder(rig: &Rig) -> CacheBuilder<String, u32> {
    rig.builder().defaults(Options::new().hard_timeout(secs(3_600)))
}

/// Starts a load that gives this value when the gate opens.
fn load(cache: &Cache<String, u32>, gate: &Arc<Semaphore>, value: u32) -> Loading {
    let (cache, gate) = (cache.clone(), Arc::clone(gate));
    let loader = move || async move {
        gate.acquire().await.unwrap().forget();
        value
    };
    tokio::spawn(async move { cache.get_with("a", loader).await })
}

/// Starts a load in a process and lets it go on as far as it can.
fn start(process: &Runtime, load: impl FnOnce() -> Loading) -> Loading {
    let inside = process.enter();
    let loading = load();
    drop(inside);
    process.block_on(settle());
    loading
}

type Loading = JoinHandle<larder::Result<u32>>;

fn gate(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits))
}

/// Moves the time on, so that all processes can act in between.
async fn pass(rig: &Rig, time: Duration) {
    let mut passed = Duration::ZERO;
    while passed < time {
        rig.clock.advance(STEP);
        passed += STEP;
        settle().await;
    }
}

/// Moves the time on until the load has ended. Returns its value, and how long that took.
async fn wait(rig: &Rig, loading: Loading) -> (u32, Duration) {
    let mut waited = Duration::ZERO;
    settle().await;
    while !loading.is_finished() {
        rig.clock.advance(STEP);
        waited += STEP;
        settle().await;
    }
    (loading.await.unwrap().unwrap(), waited)
}

/// Returns the version of the lease that is there.
fn lease(rig: &Rig) -> Version {
    let header = rig.record("a").unwrap().header;
    assert_eq!(header.kind, Kind::Lease);
    header.version
}

#[test]
fn f22_a_stopped_holder_is_refused_and_its_caller_answered() {
    for rig in Rig::with_store() {
        let (holder, told, gate_of_holder) = (process(), Told::default(), gate(0));
        let build = || builder(&rig).lease_limit(secs(2));
        let stopped = build().on_event(told.observer()).build().unwrap();
        let loading = start(&holder, || load(&stopped, &gate_of_holder, 1));
        lease(&rig);
        let other = build().build().unwrap();
        process().block_on(in_time(async {
            let (value, waited) = wait(&rig, load(&other, &gate(1), 2)).await;
            assert_eq!(value, 2);
            assert!(
                waited >= secs(2) && waited <= secs(2) + Duration::from_millis(500),
                "{waited:?}"
            );
            pass(&rig, secs(3)).await;
        }));
        gate_of_holder.add_permits(1);
        assert_eq!(holder.block_on(in_time(loading)).unwrap().unwrap(), 1);
        assert_eq!(told.count(|event| matches!(event, Event::LoadOvertaken)), 1);
        assert_eq!(told.count(|event| !matches!(event, Event::LoadOvertaken)), 0);
        let third = build().build().unwrap();
        for cache in [stopped, other, third] {
            assert_eq!(process().block_on(cache.get("a")).unwrap(), Some(2));
        }
    }
}

#[test]
fn f22_a_stopped_holder_whose_lease_nobody_took_is_refused_too() {
    for rig in Rig::with_store() {
        let (holder, gate) = (process(), gate(0));
        let cache = builder(&rig).lease_limit(secs(2)).build().unwrap();
        let loading = start(&holder, || load(&cache, &gate, 1));
        rig.advance(5);
        gate.add_permits(1);
        assert_eq!(holder.block_on(in_time(loading)).unwrap().unwrap(), 1);
        assert!(rig.record("a").is_none(), "the key may have been written and deleted meanwhile");
    }
}

#[test]
fn f23_others_take_over_from_a_killed_holder_after_its_lease() {
    for (hard_timeout, limit, longest) in [(3_600, 2, 2), (3_600, 60, 60), (30, 60, 15)] {
        for rig in Rig::with_store() {
            let build = || {
                let options = Options::new().hard_timeout(secs(hard_timeout));
                rig.builder::<String, u32>()
                    .lease_limit(secs(limit))
                    .defaults(options)
                    .build()
                    .unwrap()
            };
            let (holder, doomed) = (process(), build());
            holder.block_on(async {
                let _loading = load(&doomed, &gate(0), 1);
                settle().await;
                // A wait before the lease's first renewal, and one after it.
                pass(&rig, secs(longest / 2)).await;
            });
            lease(&rig);
            drop(holder);
            process().block_on(in_time(async {
                let (value, waited) = wait(&rig, load(&build(), &gate(1), 2)).await;
                assert_eq!(value, 2);
                assert!(waited <= secs(longest) + Duration::from_millis(500), "{waited:?}");
            }));
        }
    }
}

#[test]
fn a_lease_is_renewed_for_as_long_as_its_loader_runs() {
    on_shared(async |rig| {
        let caches = [(); 2].map(|()| builder(&rig).build().unwrap());
        let gate = gate(0);
        let first = load(&caches[0], &gate, 1);
        settle().await;
        let version = lease(&rig);
        let second = load(&caches[1], &gate, 2);
        for _ in 0..10 {
            pass(&rig, secs(60)).await;
            assert_eq!(lease(&rig), version, "the fence of the load is the same");
            assert!(!second.is_finished());
        }
        // A renewal every third of a minute, less the steps in which the test moves the time.
        assert!((29..=30).contains(&rig.store().count(Operation::Retime)));
        gate.add_permits(1);
        assert_eq!(wait(&rig, first).await.0, 1);
        assert_eq!(wait(&rig, second).await.0, 1);
        assert_eq!(caches[1].stats().loads, 0);
        pass(&rig, secs(60)).await;
        assert!(rig.store().count(Operation::Retime) <= 30, "the load is over");
        assert_eq!(caches[1].get("a").await.unwrap(), Some(1));
    });
}

#[test]
fn a_renewal_that_fails_is_tried_again() {
    on_shared(async |rig| {
        let (told, gate) = (Told::default(), gate(0));
        let builder = builder(&rig).lease_limit(secs(12)).on_event(told.observer());
        let cache = builder.build().unwrap();
        let loading = load(&cache, &gate, 1);
        settle().await;
        for fault in [Fault::Fail(ErrorKind::Unavailable), Fault::LoseAnswer, Fault::ApplyLate] {
            rig.store().next(Operation::Retime, fault);
            // The time for the renewal that fails, and for the next.
            pass(&rig, secs(8)).await;
            lease(&rig);
        }
        assert_eq!(told.count(|event| matches!(event, Event::SharedFailed(_))), 3);
        gate.add_permits(1);
        assert_eq!(wait(&rig, loading).await.0, 1);
        assert_eq!(rig.record("a").unwrap().header.kind, Kind::Value);
        let value = rig.record("a");
        rig.store().release_late().await;
        assert_eq!(rig.record("a"), value, "a late renewal changes no value");
    });
}

#[test]
fn a_lease_that_a_change_has_taken_is_not_renewed_and_its_load_not_kept() {
    on_shared(async |rig| {
        let (told, gate) = (Told::default(), gate(0));
        let cache = builder(&rig).on_event(told.observer()).build().unwrap();
        let loading = load(&cache, &gate, 1);
        settle().await;
        let other = builder(&rig).build().unwrap();
        assert_eq!(other.invalidate("a").await.unwrap(), Reach::Confirmed);
        pass(&rig, secs(120)).await;
        assert_eq!(rig.store().count(Operation::Retime), 1, "it is refused once");
        gate.add_permits(1);
        assert_eq!(wait(&rig, loading).await.0, 1);
        assert_eq!(told.count(|event| matches!(event, Event::LoadOvertaken)), 1);
        assert!(rig.record("a").is_none());
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
}

#[test]
fn a_load_on_its_callers_thread_has_a_lease_as_long_as_it_may_take() {
    let rig = Rig::shared();
    let cache = builder(&rig).lease_limit(secs(2)).build().unwrap();
    let seen = cache.blocking().get_with("a", || {
        rig.advance(3_600);
        u32::from(lease(&rig) != Version::NONE)
    });
    assert_eq!(seen.unwrap(), 1);
    assert_eq!(rig.store().count(Operation::Retime), 0);
    assert_eq!(rig.record("a").unwrap().header.kind, Kind::Value);
}

#[test]
fn a_refresh_leaves_the_key_to_another_process_that_loads_it() {
    on_shared(async |rig| {
        let [holder, cache] = [(); 2].map(|()| builder(&rig).build().unwrap());
        let gate = gate(0);
        let loading = load(&holder, &gate, 1);
        settle().await;
        // The read that meets the lease waits, so that a caller can join the refresh.
        rig.store().next(Operation::Read, Fault::HoldAnswer);
        assert!(cache.refresh("a", |_| async { Ok::<_, Infallible>(2) }).unwrap());
        let joined = load(&cache, &gate, 3);
        settle().await;
        rig.store().release_all();
        settle().await;
        assert!(!joined.is_finished(), "it waits for the load of the other process");
        gate.add_permits(1);
        assert_eq!(wait(&rig, loading).await.0, 1);
        assert_eq!(wait(&rig, joined).await.0, 1);
        assert_eq!(cache.stats().loads, 0);
    });
}

#[test]
fn a_refresh_of_a_cache_that_waits_for_no_lease_loads() {
    on_shared(async |rig| {
        let [holder, cache] =
            [(); 2].map(|()| builder(&rig).wait_for_leases(false).build().unwrap());
        let gate = gate(0);
        let loading = load(&holder, &gate, 1);
        settle().await;
        assert!(cache.refresh("a", |_| async { Ok::<_, Infallible>(2) }).unwrap());
        settle().await;
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
        gate.add_permits(1);
        assert_eq!(wait(&rig, loading).await.0, 1);
        assert_eq!(holder.get("a").await.unwrap(), Some(2), "the first result is kept");
    });
}

#[test]
fn a_lease_of_no_length_is_refused() {
    let error = Rig::shared().builder::<String, u32>().lease_limit(Duration::ZERO).build();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
}
