//! Loads: refresh, timeouts, failures, fences, and what becomes of callers who go away.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use larder::backend::{Backend, Codec, Error, ErrorKind, Kind, Life, Result};
use larder::{Cache, Event, Load, Loaded, MemoryBackend, MessagePack, Options, Raw, Reach};
use larder_test_support::{Rig, Told, entry, in_time, on, on_all, on_shared, secs, settle};
use larder_testkit::{Fault, Operation, block_on};
use tokio::sync::Semaphore;

/// A source whose loads are counted: each gives the number of its load.
#[derive(Clone, Default)]
struct Source {
    loads: Arc<AtomicU32>,
}

impl Source {
    fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }

    fn next(&self) -> u32 {
        self.loads.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn get(&self, cache: &Cache<String, u32>, key: &str) -> Result<u32> {
        let source = self.clone();
        cache.get_with(key, || async move { source.next() }).await
    }

    async fn fail(&self, cache: &Cache<String, u32>, key: &str) -> Result<u32> {
        let source = self.clone();
        cache.try_get_with(key, || async move { Err(Refused(source.next())) }).await
    }
}

#[derive(Debug, PartialEq)]
struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// A loader that waits until a test lets it go, and then gives this value.
fn gated(gate: &Arc<Semaphore>, value: u32) -> impl FnOnce() -> Gated + Send + 'static {
    let gate = Arc::clone(gate);
    move || {
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            value
        })
    }
}

type Gated = std::pin::Pin<Box<dyn Future<Output = u32> + Send>>;

fn gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

fn stale_too<V: Clone + Send + Sync + 'static>(cache: &Cache<String, V>) -> Cache<String, V> {
    cache.with(Options::new().allow_stale(true))
}

#[test]
fn a_hit_past_refresh_after_is_answered_and_loads_once_behind() {
    on_all(async |rig| {
        let source = Source::default();
        let builder = rig.builder().ttl(secs(10)).refresh_after(secs(5));
        let cache = builder.build().unwrap();
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        rig.clock.advance(Duration::from_millis(4_999));
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        settle().await;
        assert_eq!(source.loads(), 1, "not yet");
        rig.clock.advance(Duration::from_millis(1));
        for _ in 0..5 {
            assert_eq!(source.get(&cache, "a").await.unwrap(), 1, "without waiting");
        }
        settle().await;
        assert_eq!(source.loads(), 2);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 2);
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().age, Some(secs(0)));
    });
}

#[test]
fn a_refresh_that_another_process_has_made_is_adopted() {
    on_shared(async |rig| {
        let source = Source::default();
        let build = || rig.builder().ttl(secs(10)).refresh_after(secs(5)).build().unwrap();
        let (cache, other) = (build(), build());
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        assert_eq!(source.get(&other, "a").await.unwrap(), 1);
        rig.advance(5);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
        settle().await;
        assert_eq!(source.get(&other, "a").await.unwrap(), 1);
        settle().await;
        assert_eq!(source.loads(), 2);
        assert_eq!(source.get(&other, "a").await.unwrap(), 2);
    });
}

#[test]
fn a_refresh_by_hand_loads_behind_whatever_is_there() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        let gate = gate();
        let start = |value| {
            let loader = gated(&gate, value);
            cache.refresh("a", |_| async { Ok::<_, fmt::Error>(loader().await) }).unwrap()
        };
        assert!(start(2));
        settle().await;
        assert!(!start(3), "one is enough");
        assert_eq!(cache.get("a").await.unwrap(), Some(1));
        gate.add_permits(1);
        settle().await;
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
    });
}

#[test]
fn xfetch_loads_early_just_before_the_expiry_and_never_far_from_it() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(100)).build().unwrap();
        let eager = cache.with(Options::new().early_refresh(1.0));
        let clock = rig.clock.clone();
        // The load costs one second of the clock.
        let slow = move || async move {
            clock.advance(secs(1));
            1
        };
        eager.get_with("a", slow).await.unwrap();
        let source = Source::default();
        rig.advance(80);
        for _ in 0..200 {
            source.get(&eager, "a").await.unwrap();
        }
        settle().await;
        assert_eq!(source.loads(), 0, "further than ten loads away");
        let left = cache.entry_info("a").await.unwrap().unwrap().ttl_left;
        rig.clock.advance(left.checked_sub(Duration::from_nanos(1)).unwrap());
        source.get(&eager, "a").await.unwrap();
        settle().await;
        assert_eq!(source.loads(), 1);
    });
}

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

