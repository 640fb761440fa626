//! Values that a flight hands out: offers, copies, fallbacks, and the age up to which a caller
//! joins a flight.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::convert::Infallible;
use std::future::pending;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use larder::backend::Codec;
use larder::{Cache, ErrorKind, MemoryBackend, Options};
use larder_test_support::{Rig, in_time, on_all, on_shared, secs, settle};
use larder_testkit::{Fault, ManualClock, Operation, block_on};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const TAG: &str = "tag";

/// A cache with a stale, tagged value under 1, whose calls name no tags.
async fn stale_and_tagged(rig: &Rig) -> Cache<u64, String> {
    let builder = rig.builder::<u64, String>().ttl(secs(10));
    let cache = builder.grace(secs(600)).local_ttl(secs(3_600)).build().unwrap();
    cache.with(Options::new().tags([TAG])).insert(1, "old".to_owned()).await.unwrap();
    rig.advance(11);
    cache
}

/// Starts a load that fails when the test lets it.
fn failing(
    cache: &Cache<u64, String>,
) -> (JoinHandle<larder::Result<String>>, oneshot::Sender<()>) {
    let (fail, told) = oneshot::channel::<()>();
    let cache = cache.clone();
    let loader = move || async move {
        let _ = told.await;
        Err::<String, _>("the source is down")
    };
    (tokio::spawn(async move { cache.try_get_with(&1, loader).await }), fail)
}

#[test]
fn an_offer_that_its_tag_has_ended_is_not_handed_out() {
    on_all(async |rig| {
        let cache = stale_and_tagged(&rig).await;
        let (first, fail) = failing(&cache);
        settle().await;
        cache.invalidate_tag(TAG).await.unwrap();

        let hurried = cache.with(Options::new().soft_timeout(Duration::ZERO));
        let late =
            tokio::spawn(async move { hurried.get_with(&1, || async { "new".to_owned() }).await });
        settle().await;
        assert!(!late.is_finished(), "{}: it waits for the load", rig.name);
        fail.send(()).unwrap();
        assert_ne!(in_time(late).await.unwrap().ok().as_deref(), Some("old"), "{}", rig.name);
        assert!(first.await.unwrap().is_err(), "{}", rig.name);
    });
}

#[test]
fn a_fallback_that_its_tag_has_ended_is_not_handed_out() {
    on_all(async |rig| {
        let cache = stale_and_tagged(&rig).await;
        let (first, fail) = failing(&cache);
        settle().await;
        cache.invalidate_tag(TAG).await.unwrap();
        let (late, fail_too) = failing(&cache);
        settle().await;
        drop((fail, fail_too));
        for caller in [first, late] {
            let error = in_time(caller).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Loader, "{}", rig.name);
        }
    });
}

/// A codec that decodes when the test lets it.
struct Slow {
    begun: Sender<()>,
    told: Mutex<Receiver<()>>,
}

impl Codec<String> for Slow {
    fn id(&self) -> u16 {
        0x3000
    }

    fn encode(&self, value: &String) -> larder::Result<Bytes> {
        Ok(Bytes::from(value.clone()))
    }

    fn decode(&self, bytes: &Bytes) -> larder::Result<String> {
        self.begun.send(()).unwrap();
        let _ = self.told.lock().unwrap().recv();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

#[test]
fn a_copy_whose_tag_is_invalidated_while_it_is_decoded_is_not_handed_out() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(3).enable_all().build().unwrap();
    runtime.block_on(in_time(async {
        let store = MemoryBackend::default();
        let ((begun, has_begun), (tell, told)) = (channel(), channel());
        let slow = Slow { begun, told: Mutex::new(told) };
        let build = |codec| Cache::builder().backend_with(store.clone(), codec).build().unwrap();
        let there = {
            let (begun, told) = (channel().0, Mutex::new(channel().1));
            build(Slow { begun, told })
        };
        let here: Cache<u64, String> = build(slow);
        there.with(Options::new().tags([TAG])).insert(1, "old".to_owned()).await.unwrap();

        let load = |cache: Cache<u64, String>| {
            tokio::spawn(async move { cache.get_with(&1, || async { "new".to_owned() }).await })
        };
        let first = load(here.clone());
        tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
        here.invalidate_tag(TAG).await.unwrap();
        let late = load(here.clone());
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(tell);
        assert_eq!(late.await.unwrap().unwrap(), "new");
        first.await.unwrap().unwrap();
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some("new"));
    }));
}

