//! What breaks caches, by number: stampedes, cancellation, panics, cycles, odd keys and lives.
//! Changes that race with loads are in `races/`.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;

use larder::backend::{Clock, ErrorKind, NEVER, Timestamp};
use larder::{Cache, CacheKey, Event, Loaded, LocalCache, Options, Reach, Ttl};
use larder_test_support::{Rig, Told, entry, in_time, on_all, on_shared, secs, settle};
use larder_testkit::block_on;
use tokio::runtime::Runtime;

const NANOSECOND: Duration = Duration::from_nanos(1);

fn threads(count: usize) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(count).enable_time().build().unwrap()
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

fn source_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn f12_no_step_of_the_wall_clock_has_an_effect() {
    // One file knows it, and only snapshots ask for it: the life of what is in memory never does.
    let mut files = Vec::new();
    for folder in ["src", "../larder-core/src"] {
        source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    assert!(files.len() > 30);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let is_clock = file.ends_with("larder/src/support/clock.rs");
        let is_snapshot = file.parent().unwrap().ends_with("larder/src/snapshot");
        for wall in ["SystemTime", "UNIX_EPOCH", "ClockId::Realtime"] {
            assert!(is_clock || !text.contains(wall), "{} names {wall}", file.display());
        }
        for wall in [".wall()", "Clock::wall"] {
            let may_ask = is_clock || is_snapshot;
            assert!(may_ask || !text.contains(wall), "{} asks for {wall}", file.display());
        }
    }
    // What counts is the cache's own clock.
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        rig.clock.advance(secs(10).checked_sub(NANOSECOND).unwrap());
        for wall in [Duration::ZERO, secs(1_000_000_000_000), secs(1)] {
            rig.clock.set_wall(wall);
            assert_eq!(cache.get("a").await.unwrap(), Some(7));
        }
        rig.clock.advance(NANOSECOND);
        rig.clock.set_wall(Duration::ZERO);
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
}

/// A ttl, and how long what is written with it lives: none if it is not kept at all.
fn lives(now: Timestamp) -> [(Ttl, Option<Duration>); 12] {
    let month = secs(31 * 86_400);
    let micros = Duration::from_micros(500);
    [
        (Ttl::For(Duration::ZERO), None),
        (Ttl::Until(Timestamp::ZERO), None),
        (Ttl::Until(now), None),
        (Ttl::For(NANOSECOND), Some(NANOSECOND)),
        (Ttl::Until(now.after(NANOSECOND)), Some(NANOSECOND)),
        (Ttl::For(micros), Some(micros)),
        (Ttl::For(month), Some(month)),
        (Ttl::For(secs(u64::MAX)), Some(NEVER)),
        (Ttl::For(Duration::MAX), Some(NEVER)),
        (Ttl::Until(Timestamp::FAR), Some(NEVER)),
        (Ttl::Never, Some(NEVER)),
        (Ttl::Default, Some(secs(77))),
    ]
}

#[test]
fn f14_lives_at_the_edges_are_the_same_on_every_set_up_and_by_every_verb() {
    for extra in [Options::new(), Options::new().grace(Duration::MAX).jitter(0.0)] {
        on_all(async |rig| {
            for verb in ["insert", "load", "loaded", "insert_if_absent", "replace", "set_ttl"] {
                for row in 0..12 {
                    let (ttl, life) = lives(rig.clock.now())[row];
                    let builder =
                        rig.builder::<String, u32>().defaults(extra.clone().ttl(secs(77)));
                    let cache = builder.build().unwrap();
                    let with = cache.with(ttl);
                    cache.invalidate("a").await.unwrap();
                    if matches!(verb, "replace" | "set_ttl") {
                        cache.with(Ttl::Never).insert("a".into(), 1).await.unwrap();
                    }
                    let loaded = move |_| async move { Ok::<_, Refused>(Loaded::new(7).ttl(ttl)) };
                    match verb {
                        "insert" => {
                            assert_eq!(with.insert("a".into(), 7).await.unwrap(), Reach::Confirmed);
                        }
                        "load" => assert_eq!(with.get_with("a", || async { 7 }).await.unwrap(), 7),
                        "loaded" => assert_eq!(cache.load("a", loaded).await.unwrap(), Some(7)),
                        "insert_if_absent" => {
                            assert!(with.insert_if_absent("a".into(), 7).await.unwrap());
                        }
                        "replace" => assert!(with.replace("a".into(), 7).await.unwrap()),
                        _ => assert!(cache.set_ttl("a", ttl).await.unwrap()),
                    }
                    let value = if verb == "set_ttl" { 1 } else { 7 };
                    let told = format!("{verb} {ttl:?}");
                    assert_eq!(cache.get("a").await.unwrap(), life.map(|_| value), "{told}");
                    let Some(life) = life else { continue };
                    let left = cache.entry_info("a").await.unwrap().unwrap().ttl_left;
                    // Beyond five centuries a life has no end. A store rounds up, never to nothing.
                    assert!([life, life.max(rig.tick)].contains(&left), "{told}: {left:?}");
                    if life != NEVER {
                        rig.clock.advance(life.saturating_sub(rig.tick));
                        assert_eq!(cache.get("a").await.unwrap(), Some(value), "{told}");
                        rig.clock.advance(rig.tick);
                        assert_eq!(cache.get("a").await.unwrap(), None, "{told}");
                    }
                }
            }
        });
    }
}

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