/// The failed load put back the value with the life it had when the load began.
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
fn a_known_absence_is_kept_for_its_own_ttl_and_is_none_for_who_has_a_value() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().absent_ttl(secs(3)).build().unwrap();
        let source = Source::default();
        let find = || {
            let source = source.clone();
            cache.optionally_get_with("a", || async move {
                source.next();
                None
            })
        };
        for _ in 0..3 {
            assert_eq!(find().await.unwrap(), None);
        }
        assert_eq!(source.loads(), 1);
        rig.advance(3);
        assert_eq!(find().await.unwrap(), None);
        assert_eq!(source.loads(), 2);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 3, "a loader that always has one");
        assert_eq!(find().await.unwrap(), Some(3));
    });
}

#[test]
fn without_an_absent_ttl_an_absence_is_not_kept_and_takes_away_what_was_there() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        rig.advance(10);
        let absent = |_| async { Ok::<_, Refused>(Loaded::absent()) };
        assert_eq!(cache.load("a", absent).await.unwrap(), None);
        assert!(!cache.is_known_absent("a").await.unwrap());
        assert!(cache.entry_info("a").await.unwrap().is_none());
        assert!(rig.store.is_none() || rig.record("a").is_none());
    });
}

/// The caller's loader went down with the load that another process's absence answered.
#[test]
fn who_always_has_a_value_loads_past_the_absence_it_waited_for() {
    on_shared(async |rig| {
        let build = || rig.builder::<String, u32>().absent_ttl(secs(9)).build().unwrap();
        let (cache, other) = (build(), build());
        let gate = gate();
        let opened = Arc::clone(&gate);
        let finder = tokio::spawn(async move {
            let none = || async move {
                opened.acquire().await.unwrap().forget();
                None
            };
            other.optionally_get_with("a", none).await
        });
        settle().await;
        let waiter = tokio::spawn(async move { cache.get_with("a", || async { 7 }).await });
        settle().await;
        gate.add_permits(1);
        assert_eq!(in_time(finder).await.unwrap().unwrap(), None);
        while !waiter.is_finished() {
            rig.clock.advance(Duration::from_millis(50));
            settle().await;
        }
        assert_eq!(waiter.await.unwrap().unwrap(), 7);
    });
}

#[test]
fn not_modified_gives_the_stale_value_a_new_life() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        rig.advance(10);
        let loader = |load: Load<String, u32>| async move {
            assert_eq!((load.key.as_str(), load.stale), ("a", Some(7)));
            Ok::<_, Refused>(Loaded::not_modified())
        };
        assert_eq!(cache.load("a", loader).await.unwrap(), Some(7));
        assert_eq!(cache.entry_info("a").await.unwrap().unwrap().ttl_left, secs(10));
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
        if rig.store.is_some() {
            let other = rig.builder::<String, u32>().build().unwrap();
            assert_eq!(other.get("a").await.unwrap(), Some(7));
        }
    });
}

#[test]
fn not_modified_without_a_stale_value_is_the_loaders_failure() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let loader = |_| async { Ok::<_, Refused>(Loaded::not_modified()) };
        let error = cache.load("a", loader).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Loader);
        assert!(rig.store.is_none() || rig.record("a").is_none());
    });
}

#[test]
fn ttl_and_tags_come_from_the_options_and_from_the_answer() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(100)).build().unwrap();
        let tagged = cache.with(Options::new().tags(["early"]));
        let load = |key: &'static str| {
            let answer =
                |_| async { Ok::<_, Refused>(Loaded::new(7).ttl(secs(9)).tags(["late", "early"])) };
            let tagged = tagged.clone();
            async move { tagged.load(key, answer).await.unwrap() }
        };
        for tag in ["early", "late"] {
            assert_eq!(load("a").await, Some(7));
            let info = cache.entry_info("a").await.unwrap().unwrap();
            let mut tags: Vec<_> = info.tags.iter().map(|tag| &**tag).collect();
            tags.sort_unstable();
            assert_eq!((info.ttl_left, tags), (secs(9), vec!["early", "late"]));
            cache.invalidate_tag("other").await.unwrap();
            assert_eq!(cache.get("a").await.unwrap(), Some(7));
            cache.invalidate_tag(tag).await.unwrap();
            assert_eq!(cache.get("a").await.unwrap(), None);
        }
    });
}