#[test]
fn a_value_past_its_grace_is_not_offered() {
    on_all(async |rig| {
        let options = Options::new().ttl(secs(10)).grace(secs(2)).hard_timeout(Duration::MAX);
        let cache = rig.builder::<u64, String>().defaults(options);
        let cache = cache.local_ttl(secs(3_600)).build().unwrap();
        cache.insert(1, "old".to_owned()).await.unwrap();
        rig.advance(11);
        offers_nothing_later(&rig, &cache).await;
    });
}

#[test]
fn a_value_under_refresh_is_not_offered_past_its_ttl() {
    on_all(async |rig| {
        let options = Options::new().hard_timeout(Duration::MAX).refresh_after(secs(5));
        let cache = rig.builder::<u64, String>().defaults(options.ttl(secs(10)));
        let cache = cache.local_ttl(secs(3_600)).build().unwrap();
        cache.insert(1, "old".to_owned()).await.unwrap();
        rig.advance(6);
        offers_nothing_later(&rig, &cache).await;
    });
}

/// A load that hangs keeps no stale value alive: an hour later callers without patience wait for
/// it.
async fn offers_nothing_later(rig: &Rig, cache: &Cache<u64, String>) {
    let hanging = cache.clone();
    let load = || async { pending::<String>().await };
    let first = tokio::spawn(async move { hanging.get_with(&1, load).await });
    settle().await;
    rig.advance(3_600);
    settle().await;
    let hurried = cache.with(Options::new().soft_timeout(Duration::ZERO));
    let late =
        tokio::spawn(async move { hurried.get_with(&1, || async { "new".to_owned() }).await });
    settle().await;
    if late.is_finished() {
        assert_ne!(late.await.unwrap().unwrap(), "old", "{}", rig.name);
    } else {
        late.abort();
    }
    first.abort();
}

/// A change by another process, while a load of this one is under way.
#[derive(Clone, Copy, Debug)]
enum Change {
    Key,
    Insert,
    Tag,
    All,
}

#[test]
fn no_load_is_joined_that_began_before_what_others_confirmed_the_bounds_ago() {
    for change in [Change::Key, Change::Insert, Change::Tag, Change::All] {
        on_shared(async |rig| joins_no_old_load(&rig, change).await);
    }
}

async fn joins_no_old_load(rig: &Rig, change: Change) {
    let build = || {
        let options = Options::new().hard_timeout(secs(7_200));
        rig.builder::<u64, String>().ttl(secs(10_000)).defaults(options).build().unwrap()
    };
    let (here, there) = (build(), build());
    let tagged = here.with(Options::new().tags([TAG]));
    let (go, told) = oneshot::channel::<()>();
    let cache = tagged.clone();
    let first = tokio::spawn(async move {
        let loader = || async move {
            let _ = told.await;
            "old".to_owned()
        };
        cache.get_with(&1, loader).await
    });
    settle().await;
    rig.advance(1);
    settle().await;
    let reach = match change {
        Change::Key => there.invalidate(&1).await,
        Change::Insert => there.insert(1, "new".to_owned()).await,
        Change::Tag => there.invalidate_tag(TAG).await,
        Change::All => there.invalidate_all().await,
    };
    assert_eq!(reach.unwrap(), larder::Reach::Confirmed);
    for _ in 0..20 {
        rig.clock.advance(Duration::from_millis(500));
        settle().await;
    }
    let cache = tagged.clone();
    let late = tokio::spawn(async move { cache.get_with(&1, || async { "new".to_owned() }).await });
    settle().await;
    go.send(()).unwrap();
    while !late.is_finished() {
        rig.clock.advance(Duration::from_millis(100));
        settle().await;
    }
    assert_eq!(first.await.unwrap().unwrap(), "old", "{change:?} on {}", rig.name);
    assert_eq!(late.await.unwrap().unwrap(), "new", "{change:?} on {}", rig.name);
    assert_eq!(here.get(&1).await.unwrap().as_deref(), Some("new"), "{change:?} on {}", rig.name);
}

