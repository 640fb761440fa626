//! The promises of `LocalCache`.
#![expect(clippy::unwrap_used, reason = "the helpers are parts of tests")]

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, Weak};
use std::thread;
use std::time::Duration;

use larder::backend::{Clock, ErrorKind, Life, NEVER};
use larder::{Cause, EntryOptions, LocalCache, LocalCacheBuilder, Ttl};
use larder_testkit::ManualClock;

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);
const ALMOST_SECOND: Duration = Duration::from_nanos(999_999_999);
/// More than the time from an entry's death until a sweep finds the entry.
const TICK: Duration = Duration::from_millis(200);

type Told = Arc<Mutex<Vec<(u64, u64, Cause)>>>;

fn builder(clock: &ManualClock) -> LocalCacheBuilder<u64, u64> {
    LocalCache::builder().capacity(1_000).clock(Arc::new(clock.clone()))
}

fn with_ttl(ttl: Duration) -> (ManualClock, LocalCache<u64, u64>) {
    let clock = ManualClock::new();
    let cache = builder(&clock).ttl(ttl).build().unwrap();
    (clock, cache)
}

fn told() -> (Told, impl Fn(&u64, &u64, Cause) + Send + Sync + 'static) {
    let told = Told::default();
    let writer = Arc::clone(&told);
    (told, move |key: &u64, value: &u64, cause| writer.lock().unwrap().push((*key, *value, cause)))
}

fn take(told: &Told) -> Vec<(u64, u64, Cause)> {
    std::mem::take(&mut told.lock().unwrap())
}

#[test]
fn an_age_equal_to_the_ttl_is_expired_and_a_nanosecond_less_is_not() {
    let (clock, cache) = with_ttl(10 * SECOND);
    cache.insert(1, 10);
    clock.advance(9 * SECOND + ALMOST_SECOND);
    assert_eq!(cache.get(&1), Some(10));
    assert_eq!(cache.entry_info(&1).unwrap().ttl_left, NANO);
    clock.advance(NANO);
    assert_eq!(cache.get(&1), None);
    assert!(!cache.contains_key(&1));
    assert_eq!(cache.entry_info(&1), None);
}

#[test]
fn a_value_inside_grace_is_served_only_to_those_who_take_stale_ones() {
    let clock = ManualClock::new();
    let cache = builder(&clock).ttl(SECOND).grace(5 * SECOND).build().unwrap();
    cache.insert(1, 10);
    clock.advance(SECOND);
    assert_eq!((cache.get(&1), cache.peek(&1), cache.get_stale(&1)), (None, None, Some(10)));
    let info = cache.entry_info(&1).unwrap();
    assert_eq!(
        (info.life, info.ttl_left, info.kept_left),
        (Life::Stale, Duration::ZERO, 5 * SECOND)
    );
    clock.advance(4 * SECOND + ALMOST_SECOND);
    assert_eq!(cache.get_stale(&1), Some(10));
    clock.advance(NANO);
    assert_eq!(cache.get_stale(&1), None);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.stale_hits, stats.misses), (0, 2, 2));
}

#[test]
fn idle_time_starts_anew_with_each_use_and_not_with_a_peek() {
    let clock = ManualClock::new();
    let cache = builder(&clock).tti(10 * SECOND).build().unwrap();
    cache.insert(1, 10);
    cache.insert(2, 20);
    for _ in 0..3 {
        clock.advance(9 * SECOND);
        assert_eq!(cache.get(&1), Some(10));
    }
    assert_eq!(cache.get(&2), None);
    assert_eq!(cache.len(), 1, "the idle one has left by itself");
    clock.advance(9 * SECOND);
    assert_eq!(cache.peek(&1), Some(10));
    assert!(cache.contains_key(&1));
    clock.advance(SECOND);
    assert_eq!(cache.get(&1), None);
    clock.advance(TICK);
    assert_eq!(cache.len(), 0);
}

