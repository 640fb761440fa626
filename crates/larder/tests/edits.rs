//! Verbs that change an entry's life, or remove it: one meaning in every cache.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use larder::backend::Clock as _;
use larder::{Cache, EntryInfo, EntryOptions, LocalCache, Options, Ttl};
use larder_test_support::{Rig, on_all, on_shared, secs, settle};
use larder_testkit::{Fault, ManualClock, Operation};

/// The answer of a verb, and the ttl and life that are left.
type Seen = (Option<u32>, Option<(Duration, Duration)>);

#[derive(Clone, Copy, Debug)]
enum Verb {
    Remove,
    MarkStale,
    SetTtl(Ttl),
    Touch,
    GetAndTouch,
    Revive(Ttl),
}

const VERBS: [Verb; 9] = [
    Verb::Remove,
    Verb::MarkStale,
    Verb::SetTtl(Ttl::For(secs(5))),
    Verb::SetTtl(Ttl::For(Duration::ZERO)),
    Verb::SetTtl(Ttl::Default),
    Verb::SetTtl(Ttl::Never),
    Verb::Touch,
    Verb::GetAndTouch,
    Verb::Revive(Ttl::For(secs(7))),
];

/// The way an entry is written, and its age when the verb comes.
const ENTRIES: [(Ttl, u64, u64); 7] = [
    (Ttl::Default, 60, 3),
    (Ttl::For(secs(20)), 60, 3),
    (Ttl::For(secs(20)), 30, 25),
    (Ttl::For(secs(20)), 0, 3),
    (Ttl::For(secs(20)), 0, 25),
    (Ttl::Never, 60, 3),
    (Ttl::For(secs(20)), 30, 60),
];

async fn by_cache(cache: &Cache<u32, u32>, verb: Verb) -> Option<u32> {
    let told = |is_done: bool| is_done.then_some(0);
    match verb {
        Verb::Remove => cache.remove(&1).await.unwrap(),
        Verb::MarkStale => told(cache.mark_stale(&1).await.unwrap()),
        Verb::SetTtl(ttl) => told(cache.set_ttl(&1, ttl).await.unwrap()),
        Verb::Touch => told(cache.touch(&1).await.unwrap()),
        Verb::GetAndTouch => cache.get_and_touch(&1).await.unwrap(),
        Verb::Revive(ttl) => cache.revive(&1, ttl).await.unwrap(),
    }
}

fn by_local(cache: &LocalCache<u32, u32>, verb: Verb) -> Option<u32> {
    let told = |is_done: bool| is_done.then_some(0);
    match verb {
        Verb::Remove => cache.remove(&1),
        Verb::MarkStale => told(cache.mark_stale(&1)),
        Verb::SetTtl(ttl) => told(cache.set_ttl(&1, ttl)),
        Verb::Touch => told(cache.touch(&1)),
        Verb::GetAndTouch => cache.get_and_touch(&1),
        Verb::Revive(ttl) => cache.revive(&1, ttl),
    }
}

fn left(info: Option<EntryInfo>) -> Option<(Duration, Duration)> {
    info.map(|info| (info.ttl_left, info.kept_left))
}

#[test]
fn a_verb_means_the_same_in_every_cache() {
    on_all(async |rig: Rig| {
        for (ttl, grace, age) in ENTRIES {
            for verb in VERBS {
                let grace = secs(grace);
                let clock = Arc::new(rig.clock.clone());
                let local = LocalCache::builder().capacity(9).ttl(secs(10)).clock(clock);
                let local: LocalCache<u32, u32> = local.grace(secs(60)).build().unwrap();
                let cache = rig.builder().ttl(secs(10)).build().unwrap();
                // An entry without end has no grace of its own: it gets that of the handle.
                let cache = cache.with(Options::new().grace(secs(60)));
                local.insert_with(1, 7, EntryOptions::new().ttl(ttl).grace(grace));
                cache.with(Options::new().ttl(ttl).grace(grace)).insert(1, 7).await.unwrap();
                rig.clock.advance(secs(age));
                let mut seen: Vec<[Seen; 2]> = Vec::new();
                for verb in [verb, Verb::Touch, Verb::Revive(Ttl::For(secs(9)))] {
                    let told = [by_cache(&cache, verb).await, by_local(&local, verb)];
                    let there =
                        [left(cache.entry_info(&1).await.unwrap()), left(local.entry_info(&1))];
                    seen.push([(told[0], there[0]), (told[1], there[1])]);
                    rig.clock.advance(secs(1));
                }
                for [shared, local] in &seen {
                    assert_eq!(
                        shared, local,
                        "{}: {ttl:?} {grace:?} {age} {verb:?}: {seen:?}",
                        rig.name
                    );
                }
                cache.invalidate(&1).await.unwrap();
            }
        }
    });
}

#[test]
fn a_read_that_restarts_the_ttl_counts_as_a_read() {
    on_all(async |rig: Rig| {
        let cache = rig.builder().ttl(secs(10)).build().unwrap();
        cache.insert(1, 7).await.unwrap();
        for _ in 0..3 {
            rig.clock.advance(secs(8));
            assert_eq!(cache.get_and_touch(&1).await.unwrap(), Some(7), "{}", rig.name);
        }
        rig.clock.advance(secs(10));
        assert_eq!(cache.get_and_touch(&1).await.unwrap(), None::<u32>, "{}", rig.name);
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses), (3, 1), "{}", rig.name);
    });
}