#[test]
fn a_late_tag_is_not_kept_if_any_tag_changed_during_the_load() {
    on_all(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let changer =
            if rig.store.is_some() { rig.builder().build().unwrap() } else { cache.clone() };
        let loader = |_| async move {
            changer.invalidate_tag("late").await.unwrap();
            Ok::<_, Refused>(Loaded::new(7).tags(["late"]))
        };
        assert_eq!(cache.load("a", loader).await.unwrap(), Some(7));
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::LoadOvertaken)), 1);
        assert!(rig.store.is_none() || rig.record("a").is_none());
    });
}

#[test]
fn a_load_that_a_change_overtakes_is_answered_not_kept_and_told() {
    on_all(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let changer = cache.clone();
        let loader = || async move {
            changer.invalidate("a").await.unwrap();
            1
        };
        assert_eq!(cache.get_with("a", loader).await.unwrap(), 1);
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::LoadOvertaken)), 1);
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
        // Also one that panics before there is a future.
        let error = cache.get_with("a", || -> Gated { panic!("expected") }).await.unwrap_err();
        assert!(error.is_panic());
        assert!(rig.store.is_none() || rig.record("a").is_none());
        assert_eq!(cache.get_with("a", || async { 3 }).await.unwrap(), 3);
    });
}

#[test]
fn when_a_runtime_goes_down_with_its_load_a_follower_of_another_leads() {
    for rig in Rig::all() {
        // The lease of the dead load is not waited for: the clock stands still.
        let builder = rig.builder::<String, u32>().wait_for_leases(false);
        let cache = builder.build().unwrap();
        let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (started, is_started) = std::sync::mpsc::channel();
        dying.spawn({
            let cache = cache.clone();
            async move {
                let never = || async move {
                    started.send(()).unwrap();
                    std::future::pending().await
                };
                cache.get_with("a", never).await
            }
        });
        is_started.recv().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let follower = tokio::spawn({
                let cache = cache.clone();
                async move { cache.get_with("a", || async { 2 }).await }
            });
            settle().await;
            assert!(!follower.is_finished());
            dying.shutdown_background();
            assert_eq!(in_time(follower).await.unwrap().unwrap(), 2);
            assert_eq!(cache.get("a").await.unwrap(), Some(2));
        });
    }
}

#[test]
fn a_miss_outside_of_a_runtime_is_an_error_and_a_hit_is_not() {
    for rig in Rig::all() {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let error = block_on(cache.get_with("a", || async { 1 })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
        let error = cache.refresh("a", |_| async { Ok::<_, Refused>(1) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRuntime);
        assert_eq!(cache.blocking().get_with("a", || 2).unwrap(), 2);
        assert_eq!(block_on(cache.get("a")).unwrap(), Some(2));
        assert_eq!(block_on(cache.get_with("a", || async { 3 })).unwrap(), 2);
    }
}

/// A wait on the system's clock panicked where no runtime drives timers.
#[test]
fn what_waits_on_the_systems_clock_outside_of_a_runtime_is_an_error() {
    let rig = Rig::shared();
    let build = |shared: bool| {
        let builder = Cache::<String, u32>::builder().tag_check(secs(0)).local_ttl(secs(0));
        if shared { builder.backend(rig.store().clone()) } else { builder }.build().unwrap()
    };
    let shared = build(true);
    shared.blocking().insert("a".into(), 7).unwrap();
    let no_runtime = |error: Error| assert_eq!(error.kind(), ErrorKind::NoRuntime);
    no_runtime(block_on(shared.get("a")).unwrap_err());
    no_runtime(block_on(shared.peek("a")).unwrap_err());
    no_runtime(block_on(shared.entry_info("a")).unwrap_err());
    no_runtime(block_on(shared.get_with("a", || async { 8 })).unwrap_err());
    no_runtime(block_on(shared.invalidate("a")).unwrap_err());
    assert_eq!(shared.blocking().get("a").unwrap(), Some(7));

    // A follower of a load that a runtime runs.
    let memory = build(false);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_time().build().unwrap();
    let gate = gate();
    let leader = runtime.spawn({
        let (memory, loader) = (memory.clone(), gated(&gate, 1));
        async move { memory.get_with("a", loader).await }
    });
    while memory.stats().loads == 0 {
        std::thread::yield_now();
    }
    no_runtime(block_on(memory.get_with("a", || async { 2 })).unwrap_err());
    gate.add_permits(1);
    assert_eq!(block_on(leader).unwrap().unwrap(), 1);
}

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

#[test]
fn blocking_callers_share_loads_with_asynchronous_ones() {
    for rig in Rig::all() {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        // An asynchronous load leads.
        let open = gate();
        let leader = runtime.spawn({
            let (cache, loader) = (cache.clone(), gated(&open, 1));
            async move { cache.get_with("a", loader).await }
        });
        while cache.stats().loads == 0 {
            std::thread::yield_now();
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| cache.blocking().get_with("a", || 2))).collect();
            let inside: Vec<_> = (0..4)
                .map(|_| {
                    let cache = cache.clone();
                    runtime.spawn(async move { cache.blocking().get_with("a", || 3) })
                })
                .collect();
            while cache.stats().coalesced < 8 {
                std::thread::yield_now();
            }
            open.add_permits(1);
            for thread in threads {
                assert_eq!(thread.join().unwrap().unwrap(), 1);
            }
            for task in inside {
                assert_eq!(block_on(task).unwrap().unwrap(), 1);
            }
        });
        assert_eq!(block_on(leader).unwrap().unwrap(), 1);

        // A blocking load leads; threads and tasks follow.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| {
                cache.blocking().get_with("b", move || {
                    wait.recv().unwrap();
                    4
                })
            });
            while cache.stats().loads == 1 {
                std::thread::yield_now();
            }
            let thread = scope.spawn(|| cache.blocking().get_with("b", || 5));
            let task = runtime.spawn({
                let cache = cache.clone();
                async move { cache.get_with("b", || async { 6 }).await }
            });
            while cache.stats().coalesced < 10 {
                std::thread::yield_now();
            }
            go.send(()).unwrap();
            assert_eq!(leader.join().unwrap().unwrap(), 4);
            assert_eq!(thread.join().unwrap().unwrap(), 4);
            assert_eq!(block_on(task).unwrap().unwrap(), 4);
        });
        assert_eq!(cache.stats().loads, 2);
    }
}