#[test]
fn a_hard_tag_kills_and_a_soft_one_makes_stale_what_was_there_before() {
    let (_clock, cache) = with_ttl(100 * SECOND);
    let tagged = || EntryOptions::new().tags(["red", "round"]);
    cache.insert_with(1, 10, tagged());
    cache.insert_with(2, 20, EntryOptions::new().tags(["round"]));
    cache.insert(3, 30);
    assert_eq!(cache.entry_info(&1).unwrap().tags, ["red".into(), "round".into()]);

    cache.mark_tag_stale("red");
    assert_eq!((cache.get(&1), cache.get_stale(&1)), (None, Some(10)));
    assert_eq!((cache.get(&2), cache.get(&3)), (Some(20), Some(30)));
    cache.insert_with(1, 11, tagged());
    assert_eq!(cache.get(&1), Some(11));

    cache.invalidate_tag("round");
    assert_eq!((cache.get_stale(&1), cache.get_stale(&2), cache.get(&3)), (None, None, Some(30)));
    cache.insert_with(2, 21, tagged());
    assert_eq!(cache.get(&2), Some(21));
    cache.invalidate_tag("never seen");
    assert_eq!(cache.get(&2), Some(21));
}

#[test]
fn invalidating_all_kills_and_frees_and_marking_all_makes_stale() {
    let (told, listener) = told();
    let clock = ManualClock::new();
    let cache = builder(&clock).listener(listener).build().unwrap();
    for key in 0..100 {
        cache.insert(key, key);
    }
    cache.mark_all_stale();
    assert_eq!((cache.get(&7), cache.get_stale(&7)), (None, Some(7)));
    cache.insert(7, 70);
    assert_eq!(cache.get(&7), Some(70));
    take(&told);

    cache.invalidate_all();
    assert_eq!((cache.get(&7), cache.get_stale(&7)), (None, None));
    cache.insert(1_000, 1);
    clock.advance(Duration::ZERO);
    assert_eq!((cache.len(), cache.get(&1_000)), (1, Some(1)), "the dead have left, unasked");
    let told = take(&told);
    assert_eq!(told.len(), 100);
    assert!(told.iter().all(|(_, _, cause)| *cause == Cause::Removed));
}

#[test]
fn each_entry_that_leaves_is_told_once_with_its_cause() {
    let (told, listener) = told();
    let clock = ManualClock::new();
    let cache = builder(&clock).capacity(3).ttl(10 * SECOND).listener(listener).build().unwrap();
    cache.insert(1, 10);
    cache.insert(1, 11);
    assert_eq!(take(&told), [(1, 10, Cause::Replaced)]);
    assert_eq!(cache.remove(&1), Some(11));
    assert_eq!(take(&told), [(1, 11, Cause::Removed)]);
    assert_eq!(cache.remove(&1), None);
    (0..4).for_each(|key| cache.insert(key, key));
    let evicted = take(&told);
    assert_eq!((evicted.len(), evicted[0].2), (1, Cause::Size));
    assert!(cache.set_ttl(&3, 5 * SECOND) && cache.touch(&3), "which nobody is told of");
    assert_eq!(take(&told), []);
    clock.advance(11 * SECOND);
    let expired = take(&told);
    assert_eq!(expired.len(), 3);
    assert!(expired.iter().all(|(_, _, cause)| *cause == Cause::Expired));
    let stats = cache.stats();
    assert_eq!((stats.replaced, stats.removed, stats.evicted, stats.expired), (1, 1, 1, 3));
}

#[test]
fn inserts_are_entries_and_departures_under_many_threads() {
    let departures = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&departures);
    let clock = ManualClock::new();
    let cache = builder(&clock)
        .ttl(SECOND)
        .listener(move |_, _, _| _ = counter.fetch_add(1, Ordering::Relaxed))
        .build()
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (cache, clock) = (&cache, &clock);
            scope.spawn(move || {
                for round in 0..5_000_u64 {
                    cache.insert((round * 7 + thread) % 3_000, round);
                    match round % 100 {
                        0 => clock.advance(SECOND / 100),
                        1 => _ = cache.remove(&(round % 3_000)),
                        2 => _ = cache.touch(&(round % 3_000)),
                        _ => {}
                    }
                }
            });
        }
    });
    assert_eq!(departures.load(Ordering::Relaxed) + cache.len(), 20_000);
    clock.advance(10 * SECOND);
    assert_eq!((departures.load(Ordering::Relaxed), cache.len()), (20_000, 0));
}

#[test]
fn a_listener_that_panics_or_calls_the_cache_does_no_harm() {
    let slot: Arc<Mutex<Option<LocalCache<u64, u64>>>> = Arc::default();
    let own = Arc::clone(&slot);
    let clock = ManualClock::new();
    let cache = builder(&clock)
        .capacity(10)
        .listener(move |key, _, cause| {
            let cache = own.lock().unwrap().clone().unwrap();
            cache.get(key);
            if cause == Cause::Removed {
                cache.insert(*key + 1_000, 0);
            }
            assert!(key % 2 == 0, "expected");
        })
        .build()
        .unwrap();
    *slot.lock().unwrap() = Some(cache.clone());
    (0..1_000).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.len(), 10);
    let stats = cache.stats();
    assert_eq!(stats.evicted, 990);
    assert!((490..=500).contains(&stats.listener_panics));
    let key = (0..1_000).find(|key| cache.contains_key(key)).unwrap();
    assert_eq!(cache.remove(&key), Some(key));
    assert!(cache.contains_key(&(key + 1_000)));
    slot.lock().unwrap().take();
}