/// A key whose user code panics when its fuse has burnt down.
#[derive(Clone, Debug)]
struct Touchy(u32, Arc<Fuse>);

#[derive(Debug, Default)]
struct Fuse {
    /// Calls until the panic; zero is never.
    left: AtomicU32,
}

impl Fuse {
    fn burn(&self) {
        let burn = |left: u32| left.checked_sub(1);
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, burn);
        assert!(before != Ok(1), "expected");
    }

    /// Panics at this call; whether the one before never came.
    fn light(&self, calls: u32) -> bool {
        self.left.swap(calls, Ordering::SeqCst) != 0
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        self.1.burn();
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.burn();
        self.0.hash(state);
    }
}

impl CacheKey for Touchy {
    fn to_text(&self) -> Cow<'_, str> {
        self.1.burn();
        Cow::Owned(self.0.to_string())
    }

    fn from_text(text: &str) -> Option<Self> {
        u32::from_text(text).map(|number| Self(number, Arc::default()))
    }
}

#[test]
fn f18_a_key_that_panics_at_any_call_breaks_nothing() {
    on_all(async |rig| {
        let fuse = Arc::new(Fuse::default());
        let key = Touchy(7, Arc::clone(&fuse));
        // A lease that a panic left is not waited for: the clock stands still.
        let cache = rig.builder::<Touchy, u32>().wait_for_leases(false).build().unwrap();
        for calls in 1.. {
            assert!(calls < 200);
            cache.invalidate(&key).await.unwrap();
            fuse.light(calls);
            let ask = || {
                let (cache, key) = (cache.clone(), key.clone());
                tokio::spawn(async move {
                    let loader = || async {
                        tokio::task::yield_now().await;
                        1
                    };
                    cache.get_with(&key, loader).await
                })
            };
            let tasks = [ask(), ask(), ask()];
            for task in tasks {
                // Whoever's key panics has a panic or an error, all others the value.
                if let Ok(Ok(value)) = in_time(task).await {
                    assert_eq!(value, 1);
                }
            }
            let changed = tokio::spawn({
                let (cache, key) = (cache.clone(), key.clone());
                async move { cache.insert(key, 2).await }
            });
            drop(in_time(changed).await);
            let was_lit = fuse.light(0);
            assert_eq!(in_time(cache.insert(key.clone(), 3)).await.unwrap(), Reach::Confirmed);
            assert_eq!(cache.get(&key).await.unwrap(), Some(3));
            cache.invalidate(&key).await.unwrap();
            assert_eq!(in_time(cache.get_with(&key, || async { 4 })).await.unwrap(), 4);
            if was_lit {
                break;
            }
        }
    });
}

#[test]
fn f18_a_key_that_panics_breaks_no_local_cache() {
    let fuse = Arc::new(Fuse::default());
    let key = Touchy(7, Arc::clone(&fuse));
    let local = LocalCache::<Touchy, u32>::new(100);
    for calls in 1.. {
        assert!(calls < 200);
        local.invalidate(&key);
        fuse.light(calls);
        let _ = catch_unwind(AssertUnwindSafe(|| local.get_with(&key, || 1)));
        let _ = catch_unwind(AssertUnwindSafe(|| local.insert(key.clone(), 2)));
        let was_lit = fuse.light(0);
        local.insert(key.clone(), 3);
        assert_eq!(local.get(&key), Some(3));
        local.invalidate(&key);
        assert_eq!(local.get_with(&key, || 4), 4);
        if was_lit {
            break;
        }
    }
}