#[test]
fn a_read_that_restarts_the_ttl_is_a_use_of_the_entry() {
    let clock = ManualClock::new();
    let builder = LocalCache::builder().capacity(9).clock(Arc::new(clock.clone()));
    let local: LocalCache<u32, u32> = builder.ttl(secs(100)).tti(secs(10)).build().unwrap();
    let builder = Cache::builder().clock(Arc::new(clock.clone()));
    let cache: Cache<u32, u32> = builder.ttl(secs(100)).tti(secs(10)).build().unwrap();
    local.insert(1, 7);
    cache.blocking().insert(1, 7).unwrap();
    for _ in 0..5 {
        clock.advance(secs(8));
        assert_eq!(local.get_and_touch(&1), Some(7));
        assert_eq!(cache.blocking().get_and_touch(&1).unwrap(), Some(7));
    }
    clock.advance(secs(11));
    assert_eq!((local.get(&1), cache.blocking().get(&1).unwrap()), (None, None));
}

#[test]
fn a_stale_entry_is_taken_away_and_not_handed_out() {
    on_all(async |rig: Rig| {
        let cache = rig.builder().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert(1, 7).await.unwrap();
        rig.clock.advance(secs(11));
        assert_eq!(cache.remove(&1).await.unwrap(), None);
        assert_eq!(cache.revive(&1, secs(10)).await.unwrap(), None::<u32>, "it is gone");
    });
}

#[test]
fn a_change_whose_answer_is_lost_is_made_once_and_told() {
    on_shared(async |rig: Rig| {
        let cache: Cache<u32, u32> = rig.builder().ttl(secs(10)).grace(secs(60)).build().unwrap();
        cache.insert(1, 7).await.unwrap();
        rig.store().next(Operation::Write, Fault::LoseAnswer);
        assert!(cache.replace(1, 8).await.unwrap());
        rig.store().next(Operation::Retime, Fault::LoseAnswer);
        assert!(cache.touch(&1).await.unwrap());
        rig.store().next(Operation::Write, Fault::LoseAnswer);
        assert!(cache.mark_stale(&1).await.unwrap());
        rig.store().next(Operation::Delete, Fault::LoseAnswer);
        assert!(cache.remove(&1).await.is_err(), "somebody else may have got it");
    });
}

#[test]
fn an_outage_costs_one_timeout_also_where_that_is_short() {
    on_shared(async |rig: Rig| {
        let builder = rig.builder().ttl(secs(10)).backend_timeout(Duration::from_millis(500));
        let cache: Cache<u32, u32> = builder.build().unwrap();
        cache.insert(1, 7).await.unwrap();
        rig.store().every(Operation::Retime, Fault::Hold);
        let began = rig.clock.now();
        let touched = tokio::spawn(async move { cache.touch(&1).await });
        while !touched.is_finished() {
            settle().await;
            rig.clock.advance(Duration::from_millis(50));
        }
        assert!(touched.await.unwrap().is_err());
        assert!(rig.clock.now().since(began) < secs(1));
    });
}

/// Broken once: a ttl so long that it has no end had an endless grace, too.
#[test]
fn a_ttl_that_saturates_is_one_without_end() {
    let clock = ManualClock::new();
    let cache =
        LocalCache::builder().capacity(9).ttl(secs(u64::MAX)).clock(Arc::new(clock.clone()));
    let cache: LocalCache<u32, u32> = cache.build().unwrap();
    cache.insert(1, 7);
    assert!(cache.set_ttl(&1, secs(5)));
    clock.advance(secs(6));
    assert_eq!(cache.get_stale(&1), None);
}

/// A value whose drop removes the entry that it was under.
#[derive(Clone)]
struct Ends<C: Fn() + Clone>(C);

impl<C: Fn() + Clone> Drop for Ends<C> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn values_end_outside_of_all_locks() {
    type End = fn();
    static LOCAL: OnceLock<LocalCache<u32, Ends<End>>> = OnceLock::new();
    static CACHE: OnceLock<Cache<u32, Ends<End>>> = OnceLock::new();
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let local = LOCAL.get_or_init(|| LocalCache::new(9));
        let cache = CACHE.get_or_init(|| Cache::new(9).unwrap());
        let end: End = || {
            if let (Some(local), Some(cache)) = (LOCAL.get(), CACHE.get()) {
                local.invalidate(&1);
                cache.blocking().invalidate(&1).unwrap();
            }
        };
        for (number, verb) in VERBS.into_iter().chain(VERBS).enumerate() {
            local.insert_with(1, Ends(end), EntryOptions::new().tags(["t"]));
            let options = Options::new().tags(["t"]);
            cache.with(options).blocking().insert(1, Ends(end)).unwrap();
            // An entry that a tag has made stale is not given a life. The second time it is fresh.
            if number < VERBS.len() {
                local.mark_tag_stale("t");
                cache.blocking().mark_tag_stale("t").unwrap();
            }
            let blocking = cache.blocking();
            match verb {
                Verb::Remove => drop((local.remove(&1), blocking.remove(&1))),
                Verb::MarkStale => drop((local.mark_stale(&1), blocking.mark_stale(&1))),
                Verb::SetTtl(ttl) => drop((local.set_ttl(&1, ttl), blocking.set_ttl(&1, ttl))),
                Verb::Touch => drop((local.touch(&1), blocking.touch(&1))),
                Verb::GetAndTouch => drop((local.get_and_touch(&1), blocking.get_and_touch(&1))),
                Verb::Revive(ttl) => drop((local.revive(&1, ttl), blocking.revive(&1, ttl))),
            }
        }
        done.send(()).unwrap();
    });
    is_done.recv_timeout(secs(30)).expect("a value's end waits for its own caller's lock");
}