#[test]
fn a_slow_listener_slows_only_the_caller_that_evicted() {
    let (entered, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (enter, wait) = (Arc::clone(&entered), Arc::clone(&leave));
    let clock = ManualClock::new();
    let cache = builder(&clock)
        .listener(move |key, _, _| {
            if *key == 1 {
                enter.wait();
                wait.wait();
            }
        })
        .build()
        .unwrap();
    cache.insert(1, 10);
    cache.insert(2, 20);
    let slow = thread::spawn({
        let cache = cache.clone();
        move || cache.remove(&1)
    });
    entered.wait();
    cache.insert(1, 11);
    assert_eq!((cache.get(&1), cache.remove(&2)), (Some(11), Some(20)));
    leave.wait();
    assert_eq!(slow.join().unwrap(), Some(10));
    thread::scope(|scope| {
        scope.spawn(|| cache.remove(&1));
        entered.wait();
        leave.wait();
    });
}

#[test]
fn the_capacity_is_never_exceeded_and_nearly_used() {
    for capacity in [1, 2, 3, 100, 1_000, 1_001, 100_000] {
        let cache = LocalCache::new(capacity);
        for key in 0..capacity * 2 {
            cache.insert(key, ());
            if key % 97 == 0 {
                assert!(cache.len() as u64 <= capacity);
            }
        }
        let len = cache.len() as u64;
        assert!(len <= capacity && len >= capacity - capacity / 100, "{len} of {capacity}");
    }
}

#[test]
fn weights_bound_the_cache_and_what_does_not_fit_leaves_nothing_behind() {
    let (told, listener) = told();
    let clock = ManualClock::new();
    let cache = builder(&clock)
        .max_weight(1_000, |_, value| u32::try_from(*value).unwrap())
        .listener(listener)
        .build()
        .unwrap();
    for key in 0..100 {
        cache.insert(key, 1 + key % 50);
        assert!(cache.weight() <= 1_000);
    }
    cache.insert(5, 100);
    take(&told);
    cache.insert(5, 1_001);
    assert_eq!(cache.get(&5), None);
    assert_eq!(take(&told), [(5, 100, Cause::Replaced), (5, 1_001, Cause::Size)]);
    assert_eq!(cache.stats().rejected, 1);
    assert_eq!(cache.get_with(&6, || 5_000), 5_000, "the value is answered all the same");
    assert_eq!(cache.get(&6), None);
    cache.insert(7, 0);
    assert_eq!(cache.get(&7), Some(0));
}

#[test]
fn a_weigher_that_panics_changes_nothing() {
    let clock = ManualClock::new();
    let weigher = |_: &u64, value: &u64| {
        assert!(*value != 13, "expected");
        1
    };
    let cache = builder(&clock).max_weight(100, weigher).build().unwrap();
    cache.insert(1, 10);
    assert!(catch_unwind(AssertUnwindSafe(|| cache.insert(1, 13))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| cache.get_with(&2, || 13))).is_err());
    assert_eq!((cache.get(&1), cache.get_with(&2, || 20)), (Some(10), 20));
    assert_eq!((cache.len(), cache.weight()), (2, 2));
}

/// A key whose hashes all collide, and whose `Eq` can be made to panic.
#[derive(Clone, Debug)]
struct Colliding(u64);

impl Hash for Colliding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        0_u8.hash(state);
    }
}

impl PartialEq for Colliding {
    fn eq(&self, other: &Self) -> bool {
        assert!(self.0 != 666 && other.0 != 666, "expected");
        self.0 == other.0
    }
}

impl Eq for Colliding {}