/// The new value was in the store, and the old one was still served from memory.
#[test]
fn f18_a_weigher_that_panics_keeps_no_old_value() {
    on_all(async |rig| {
        let heavy = |_: &String, value: &u32| {
            assert!(*value < 100, "expected");
            1
        };
        let cache = rig.builder::<String, u32>().weigher(heavy).build().unwrap();
        cache.insert("a".into(), 1).await.unwrap();
        assert_eq!(cache.insert("a".into(), 100).await.unwrap(), Reach::Confirmed);
        assert_eq!(cache.get("a").await.unwrap(), rig.store.is_some().then_some(100));
        cache.invalidate("a").await.unwrap();
        for _ in 0..2 {
            assert_eq!(cache.get_with("a", || async { 100 }).await.unwrap(), 100);
        }
        cache.insert("a".into(), 2).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), Some(2));
        assert!(cache.stats().rejected >= 2);
    });
}

#[test]
fn f18_a_loader_that_panics_leaves_the_local_cache_to_the_next() {
    let local = LocalCache::<u8, u32>::new(9);
    let panics = AssertUnwindSafe(|| local.get_with(&1, || panic!("expected")));
    assert!(catch_unwind(panics).is_err());
    assert_eq!(local.get_with(&1, || 2), 2);
}

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

        // By way of another key.
        let (second, third) = (cache.clone(), cache.clone());
        let round = || async move {
            let back = || async move { third.get_with("c", || async { 1 }).await };
            second.try_get_with("d", back).await
        };
        assert!(is_reentrant(&in_time(cache.try_get_with("c", round)).await.unwrap_err()));

        // From a blocking call inside an asynchronous load, on its only thread.
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

#[test]
fn f26_keys_that_must_differ_do() {
    on_all(async |rig| {
        let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let pairs = rig.builder::<(String, String), String>().namespace("pairs").build().unwrap();
        let keys = [text("a", "b:c"), text("a:b", "c"), text("a%3Ab", "c"), text("", "a:b:c")];
        for key in &keys {
            pairs.insert(key.clone(), format!("{key:?}")).await.unwrap();
        }
        let maybe = rig.builder::<Option<String>, u32>().namespace("maybe").build().unwrap();
        let odd = [None, Some(String::new()), Some("None".into()), Some("-".into())];
        for (number, key) in (0..).zip(&odd) {
            maybe.insert(key.clone(), number).await.unwrap();
        }
        let again = rig.builder::<(String, String), String>().namespace("pairs").build().unwrap();
        let pairs = if rig.store.is_some() { again } else { pairs };
        for key in &keys {
            assert_eq!(pairs.get(key).await.unwrap(), Some(format!("{key:?}")));
        }
        for (number, key) in (0..).zip(&odd) {
            assert_eq!(maybe.get(key).await.unwrap(), Some(number));
        }
    });
}

#[test]
fn f27_keys_of_every_length_and_with_every_byte_round_trip() {
    on_all(async |rig| {
        let sizes = [0, 1, 243, 244, 249, 250, 251, 64 << 10, 1 << 20];
        let mut keys: Vec<Vec<u8>> = sizes.map(|size| vec![b'x'; size]).into();
        let odd =
            ["\0", "\r\n", "a b", "\u{1F980}", "\r\nset pwned 0 100 3\r\nyes", "\u{7f}", "%00"];
        keys.extend(odd.map(|text| text.as_bytes().to_vec()));
        keys.extend([vec![0xff], vec![0xc0, 0x80], (0..=255).collect()]);
        let build = || rig.builder::<Vec<u8>, usize>().build().unwrap();
        let cache = build();
        for (number, key) in keys.iter().enumerate() {
            cache.insert(key.clone(), number).await.unwrap();
        }
        let reader = if rig.store.is_some() { build() } else { cache.clone() };
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(reader.get(key).await.unwrap(), Some(number));
            assert_eq!(reader.with(secs(9)).get_with(key, || async { 99 }).await.unwrap(), number);
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(cache.remove(key).await.unwrap(), Some(number));
            assert_eq!(cache.get(key).await.unwrap(), None);
        }
    });
}

#[test]
fn f27_a_record_of_another_key_under_the_same_name_is_a_miss() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        rig.store().damage(&entry("a")).await;
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 1);
        rig.store().lose(&entry("a")).await;
        assert!(rig.record("a").is_none());
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
