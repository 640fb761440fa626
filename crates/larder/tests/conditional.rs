//! Changes that depend on the entry that is there: their answers, and the loads they leave alone.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier};
use std::thread;

use larder::{Cache, CacheKey, EntryOptions, Error, LocalCache, Options, Reach};
use larder_test_support::{in_time, on_all, on_shared, secs, settle};
use larder_testkit::{Fault, Operation, block_on};
use tokio::sync::Semaphore;

const ROUNDS: usize = 20_000;

/// Makes both calls at once, round after round. Returns how often the answer was yes and the entry
/// was missing in the end, although the entry that had to go was there first.
fn lies(
    prepare: impl Fn(),
    invalidate: impl Fn() + Sync,
    claim: impl Fn() -> bool,
    is_there: impl Fn() -> bool,
) -> usize {
    let (start, end) = (Barrier::new(2), Barrier::new(2));
    let mut lies = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                start.wait();
                invalidate();
                end.wait();
            }
        });
        for _ in 0..ROUNDS {
            prepare();
            start.wait();
            let is_ours = claim();
            end.wait();
            lies += usize::from(is_ours && !is_there());
        }
    });
    lies
}

async fn invalidate<K, V>(cache: &Cache<K, V>, is_all: bool) -> Result<Reach, Error>
where
    K: CacheKey,
    V: Clone + Send + Sync + 'static,
{
    if is_all { cache.invalidate_all().await } else { cache.invalidate_tag("t").await }
}

fn tagged() -> EntryOptions {
    EntryOptions::new().tags(["t"])
}

#[test]
fn a_local_insert_if_absent_says_yes_only_if_what_it_stored_counts() {
    let cache = LocalCache::<u64, u64>::new(10);
    let invalidations: [fn(&LocalCache<u64, u64>); 2] =
        [LocalCache::invalidate_all, |cache| cache.invalidate_tag("t")];
    for invalidate in invalidations {
        let lies = lies(
            || cache.insert_with(1, 0, tagged()),
            || invalidate(&cache),
            || cache.insert_if_absent(1, 1, tagged()),
            || cache.get(&1).is_some(),
        );
        assert_eq!(lies, 0);
    }
}

#[test]
fn an_insert_if_absent_in_memory_says_yes_only_if_what_it_stored_counts() {
    let cache = Cache::<u64, u64>::new(10).unwrap();
    let with = cache.with(Options::new().tags(["t"]));
    for is_all in [true, false] {
        let lies = lies(
            || assert_eq!(block_on(with.insert(1, 0)).unwrap(), Reach::Confirmed),
            || assert_eq!(block_on(invalidate(&cache, is_all)).unwrap(), Reach::Confirmed),
            || block_on(with.insert_if_absent(1, 1)).unwrap(),
            || block_on(cache.get(&1)).unwrap().is_some(),
        );
        assert_eq!(lies, 0);
    }
}

/// A replace that finds a fresh value comes before the invalidation, and its value ends with it.
#[test]
fn a_local_replace_brings_nothing_over_an_invalidation() {
    let cache = LocalCache::<u64, u64>::new(10);
    let survivors = lies(
        || cache.insert_with(1, 0, tagged()),
        || cache.invalidate_all(),
        || cache.replace(1, 1, tagged()),
        || cache.get(&1).is_none(),
    );
    assert_eq!(survivors, 0);
}

#[test]
fn an_insert_if_absent_over_a_backend_says_yes_only_if_what_it_stored_counts() {
    on_shared(async |rig| {
        // The index of the read that waits while another process changes the marks.
        for (read, is_all) in (0..3).flat_map(|read| [(read, true), (read, false)]) {
            let [here, there] = [(); 2].map(|()| rig.builder::<String, u32>().build().unwrap());
            let with = here.with(Options::new().tags(["t"]));
            with.insert("a".into(), 0).await.unwrap();
            rig.store().nth(Operation::Read, read, Fault::Hold);
            let change = async {
                rig.store().until_held(1).await;
                invalidate(&there, is_all).await.unwrap();
                rig.store().release_all();
            };
            let (is_ours, ()) = tokio::join!(with.insert_if_absent("a".into(), 1), change);
            let now = there.get("a").await.unwrap();
            assert_eq!(is_ours.unwrap(), now == Some(1), "{}, {read}, {is_all}: {now:?}", rig.name);
        }
    });
}

#[test]
fn a_local_change_that_changes_nothing_leaves_the_load_alone() {
    let cache = LocalCache::<u64, u64>::new(10);
    let (loads, start, end) = (AtomicUsize::new(0), Barrier::new(2), Barrier::new(2));
    let load = || {
        loads.fetch_add(1, SeqCst);
        start.wait();
        end.wait();
        7
    };
    thread::scope(|scope| {
        let loading = scope.spawn(|| cache.get_with(&1, load));
        start.wait();
        assert!(!cache.replace(1, 8, EntryOptions::new()));
        assert!(!cache.set_ttl(&1, secs(1)) && !cache.touch(&1));
        assert_eq!(cache.revive(&1, secs(1)), None);
        end.wait();
        assert_eq!(loading.join().unwrap(), 7);
    });
    assert_eq!((cache.get(&1), loads.load(SeqCst)), (Some(7), 1));
    assert!(!cache.insert_if_absent(1, 8, EntryOptions::new()));
}

#[test]
fn a_change_that_changes_nothing_leaves_the_load_alone() {
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let loads = Arc::new(AtomicUsize::new(0));
        let load = || {
            let (cache, gate, loads) = (cache.clone(), Arc::clone(&gate), Arc::clone(&loads));
            tokio::spawn(async move {
                let loader = || async move {
                    loads.fetch_add(1, SeqCst);
                    gate.acquire().await.unwrap().forget();
                    7
                };
                cache.get_with("a", loader).await.unwrap()
            })
        };
        let first = load();
        settle().await;
        assert!(!cache.replace("a".into(), 8).await.unwrap());
        assert!(!cache.replace_if("a".into(), 8, |_| true).await.unwrap());
        assert!(!cache.set_ttl("a", secs(1)).await.unwrap());
        assert!(!cache.touch("a").await.unwrap());
        assert_eq!(cache.revive("a", secs(1)).await.unwrap(), None);
        let second = load();
        settle().await;
        gate.add_permits(2);
        assert_eq!((in_time(first).await.unwrap(), in_time(second).await.unwrap()), (7, 7));
        assert_eq!(loads.load(SeqCst), 1, "{}", rig.name);
        assert_eq!(cache.get("a").await.unwrap(), Some(7));
    });
}