#[test]
fn keys_with_one_hash_are_keys_of_their_own() {
    let clock = ManualClock::new();
    let causes: Arc<Mutex<HashMap<Cause, usize>>> = Arc::default();
    let counter = Arc::clone(&causes);
    let cache = LocalCache::builder()
        .capacity(50)
        .clock(Arc::new(clock.clone()))
        .ttl(SECOND)
        .listener(move |_: &Colliding, _: &u64, cause| {
            *counter.lock().unwrap().entry(cause).or_default() += 1;
        })
        .build()
        .unwrap();
    (0..40).for_each(|key| cache.insert(Colliding(key), key));
    assert!((0..40).all(|key| cache.get(&Colliding(key)) == Some(key)));
    assert_eq!(cache.remove(&Colliding(3)), Some(3));
    assert!(cache.set_ttl(&Colliding(4), 3 * SECOND));
    clock.advance(SECOND + TICK);
    assert_eq!((cache.len(), cache.get(&Colliding(4))), (1, Some(4)));
    clock.advance(2 * SECOND);
    assert_eq!(cache.len(), 0);
    (0..100).for_each(|key| cache.insert(Colliding(key), key));
    let causes = causes.lock().unwrap();
    assert_eq!((causes[&Cause::Expired], causes[&Cause::Removed]), (39, 1));
    assert_eq!((causes[&Cause::Size], causes.get(&Cause::Replaced)), (50, None));
}

/// A destructor that finds a thread-local of the cache gone would end the process.
#[test]
fn destructors_of_an_ending_thread_use_the_cache() {
    struct Session(LocalCache<u64, u64>);
    impl Drop for Session {
        fn drop(&mut self) {
            let cache = &self.0;
            cache.insert(2, 2);
            assert!(cache.contains_key(&2) && cache.touch(&2) && cache.get(&1).is_some());
            assert_eq!(cache.remove(&1), Some(1));
        }
    }
    thread_local!(static SESSION: std::cell::OnceCell<Session> = const { std::cell::OnceCell::new() });
    let cache = LocalCache::new(10);
    let own = cache.clone();
    let thread = thread::spawn(move || {
        // First the destructor's variable: it ends after those that the cache makes.
        SESSION.with(|session| drop(session.set(Session(own.clone()))));
        own.insert(1, 1);
        assert!(own.contains_key(&1));
    });
    thread.join().unwrap();
    assert_eq!((cache.get(&1), cache.get(&2)), (None, Some(2)));
}

#[test]
fn a_key_whose_eq_panics_poisons_nothing() {
    let cache = LocalCache::new(100);
    (0..10).for_each(|key| cache.insert(Colliding(key), key));
    assert!(catch_unwind(AssertUnwindSafe(|| cache.remove(&Colliding(666)))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| cache.get(&Colliding(666)))).is_err());
    cache.insert(Colliding(1), 11);
    assert_eq!((cache.get(&Colliding(1)), cache.len()), (Some(11), 10));
    // Nothing tells the new entry from those with the same 64 bits of hash: all of them go.
    assert!(catch_unwind(AssertUnwindSafe(|| cache.insert(Colliding(666), 0))).is_err());
    assert_eq!((cache.get(&Colliding(1)), cache.len()), (None, 0));
    (0..10).for_each(|key| cache.insert(Colliding(key), key));
    assert_eq!((cache.get(&Colliding(1)), cache.len()), (Some(1), 10));
}

/// F14: one table of lives for all stores.
#[test]
fn ttls_at_the_edges_mean_what_they_say() {
    let (clock, cache) = with_ttl(10 * SECOND);
    let past = clock.now();
    clock.advance(SECOND);
    let soon = clock.now().after(SECOND);
    let rows: [(Ttl, Option<Duration>); 12] = [
        (Ttl::Default, Some(10 * SECOND)),
        (Ttl::Never, Some(NEVER)),
        (Ttl::For(Duration::ZERO), None),
        (Ttl::For(NANO), Some(NANO)),
        (Ttl::For(Duration::from_micros(500)), Some(Duration::from_micros(500))),
        (Ttl::For(31 * 86_400 * SECOND), Some(31 * 86_400 * SECOND)),
        (Ttl::For(Duration::from_secs(u64::MAX)), Some(NEVER)),
        (Ttl::For(Duration::MAX), Some(NEVER)),
        (Ttl::For(Duration::from_nanos(u64::MAX)), Some(NEVER)),
        (Ttl::Until(past), None),
        (Ttl::Until(clock.now()), None),
        (Ttl::Until(soon), Some(SECOND)),
    ];
    for (ttl, left) in rows {
        cache.insert(1, 1);
        cache.insert_with(1, 2, ttl);
        assert_eq!(cache.entry_info(&1).map(|info| info.ttl_left), left, "{ttl:?}");
        assert_eq!(cache.get(&1), left.map(|_| 2), "{ttl:?}");
        assert_eq!(cache.len(), usize::from(left.is_some()), "nothing is left of {ttl:?}");
        cache.insert(1, 1);
        assert!(cache.set_ttl(&1, ttl));
        assert_eq!(cache.entry_info(&1).map(|info| info.ttl_left), left, "{ttl:?}");
    }
}