/// With a shared store the caller was taken for one of the cache's own thread, waited for its own
/// runtime, and hung.
#[test]
fn a_blocking_caller_on_a_current_thread_runtime_never_waits_for_that_runtime() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let stuck = gated(&gate(), 1);
        let leader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", stuck).await }
        });
        settle().await;
        // Neither for the lease that the leader left.
        assert_eq!(cache.blocking().get_with("a", || 2).unwrap(), 2);
        assert_eq!(cache.blocking().get("a").unwrap(), Some(2));
        leader.abort();
    });
}

/// A fill that the same runtime was to run hung the caller as well.
#[test]
fn a_blocking_get_on_a_current_thread_runtime_never_waits_for_that_runtime() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let other = rig.builder::<String, u32>().build().unwrap();
        other.insert("a".into(), 7).await.unwrap();
        let meant = entry("a");
        rig.store().every_where(Operation::Read, Fault::Hold, move |key| *key == meant);
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get("a").await }
        });
        rig.store().until_held(1).await;
        rig.store().clear();
        assert_eq!(cache.blocking().get("a").unwrap(), Some(7));
        rig.store().release_all();
        assert_eq!(in_time(reader).await.unwrap().unwrap(), Some(7));
    });
}

/// The listener runs on the cache's own thread there, which waited for itself.
#[test]
fn a_listener_may_call_a_blocking_cache() {
    for rig in Rig::all() {
        let slot = Arc::new(std::sync::OnceLock::<Cache<String, u32>>::new());
        let seen = Arc::new(AtomicUsize::new(0));
        let (inner, count) = (Arc::clone(&slot), Arc::clone(&seen));
        let builder = rig.builder::<String, u32>().listener(move |_, value, _| {
            let cache = inner.get().unwrap();
            assert_eq!(cache.blocking().get("other").unwrap(), Some(9));
            count.fetch_add(usize::try_from(*value).unwrap(), Ordering::SeqCst);
        });
        let cache = slot.get_or_init(|| builder.build().unwrap());
        cache.blocking().insert("other".into(), 9).unwrap();
        cache.blocking().insert("a".into(), 1).unwrap();
        cache.blocking().invalidate("a").unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 1);
        assert_eq!(cache.stats().listener_panics, 0);
    }
}

