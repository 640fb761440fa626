//! Dead entries leave memory and the backend, and their listener is told.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::{Class, Key, Namespace};
use larder::ops::Lock;
use larder::{Cache, Cause, EntryOptions, LocalCache, MemoryBackend, Options};
use larder_test_support::{in_time, on_shared, secs};
use larder_testkit::{Fault, ManualClock, Operation, block_on};

const LONG: Duration = Duration::from_secs(20);

/// A cache that counts the removals that its listener is told of.
fn counted(capacity: u64) -> (LocalCache<u64, u64>, Arc<AtomicUsize>) {
    let removed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&removed);
    let listener = move |_: &u64, _: &u64, cause| {
        count.fetch_add(usize::from(cause == Cause::Removed), SeqCst);
    };
    let cache = LocalCache::builder().capacity(capacity).listener(listener).build().unwrap();
    (cache, removed)
}

fn fill(cache: &LocalCache<u64, u64>, keys: std::ops::Range<u64>) {
    keys.for_each(|key| cache.insert_with(key, key, EntryOptions::new().tags(["t"])));
}

#[test]
fn what_a_tag_or_all_ends_is_told_as_removed_and_freed_unasked() {
    let (done, wait) = channel();
    let done = Mutex::new(done);
    let cache = LocalCache::builder()
        .capacity(10_000)
        .listener(move |key: &u64, _: &u64, cause| {
            done.lock().unwrap().send((*key, cause)).unwrap();
        })
        .build()
        .unwrap();
    let invalidations: [fn(&LocalCache<u64, u64>); 2] =
        [|cache| cache.invalidate_tag("t"), LocalCache::invalidate_all];
    for invalidate in invalidations {
        fill(&cache, 0..5_000);
        invalidate(&cache);
        let mut keys: Vec<u64> = (0..5_000)
            .map(|_| wait.recv_timeout(LONG).expect("it is freed without being asked for"))
            .inspect(|(_, cause)| assert_eq!(*cause, Cause::Removed))
            .map(|(key, _)| key)
            .collect();
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..5_000));
        assert_eq!(cache.len(), 0);
    }
}

#[test]
fn a_sweep_returns_when_what_was_dead_is_gone_also_beside_the_janitor() {
    let (cache, removed) = counted(10_000);
    for round in 1..=20 {
        fill(&cache, 0..3_000);
        cache.invalidate_tag("t");
        cache.sweep();
        assert_eq!((cache.len(), removed.load(SeqCst)), (0, round * 3_000));
    }
}

#[test]
fn a_sweep_that_a_listener_asks_for_does_not_wait_for_itself() {
    let clock = ManualClock::new();
    let swept = Arc::new(Mutex::new(None::<LocalCache<u64, u64>>));
    let (own, count) = (Arc::clone(&swept), Arc::new(AtomicUsize::new(0)));
    let told = Arc::clone(&count);
    let cache = LocalCache::builder()
        .capacity(100)
        .clock(Arc::new(clock))
        .listener(move |_: &u64, _: &u64, _| {
            own.lock().unwrap().as_ref().unwrap().clone().sweep();
            told.fetch_add(1, SeqCst);
        })
        .build()
        .unwrap();
    *swept.lock().unwrap() = Some(cache.clone());
    fill(&cache, 0..10);
    cache.invalidate_all();
    cache.sweep();
    assert_eq!((cache.len(), count.load(SeqCst)), (0, 10));
    *swept.lock().unwrap() = None;
}

#[test]
fn the_generation_after_a_tag_hits_as_often_as_after_an_invalidation_by_key() {
    const CAPACITY: u64 = 10_000;
    let hits = |invalidate: fn(&LocalCache<u64, u64>)| {
        let cache = LocalCache::builder()
            .capacity(CAPACITY)
            .clock(Arc::new(ManualClock::new()))
            .build()
            .unwrap();
        fill(&cache, 0..CAPACITY);
        // Entries that were used are kept in preference to new ones.
        (0..2 * CAPACITY)
            .for_each(|key| assert!(cache.peek(&(key % CAPACITY)) == cache.get(&(key % CAPACITY))));
        invalidate(&cache);
        fill(&cache, CAPACITY..2 * CAPACITY);
        (CAPACITY..2 * CAPACITY).filter(|key| cache.get(key).is_some()).count()
    };
    let by_key = hits(|cache| (0..CAPACITY).for_each(|key| cache.invalidate(&key)));
    let by_tag = hits(|cache| {
        cache.invalidate_tag("t");
        cache.sweep();
    });
    assert!(by_tag.abs_diff(by_key) <= 500, "{by_tag} after a tag, {by_key} after keys");
}

/// A listener that reports each call, and returns only when the test lets it.
fn held(calls: Sender<()>, go_on: std::sync::mpsc::Receiver<()>) -> impl Fn(&u64, &u64, Cause) {
    let (calls, go_on) = (Mutex::new(calls), Mutex::new(go_on));
    move |_, _, _| {
        let _ = calls.lock().unwrap().send(());
        let _ = go_on.lock().unwrap().recv();
    }
}