/// F12: the system's clock counts on, whatever the wall clock says.
#[test]
fn the_system_clock_expires_and_frees_without_being_asked() {
    let freed = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&freed);
    let (done, wait) = std::sync::mpsc::channel();
    let done = Mutex::new(done);
    let cache = LocalCache::builder()
        .capacity(10)
        .listener(move |key: &u64, _: &u64, cause| {
            list.lock().unwrap().push((*key, cause));
            done.lock().unwrap().send(()).unwrap();
        })
        .build()
        .unwrap();
    cache.insert_with(1, 10, Duration::from_millis(200));
    cache.insert(2, 20);
    assert_eq!(cache.get(&1), Some(10));
    wait.recv_timeout(Duration::from_secs(10)).expect("the janitor frees within a second");
    assert_eq!((cache.get(&1), cache.len()), (None, 1));
    cache.invalidate_all();
    wait.recv_timeout(Duration::from_secs(10)).expect("and after an invalidation of all");
    assert_eq!(*freed.lock().unwrap(), [(1, Cause::Expired), (2, Cause::Removed)]);
}

#[test]
fn a_cache_that_is_let_go_is_freed_with_its_values() {
    let alive = Arc::new(());
    let clock = ManualClock::new();
    let cache = LocalCache::builder()
        .capacity(10)
        .clock(Arc::new(clock.clone()))
        .ttl(SECOND)
        .build()
        .unwrap();
    cache.insert(1, Arc::clone(&alive));
    let weak: Weak<()> = Arc::downgrade(&alive);
    drop((cache, alive));
    clock.advance(SECOND);
    assert!(weak.upgrade().is_none());
}

#[test]
fn changing_a_life_keeps_the_value() {
    let clock = ManualClock::new();
    let cache = builder(&clock).ttl(10 * SECOND).grace(60 * SECOND).build().unwrap();
    let left = |key| cache.entry_info(&key).map(|info| (info.ttl_left, info.kept_left));
    assert!(!cache.set_ttl(&1, SECOND) && !cache.touch(&1) && !cache.mark_stale(&1));
    cache.insert_with(1, 10, EntryOptions::new().tags(["tag"]));
    clock.advance(5 * SECOND);
    assert!(cache.touch(&1));
    assert_eq!(left(1), Some((10 * SECOND, 70 * SECOND)));
    assert!(cache.mark_stale(&1));
    assert_eq!((cache.get(&1), left(1)), (None, Some((Duration::ZERO, 60 * SECOND))));
    assert!(!cache.set_ttl(&1, SECOND) && !cache.touch(&1), "it is not fresh");
    assert_eq!(cache.revive(&1, 20 * SECOND), Some(10));
    assert_eq!((cache.get(&1), left(1)), (Some(10), Some((20 * SECOND, 80 * SECOND))));
    assert!(cache.set_ttl(&1, Ttl::Never));
    clock.advance(1_000_000 * SECOND);
    assert_eq!((cache.get(&1), left(1)), (Some(10), Some((NEVER, NEVER))));
    assert!(cache.set_ttl(&1, 2 * SECOND));
    assert_eq!(left(1), Some((2 * SECOND, 62 * SECOND)));
    clock.advance(62 * SECOND + TICK);
    assert_eq!(cache.len(), 0, "the shorter life is noticed");
    cache.insert_with(2, 20, EntryOptions::new().tags(["tag"]));
    assert!(cache.set_ttl(&2, SECOND));
    cache.invalidate_tag("tag");
    assert_eq!(cache.revive(&2, SECOND), None, "the dead stay dead");
}

#[test]
fn conditional_writes_ask_for_fresh_values() {
    let clock = ManualClock::new();
    let cache = builder(&clock).ttl(SECOND).grace(SECOND).build().unwrap();
    assert!(!cache.replace(1, 10, EntryOptions::new()));
    assert!(cache.insert_if_absent(1, 11, EntryOptions::new()));
    assert!(!cache.insert_if_absent(1, 12, EntryOptions::new()));
    assert!(cache.replace(1, 13, EntryOptions::new()));
    assert_eq!(cache.get(&1), Some(13));
    clock.advance(SECOND);
    assert!(!cache.replace(1, 14, EntryOptions::new()));
    assert!(cache.insert_if_absent(1, 15, EntryOptions::new()));
    assert_eq!(cache.get(&1), Some(15));
}