#[test]
fn while_the_store_is_down_loads_are_answered_and_kept_for_a_while() {
    on_shared(async |rig| {
        let told = Told::default();
        let builder = rig.builder::<String, u32>().on_event(told.observer());
        let cache = builder.ttl(secs(100)).degraded_ttl(secs(5)).build().unwrap();
        for operation in [Operation::Read, Operation::Write, Operation::Delete] {
            rig.store().every(operation, Fault::Fail(ErrorKind::Unavailable));
        }
        let source = Source::default();
        for _ in 0..3 {
            assert_eq!(source.get(&cache, "a").await.unwrap(), 1);
            rig.advance(1);
        }
        assert_eq!(cache.get("missing").await.unwrap(), None);
        assert!(told.count(|event| matches!(event, Event::SharedFailed(_))) >= 2);
        rig.advance(2);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 2, "after the degraded ttl");
        assert_eq!(cache.invalidate("a").await.unwrap(), Reach::Local);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 3);
        rig.store().clear();
        rig.advance(5);
        assert_eq!(source.get(&cache, "a").await.unwrap(), 4);
        let other = rig.builder::<String, u32>().build().unwrap();
        assert_eq!(other.get("a").await.unwrap(), Some(4));
    });
}

/// The load took the outage that the look-up had met for its own failure.
#[test]
fn a_load_that_meets_a_failing_look_up_loads_all_the_same() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        rig.store().next(Operation::Read, Fault::Hold);
        let reader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get("a").await }
        });
        rig.store().until_held(1).await;
        let loader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", || async { 7 }).await }
        });
        settle().await;
        // The held read runs into the backend's timeout.
        rig.advance(2);
        assert_eq!(in_time(reader).await.unwrap().unwrap(), None);
        assert_eq!(in_time(loader).await.unwrap().unwrap(), 7);
    });
}

/// The load was answered with the stale value, and never ran.
#[test]
fn a_load_that_meets_a_look_up_of_a_stale_value_loads() {
    on_shared(async |rig| {
        let build = || rig.builder::<String, u32>().ttl(secs(10)).grace(secs(60)).build().unwrap();
        let cache = build();
        build().insert("a".into(), 1).await.unwrap();
        rig.advance(10);
        rig.store().next(Operation::Read, Fault::Hold);
        let reader = tokio::spawn({
            let cache = stale_too(&cache);
            async move { cache.get("a").await }
        });
        rig.store().until_held(1).await;
        let loader = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_with("a", || async { 2 }).await }
        });
        settle().await;
        rig.store().release_all();
        // Whichever of the two comes to the store first.
        assert!(matches!(in_time(reader).await.unwrap().unwrap(), Some(1 | 2)));
        assert_eq!(in_time(loader).await.unwrap().unwrap(), 2);
    });
}

#[test]
fn a_look_up_beside_a_load_tells_of_the_stores_failure() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let gate = gate();
        let task = tokio::spawn({
            let (cache, loader) = (cache.clone(), gated(&gate, 1));
            async move { cache.get_with("a", loader).await }
        });
        settle().await;
        rig.store().next(Operation::Read, Fault::Fail(ErrorKind::Unavailable));
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::SharedFailed(_))), 1);
        gate.add_permits(1);
        assert_eq!(in_time(task).await.unwrap().unwrap(), 1);
    });
}

/// The lease stayed, and the next load waited for it.
#[test]
fn a_result_that_cannot_be_written_takes_its_lease_along() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        let store = rig.store().clone();
        let loader = || async move {
            store.next(Operation::Write, Fault::Fail(ErrorKind::Unavailable));
            1
        };
        assert_eq!(cache.get_with("a", loader).await.unwrap(), 1);
        assert_eq!(told.count(|event| matches!(event, Event::SharedFailed(_))), 1);
        assert!(rig.record("a").is_none());
        assert_eq!(cache.get_with("a", || async { 2 }).await.unwrap(), 2);
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
    });
}

#[test]
fn in_strict_mode_the_stores_failures_are_errors() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().strict(true).build().unwrap();
        cache.insert("kept".into(), 7).await.unwrap();
        for operation in [Operation::Read, Operation::Write, Operation::Delete] {
            rig.store().every(operation, Fault::Fail(ErrorKind::Unavailable));
        }
        let is_down = |error: Error| assert_eq!(error.kind(), ErrorKind::Unavailable);
        let source = Source::default();
        is_down(cache.get("a").await.unwrap_err());
        is_down(cache.peek("a").await.unwrap_err());
        is_down(source.get(&cache, "a").await.unwrap_err());
        is_down(cache.insert("a".into(), 1).await.unwrap_err());
        is_down(cache.invalidate("a").await.unwrap_err());
        is_down(cache.invalidate_tag("t").await.unwrap_err());
        is_down(cache.invalidate_all().await.unwrap_err());
        assert_eq!(source.loads(), 0);
        is_down(cache.get("kept").await.unwrap_err());
    });
}