#[test]
fn one_listener_that_is_held_up_keeps_no_other_cache_from_being_freed() {
    let (calls, called) = channel();
    let (release, go_on) = channel();
    let slow = LocalCache::builder().capacity(10).listener(held(calls, go_on)).build().unwrap();
    let others: Vec<_> = (0..3)
        .map(|_| {
            let (told, wait) = channel();
            let told = Mutex::new(told);
            let cache = LocalCache::builder()
                .capacity(10)
                .listener(move |_: &u64, _: &u64, cause| told.lock().unwrap().send(cause).unwrap())
                .build()
                .unwrap();
            (cache, wait)
        })
        .collect();
    slow.insert(1, 1);
    slow.invalidate_all();
    called.recv_timeout(LONG).expect("the slow listener is called");
    for (cache, wait) in &others {
        cache.insert_with(1, 1, Duration::from_millis(1));
        assert_eq!(wait.recv_timeout(LONG), Ok(Cause::Expired), "while the slow one is held up");
        cache.insert(2, 2);
        cache.invalidate_all();
        assert_eq!(wait.recv_timeout(LONG), Ok(Cause::Removed));
    }
    drop(release);
    slow.insert(2, 2);
    slow.invalidate_all();
    called.recv_timeout(LONG).expect("it is freed again when its listener has come back");
}

#[derive(Debug)]
struct Bad(u64);

impl Clone for Bad {
    fn clone(&self) -> Self {
        assert!(!self.0.is_multiple_of(5), "a copy fails");
        Self(self.0)
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.0 % 7 != 1, "an end fails");
    }
}

#[test]
fn a_copy_or_an_end_that_panics_keeps_no_other_entry() {
    let clock = ManualClock::new();
    let cache =
        LocalCache::builder().capacity(10_000).clock(Arc::new(clock.clone())).build().unwrap();
    (0..2_000).for_each(|key| cache.insert(key, Bad(key)));
    cache.invalidate_all();
    (2_000..4_000).for_each(|key| cache.insert_with(key, Bad(key), secs(1)));
    clock.advance(Duration::ZERO);
    assert_eq!(cache.len(), 2_000, "what a copy or an end has done is no reason to keep others");
    clock.advance(secs(2));
    assert_eq!((cache.len(), cache.stats().removed, cache.stats().expired), (0, 2_000, 2_000));
}

#[test]
fn what_another_process_has_ended_leaves_memory_once_it_is_noticed() {
    on_shared(async |rig| {
        let [here, there] = [(); 2].map(|()| rig.builder::<String, u32>().build().unwrap());
        for number in 0..50 {
            here.insert(number.to_string(), number).await.unwrap();
        }
        there.invalidate_all().await.unwrap();
        rig.advance(60);
        assert_eq!(here.get("7").await.unwrap(), None);
        rig.advance(0);
        assert_eq!(here.len(), 0);
    });
}

#[test]
fn a_purge_frees_in_the_backend_what_tags_and_all_have_ended() {
    on_shared(async |rig| {
        let [here, there] = [(); 2].map(|()| rig.builder::<String, u32>().build().unwrap());
        let tagged = here.with(Options::new().tags(["t"]));
        for number in 0..50 {
            tagged.insert(format!("t{number}"), number).await.unwrap();
        }
        for number in 0..20 {
            here.insert(number.to_string(), number).await.unwrap();
        }
        here.incr("n", 1).await.unwrap();
        assert_eq!(here.purge().await.unwrap(), 0);
        // The purge judges by the marks of now, whatever marks this cache knows.
        there.invalidate_tag("t").await.unwrap();
        there.with(Options::new().tags(["t"])).insert("t7".into(), 7).await.unwrap();
        assert_eq!(here.purge().await.unwrap(), 49);
        assert!(rig.record("t7").is_some() && rig.record("t8").is_none());
        assert_eq!((here.purge().await.unwrap(), there.count("*").await.unwrap()), (0, 22));

        there.invalidate_all().await.unwrap();
        there.insert("new".into(), 1).await.unwrap();
        assert_eq!(here.purge().await.unwrap(), 22);
        assert!(rig.record("new").is_some());
        assert_eq!(there.get("new").await.unwrap(), Some(1));
    });
}

#[test]
fn a_purge_leaves_what_has_taken_the_place_of_the_dead_meanwhile() {
    on_shared(async |rig| {
        let [here, there] = [(); 2].map(|()| rig.builder::<String, u32>().build().unwrap());
        here.insert("a".into(), 1).await.unwrap();
        here.insert("b".into(), 1).await.unwrap();
        here.invalidate_all().await.unwrap();
        rig.store().next(Operation::Delete, Fault::Hold);
        let change = async {
            rig.store().until_held(1).await;
            there.insert("a".into(), 2).await.unwrap();
            rig.store().release_all();
        };
        let (purged, ()) = tokio::join!(here.purge(), change);
        assert_eq!(purged.unwrap(), 1);
        assert_eq!(there.get("a").await.unwrap(), Some(2));
        assert!(rig.record("b").is_none());
    });
}

#[test]
fn a_memory_backend_frees_its_dead_records_and_locks_without_being_full() {
    let clock = Arc::new(ManualClock::new());
    let backend = MemoryBackend::new(clock.clone());
    let namespace = Namespace::new("shop").unwrap();
    let cache =
        Cache::<u64, u64>::builder().clock(clock.clone()).backend(backend.clone()).build().unwrap();
    let run = async {
        for number in 0..1_000_u64 {
            let key = Key::new(&namespace, Class::Lock, &number.to_be_bytes());
            let lock = Lock::try_acquire(backend.clone(), clock.clone(), key, secs(1)).await;
            assert!(lock.unwrap().is_some());
            cache.with(secs(1)).insert(number, number).await.unwrap();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(run));
    assert!(!format!("{backend:?}").contains("payload_bytes: 0"));
    clock.advance(secs(2));
    let left = format!("{backend:?}");
    assert!(left.contains("payload_bytes: 0"), "{left}");
    block_on(async {
        let all = larder::backend::Backend::scan(&backend, b"", None, 10).await.unwrap();
        assert!(all.records.len() <= 2, "the marks of the cache and nothing else: {all:?}");
    });
}