/// Broken once: the copy was a miss for the second reader, although the value was fresh.
#[test]
fn a_copy_whose_marks_are_due_meanwhile_is_compared_and_handed_out() {
    on_shared(async |rig| {
        let build = || rig.builder::<u64, String>().ttl(secs(10_000)).build().unwrap();
        let (here, there) = (build(), build());
        there.with(Options::new().tags([TAG])).insert(1, "new".to_owned()).await.unwrap();
        there.with(Options::new().tags([TAG])).insert(2, "new".to_owned()).await.unwrap();
        // From now on the marks are known.
        assert!(here.get(&2).await.unwrap().is_some());
        rig.clock.advance(Duration::from_millis(950));
        rig.store().next(Operation::Read, Fault::HoldAnswer);
        let read = |cache: Cache<u64, String>| tokio::spawn(async move { cache.get(&1).await });
        let first = read(here.clone());
        settle().await;
        rig.clock.advance(Duration::from_millis(100));
        let second = read(here.clone());
        settle().await;
        rig.store().release_all();
        for reader in [first, second] {
            let value = in_time(reader).await.unwrap().unwrap();
            assert_eq!(value.as_deref(), Some("new"), "{}", rig.name);
        }
    });
}

/// Broken once: by marks that were older than the record, the record counted as dead and was loaded
/// over.
#[test]
fn a_record_is_not_condemned_by_marks_that_are_older_than_it() {
    on_shared(async |rig| {
        let build = || rig.builder::<u64, String>().ttl(secs(10_000)).build().unwrap();
        let (here, there) = (build(), build());
        let tagged = |cache: &Cache<u64, String>| cache.with(Options::new().tags([TAG]));
        tagged(&there).insert(2, "old".to_owned()).await.unwrap();
        assert!(here.get(&2).await.unwrap().is_some());
        rig.clock.advance(Duration::from_millis(100));
        there.invalidate_tag(TAG).await.unwrap();
        tagged(&there).insert(1, "new".to_owned()).await.unwrap();
        let failing = || async { Err::<String, _>("it must not run") };
        let value = tagged(&here).try_get_with(&1, failing).await;
        assert_eq!(value.unwrap(), "new", "{}", rig.name);
    });
}

#[test]
fn no_flight_is_joined_past_its_leaders_hard_timeout() {
    let clock = ManualClock::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (undriven, driven) = (runtime(), runtime());
    let options = Options::new().hard_timeout(secs(2));
    let cache = Cache::<u64, u64>::builder().clock(Arc::new(clock.clone())).defaults(options);
    let cache = cache.build().unwrap();

    let begun = cache.clone();
    undriven.block_on(async move {
        tokio::spawn(async move { begun.get_with(&1, || async { pending().await }).await });
        settle().await;
    });
    clock.advance(secs(2));
    driven.block_on(in_time(async {
        assert_eq!(cache.get_with(&1, || async { 2 }).await.unwrap(), 2);
    }));
    cache.blocking().invalidate(&1).unwrap();
    assert_eq!(cache.blocking().get_with(&1, || 3).unwrap(), 3);
}

#[test]
fn a_load_that_asks_for_its_own_key_late_is_told_so() {
    on_shared(async |rig| {
        let options = Options::new().hard_timeout(secs(7_200));
        let cache = rig.builder::<u64, u64>().defaults(options).build().unwrap();
        let (go, told) = oneshot::channel::<()>();
        let (inner, outer) = (cache.clone(), cache.clone());
        let loader = move || async move {
            let _ = told.await;
            Ok::<_, Infallible>(match inner.get_with(&1, || async { 1 }).await {
                Ok(_) => None,
                Err(error) => Some(error.kind()),
            })
        };
        let asked = tokio::spawn(async move {
            outer
                .try_get_with(&1, || async {
                    loader().await.map(|kind| u64::from(kind == Some(ErrorKind::Reentrant)))
                })
                .await
        });
        settle().await;
        rig.advance(60);
        settle().await;
        go.send(()).unwrap();
        assert_eq!(in_time(asked).await.unwrap().unwrap(), 1, "{}", rig.name);
    });
}

#[test]
fn a_clock_that_stands_still_lets_callers_share_a_load_whatever_the_bounds() {
    let clock = Arc::new(ManualClock::new());
    let store = MemoryBackend::new(clock.clone());
    let cache = Cache::<u64, u64>::builder().clock(clock).backend(store).tag_check(Duration::ZERO);
    let cache = cache.build().unwrap();
    block_on(async {});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(async {
        let loads = Arc::new(Mutex::new(0));
        let calls = (0..8).map(|_| {
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            tokio::spawn(async move {
                let loader = || async move {
                    tokio::task::yield_now().await;
                    *loads.lock().unwrap() += 1;
                    7
                };
                cache.get_with(&1, loader).await
            })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap().unwrap(), 7);
        }
        assert_eq!(*loads.lock().unwrap(), 1);
    }));
}