#[test]
fn many_threads_that_miss_make_one_load() {
    let cache = LocalCache::<String, usize>::new(100);
    let loads = AtomicUsize::new(0);
    let start = Barrier::new(64);
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                start.wait();
                let value = cache.get_with("key", || {
                    thread::park_timeout(Duration::from_millis(100));
                    loads.fetch_add(1, Ordering::Relaxed) + 7
                });
                assert_eq!(value, 7);
            });
        }
    });
    let stats = cache.stats();
    assert_eq!((loads.load(Ordering::Relaxed), stats.loads), (1, 1));
    assert_eq!(stats.coalesced + stats.hits, 63);
}

#[test]
fn a_loader_that_panics_or_fails_leaves_the_key_usable() {
    let cache = LocalCache::<u64, u64>::new(100);
    let start = Barrier::new(16);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|number| {
                let (cache, start) = (&cache, &start);
                scope.spawn(move || {
                    start.wait();
                    catch_unwind(AssertUnwindSafe(|| {
                        cache.try_get_with(&1, || {
                            thread::park_timeout(Duration::from_millis(5));
                            assert!(number % 3 != 0, "expected");
                            Err::<u64, u64>(number)
                        })
                    }))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (number, outcome) in (0..16).zip(outcomes) {
        assert_eq!(outcome.is_err(), number % 3 == 0, "the panic is its caller's");
        if let Ok(result) = outcome {
            assert_eq!(result, Err(number), "each gets the error of its own loader");
        }
    }
    assert_eq!(cache.get_with(&1, || 10), 10);
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures), (17, 16));
}

#[test]
fn a_load_that_is_overtaken_answers_and_is_not_kept() {
    type Change = fn(&LocalCache<u64, u64>);
    let changes: [(Change, Option<u64>); 6] = [
        (|cache| cache.insert(1, 20), Some(20)),
        (|cache| cache.invalidate(&1), None),
        (|cache| _ = cache.remove(&1), None),
        (LocalCache::invalidate_all, None),
        (|cache| cache.invalidate_tag("tag"), None),
        (|cache| cache.mark_tag_stale("tag"), None),
    ];
    for (change, kept) in changes {
        let cache = LocalCache::new(100);
        let options = EntryOptions::new().tags(["tag"]);
        let loaded = cache.try_get_with_options(&1, options, || {
            change(&cache);
            Ok::<u64, ()>(10)
        });
        assert_eq!((loaded, cache.get(&1)), (Ok(10), kept));
    }
}

#[test]
fn who_comes_after_a_change_does_not_get_the_load_that_began_before() {
    let cache = LocalCache::<u64, u64>::new(100);
    let value = cache.get_with(&1, || {
        cache.invalidate_all();
        thread::scope(|scope| {
            let later = scope.spawn(|| cache.get_with(&1, || 20));
            assert_eq!(later.join().unwrap(), 20);
        });
        10
    });
    assert_eq!((value, cache.get(&1)), (10, Some(20)));
}

#[test]
fn a_loader_that_asks_for_its_own_key_panics_instead_of_hanging() {
    let cache = LocalCache::<u64, u64>::new(100);
    let through = || cache.get_with(&2, || cache.get_with(&1, || 0));
    assert!(catch_unwind(AssertUnwindSafe(|| cache.get_with(&1, through))).is_err());
    assert_eq!(cache.get_with(&1, || 10), 10);
}

#[test]
fn a_hundred_thousand_entries_expire_in_one_sweep() {
    let clock = ManualClock::new();
    let cache = LocalCache::builder()
        .capacity(100_000)
        .clock(Arc::new(clock.clone()))
        .ttl(SECOND)
        .build()
        .unwrap();
    (0..90_000_u64).for_each(|key| cache.insert(key, ()));
    let len = cache.len();
    clock.advance(2 * SECOND);
    assert_eq!((cache.len(), cache.weight()), (0, 0));
    assert_eq!(cache.stats().expired, len as u64);
}

#[test]
fn builders_refuse_what_has_no_meaning() {
    let empty = LocalCache::<u64, u64>::builder;
    for builder in [
        empty(),
        empty().capacity(0),
        empty().capacity(1).ttl(Duration::ZERO),
        empty().capacity(1).tti(Duration::ZERO),
    ] {
        assert_eq!(builder.build().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