#[test]
fn f34_what_another_codec_wrote_is_a_miss_and_an_event() {
    on_shared(async |rig| {
        let told = Told::default();
        let build = || Cache::<String, String>::builder().clock(Arc::new(rig.clock.clone()));
        let raw = build().backend_with(rig.store().clone(), Raw).build().unwrap();
        raw.insert("a".into(), "soup".into()).await.unwrap();
        let packed = build().backend_with(rig.store().clone(), MessagePack);
        let packed = packed.on_event(told.observer()).build().unwrap();
        assert_eq!(packed.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 1);
        assert_eq!(packed.get_with("a", || async { "stew".into() }).await.unwrap(), "stew");
        rig.advance(10);
        assert_eq!(raw.get("a").await.unwrap(), None);
    });
}

/// Has no bytes for what is odd, and panics over what is above a hundred.
struct Even;

impl Codec<u32> for Even {
    fn id(&self) -> u16 {
        0x8009
    }

    fn encode(&self, value: &u32) -> Result<Bytes> {
        assert!(*value <= 100, "expected");
        if value % 2 == 1 {
            return Err(Error::new(ErrorKind::Codec, "encode", "odd"));
        }
        Ok(Bytes::copy_from_slice(&value.to_le_bytes()))
    }

    fn decode(&self, bytes: &Bytes) -> Result<u32> {
        let bytes = bytes[..].try_into();
        bytes.map(u32::from_le_bytes).map_err(|_| Error::new(ErrorKind::Codec, "decode", "short"))
    }
}

/// A panic of the codec left the lease, and the caller was told that the cache was closed.
#[test]
fn a_value_that_cannot_be_encoded_takes_away_what_was_there() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = Cache::<String, u32>::builder()
            .clock(Arc::new(rig.clock.clone()))
            .backend_with(rig.store().clone(), Even)
            .ttl(secs(10))
            .grace(secs(60))
            .on_event(told.observer())
            .build()
            .unwrap();
        for (round, value) in [3, 101].into_iter().enumerate() {
            for is_load in [false, true] {
                cache.insert("a".into(), 2).await.unwrap();
                rig.advance(10);
                if is_load {
                    assert_eq!(
                        cache.get_with("a", move || async move { value }).await.unwrap(),
                        value
                    );
                } else {
                    let error = cache.insert("a".into(), value).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Codec);
                }
                assert!(rig.record("a").is_none(), "round {round}, load {is_load}");
                assert_eq!(stale_too(&cache).get("a").await.unwrap(), None);
            }
        }
        assert_eq!(told.count(|event| matches!(event, Event::NotStored(_))), 4);
    });
}

/// A load's value for which the store had no room left the stale one there.
#[test]
fn a_value_that_the_store_has_no_room_for_takes_away_what_was_there() {
    on(Rig::memory(), &async |rig: Rig| {
        let told = Told::default();
        let memory = MemoryBackend::new(Arc::new(rig.clock.clone())).with_max_bytes(10);
        let cache = Cache::<String, Vec<u8>>::builder()
            .clock(Arc::new(rig.clock.clone()))
            .backend_with(memory.clone(), Raw)
            .ttl(secs(10))
            .grace(secs(60))
            .on_event(told.observer())
            .build()
            .unwrap();
        for is_load in [false, true] {
            cache.insert("a".into(), vec![1; 5]).await.unwrap();
            rig.advance(10);
            if is_load {
                let large = || async { vec![2; 20] };
                assert_eq!(cache.get_with("a", large).await.unwrap(), [2; 20]);
            } else {
                let error = cache.insert("a".into(), vec![2; 20]).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NoSpace);
            }
            let there = memory.read_one(&entry("a")).await.unwrap();
            assert!(there.is_none(), "load {is_load}");
            assert_eq!(stale_too(&cache).get("a").await.unwrap(), None);
        }
        assert_eq!(told.count(|event| matches!(event, Event::NotStored(_))), 2);
    });
}

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
