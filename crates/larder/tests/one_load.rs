//! One load among processes: also where a value may still be served, and where loads fail.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use larder::backend::{AnyBackend, Backend, ErrorKind, Kind, Namespace};
use larder::{Cache, CacheBuilder, Options};
use larder_test_support::{Rig, in_time, on, on_shared, secs, settle};
use larder_testkit::{Fault, Faulty, Operation, block_on};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const STEP: Duration = Duration::from_millis(50);

type Failed = std::io::Error;
type Loading = JoinHandle<larder::Result<u32>>;

/// A source that all loaders of a test read: they count, wait for the gate, and then return its
/// number.
#[derive(Clone)]
struct Source {
    gate: Arc<Semaphore>,
    loads: Arc<AtomicU32>,
    /// The number; zero means that the source cannot be read.
    shows: Arc<AtomicU32>,
}

impl Source {
    /// A source that shows a number at once.
    fn open(shows: u32) -> Self {
        let source = Self::closed(shows);
        source.gate.add_permits(1_000);
        source
    }

    /// A source that nobody can read yet.
    fn closed(shows: u32) -> Self {
        let shows = Arc::new(AtomicU32::new(shows));
        Self { gate: Arc::new(Semaphore::new(0)), loads: Arc::default(), shows }
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }

    async fn read(self) -> Result<u32, Failed> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        match self.shows.load(Ordering::SeqCst) {
            0 => Err(Failed::other("the source is down")),
            shown => Ok(shown),
        }
    }

    /// Starts a call with a loader that reads this source.
    fn ask(&self, cache: &Cache<String, u32>) -> Loading {
        let (source, cache) = (self.clone(), cache.clone());
        tokio::spawn(async move { cache.try_get_with("a", || source.read()).await })
    }

    /// Starts such a call in all of these processes, and lets each go on as far as it can.
    async fn ask_all(&self, caches: &[Cache<String, u32>]) -> Vec<Loading> {
        let loadings = caches.iter().map(|cache| self.ask(cache)).collect();
        settle().await;
        loadings
    }
}

fn builder(rig: &Rig) -> CacheBuilder<String, u32> {
    rig.builder().ttl(secs(10)).grace(secs(100))
}

fn processes(
    count: usize,
    builder: impl Fn() -> CacheBuilder<String, u32>,
) -> Vec<Cache<String, u32>> {
    (0..count).map(|_| builder().build().unwrap()).collect()
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

/// Moves the time on until all calls have ended. Returns their results, and how long that took.
async fn end(rig: &Rig, loadings: Vec<Loading>) -> (Vec<larder::Result<u32>>, Duration) {
    let mut waited = Duration::ZERO;
    settle().await;
    while !loadings.iter().all(JoinHandle::is_finished) {
        rig.clock.advance(STEP);
        waited += STEP;
        settle().await;
    }
    let mut results = Vec::new();
    for loading in loadings {
        results.push(loading.await.unwrap());
    }
    (results, waited)
}

async fn end_with(rig: &Rig, loadings: Vec<Loading>, value: u32) {
    for result in end(rig, loadings).await.0 {
        assert_eq!(result.unwrap(), value);
    }
}

/// Makes these processes load the number one, and lets its ttl run out.
async fn grow_stale(rig: &Rig, caches: &[Cache<String, u32>]) {
    end_with(rig, Source::open(1).ask_all(caches).await, 1).await;
    pass(rig, secs(11)).await;
}

/// Makes all changes of the store hang from now on.
fn hang_changes(store: &Faulty<AnyBackend>) {
    store.every(Operation::Write, Fault::Hold);
    store.every(Operation::Delete, Fault::Hold);
}

/// Returns the number of leases of loads, under any key.
fn leases(rig: &Rig) -> usize {
    let page = block_on(rig.store().inner().scan(b"larder:", None, 1_000)).unwrap();
    page.records.iter().filter(|met| met.header.kind == Kind::Lease).count()
}

/// Broken once: a load read its own process's lease just before it was taken back, looked at it
/// afterwards, and shared the failure of the load before as that of another process.
#[test]
fn a_lease_of_this_process_is_not_waited_for_once_it_is_taken_back() {
    on_shared(async |rig: Rig| {
        let cache: Cache<u64, u32> = rig.builder().build().unwrap();
        let load = |result: Result<u32, Failed>| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.try_get_with(&1, || async { result }).await })
        };
        rig.store().next(Operation::Delete, Fault::Hold);
        assert!(load(Err(Failed::other("down"))).await.unwrap().is_err());
        settle().await;
        // The lease is still there, and this read brings it when it is gone.
        rig.store().next(Operation::Read, Fault::HoldAnswer);
        let second = load(Ok(7));
        settle().await;
        let held = rig.store().held();
        assert_eq!(held.len(), 2, "on {}", rig.name);
        let deleted = held.iter().find(|held| held.operation == Operation::Delete).unwrap();
        assert!(rig.store().release(deleted.id));
        settle().await;
        rig.store().release_all();
        assert_eq!(second.await.unwrap().unwrap(), 7, "on {}", rig.name);
    });
}

#[test]
fn a_value_of_age_is_refreshed_once_among_processes_in_every_round() {
    on_shared(async |rig| {
        let caches = processes(3, || builder(&rig).refresh_after(secs(2)));
        let first = Source::open(1);
        end_with(&rig, first.ask_all(&caches).await, 1).await;
        assert_eq!(first.loads(), 1);
        for round in 2..5 {
            pass(&rig, secs(3)).await;
            let source = Source::closed(round);
            for result in end(&rig, source.ask_all(&caches).await).await.0 {
                assert_eq!(result.unwrap(), round - 1, "what there is, at once");
            }
            assert_eq!(source.loads(), 1);
            source.gate.add_permits(1);
            pass(&rig, secs(1)).await;
            // The others learn of it by a check behind their next hit.
            end(&rig, source.ask_all(&caches).await).await;
            settle().await;
            end_with(&rig, source.ask_all(&caches).await, round).await;
            assert_eq!(source.loads(), 1, "the others take it over");
        }
    });
}

#[test]
fn a_stale_value_is_loaded_once_among_processes() {
    on_shared(async |rig| {
        let caches = processes(8, || builder(&rig));
        grow_stale(&rig, &caches[..4]).await;
        let source = Source::closed(2);
        let loadings = source.ask_all(&caches).await;
        assert_eq!(source.loads(), 1);
        let patient = Options::new().allow_stale(true);
        assert_eq!(caches[7].with(patient).get("a").await.unwrap(), Some(1), "it stays meanwhile");
        source.gate.add_permits(1);
        end_with(&rig, loadings, 2).await;
        assert_eq!((source.loads(), leases(&rig)), (1, 0));
    });
}

#[test]
fn who_takes_a_stale_value_after_a_moment_gets_it_while_another_process_loads() {
    on_shared(async |rig| {
        let caches = processes(2, || {
            builder(&rig).defaults(
                Options::new()
                    .ttl(secs(10))
                    .grace(secs(100))
                    .soft_timeout(Duration::from_millis(100)),
            )
        });
        grow_stale(&rig, &caches).await;
        let source = Source::closed(2);
        end_with(&rig, source.ask_all(&caches).await, 1).await;
        assert_eq!(source.loads(), 1);
        source.gate.add_permits(1);
        settle().await;
    });
}

#[test]
fn a_value_that_its_tag_has_killed_is_loaded_once_among_processes() {
    on_shared(async |rig| {
        let tagged = || builder(&rig).defaults(Options::new().ttl(secs(10)).tags(["t"]));
        let caches = processes(8, tagged);
        end_with(&rig, Source::open(1).ask_all(&caches).await, 1).await;
        caches[0].invalidate_tag("t").await.unwrap();
        pass(&rig, secs(2)).await;
        let source = Source::closed(2);
        let loadings = source.ask_all(&caches).await;
        source.gate.add_permits(1);
        end_with(&rig, loadings, 2).await;
        assert_eq!((source.loads(), leases(&rig)), (1, 0));
    });
}

#[test]
fn a_known_absence_is_loaded_past_once_among_processes() {
    on_shared(async |rig| {
        let caches = processes(4, || builder(&rig).absent_ttl(secs(10)));
        let none = || caches[0].load("a", |_| async { Ok::<_, Failed>(larder::Loaded::absent()) });
        assert_eq!(none().await.unwrap(), None);
        let source = Source::closed(2);
        let loadings = source.ask_all(&caches).await;
        source.gate.add_permits(1);
        end_with(&rig, loadings, 2).await;
        assert_eq!(source.loads(), 1);
    });
}

#[test]
fn those_who_wait_for_a_load_share_its_failure() {
    on_shared(async |rig| {
        let caches = processes(8, || builder(&rig));
        let source = Source::closed(0);
        let loadings = source.ask_all(&caches).await;
        source.gate.add_permits(8);
        for result in end(&rig, loadings).await.0 {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Loader);
        }
        assert_eq!((source.loads(), leases(&rig)), (1, 0));
        // A caller that did not wait for it loads.
        source.shows.store(1, Ordering::SeqCst);
        end_with(&rig, vec![source.ask(&caches[3])], 1).await;
    });
}

#[test]
fn those_who_wait_for_a_failing_load_over_a_stale_value_get_that_value() {
    on_shared(async |rig| {
        let caches = processes(8, || builder(&rig));
        grow_stale(&rig, &caches).await;
        let source = Source::closed(0);
        let loadings = source.ask_all(&caches).await;
        source.gate.add_permits(8);
        end_with(&rig, loadings, 1).await;
        assert_eq!((source.loads(), leases(&rig)), (1, 0));
        // Until the next load may begin, a process that meets the failure loads nothing either.
        let late = processes(1, || builder(&rig));
        end_with(&rig, source.ask_all(&late).await, 1).await;
        assert_eq!(source.loads(), 1);
        // A load by hand runs all the same.
        source.shows.store(2, Ordering::SeqCst);
        let by_hand = source.clone();
        assert!(late[0].refresh("a", |_| by_hand.read()).unwrap());
        settle().await;
        assert_eq!((source.loads(), rig.record("a").unwrap().header.kind), (2, Kind::Value));
        assert_eq!(late[0].get("a").await.unwrap(), Some(2));
    });
}

#[test]
fn who_has_been_told_of_a_failure_loads_at_once_when_he_asks_again() {
    on_shared(async |rig| {
        let caches = processes(1, || builder(&rig));
        let source = Source::open(0);
        for _ in 0..3 {
            let (results, waited) = end(&rig, source.ask_all(&caches).await).await;
            assert!(results[0].is_err());
            assert_eq!(waited, Duration::ZERO);
        }
        assert_eq!(source.loads(), 3);
    });
}

#[test]
fn a_value_that_dies_during_its_load_makes_room_for_the_result() {
    on_shared(async |rig| {
        let short = Duration::from_millis(300);
        let caches = processes(2, || rig.builder().ttl(short).grace(short));
        end_with(&rig, Source::open(1).ask_all(&caches).await, 1).await;
        pass(&rig, short).await;
        let source = Source::closed(2);
        let loadings = source.ask_all(&caches).await;
        pass(&rig, Duration::from_millis(400)).await;
        assert_eq!(rig.record("a").unwrap().header.kind, Kind::Lease);
        source.gate.add_permits(1);
        end_with(&rig, loadings, 2).await;
        assert_eq!(source.loads(), 1);
        assert_eq!(rig.record("a").unwrap().header.kind, Kind::Value);
    });
}

#[test]
fn a_value_that_dies_during_a_failing_load_leaves_nothing() {
    on_shared(async |rig| {
        let short = Duration::from_millis(300);
        let caches = processes(2, || rig.builder().ttl(short).grace(short));
        end_with(&rig, Source::open(1).ask_all(&caches).await, 1).await;
        pass(&rig, short).await;
        let source = Source::closed(0);
        let loadings = source.ask_all(&caches).await;
        pass(&rig, Duration::from_millis(400)).await;
        source.gate.add_permits(2);
        for result in end(&rig, loadings).await.0 {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Loader);
        }
        assert_eq!((source.loads(), leases(&rig)), (1, 0));
        assert!(rig.record("a").is_none());
    });
}

#[test]
fn a_lease_that_lands_after_its_load_has_failed_is_taken_back() {
    on_shared(async |rig| {
        rig.store().settle_within(secs(1));
        let short = Duration::from_millis(300);
        let caches = processes(1, || rig.builder().ttl(short).grace(short));
        end_with(&rig, Source::open(1).ask_all(&caches).await, 1).await;
        pass(&rig, short).await;
        let source = Source::closed(0);
        let loadings = source.ask_all(&caches).await;
        // The value dies soon, so that a lease is to take its place.
        rig.store().next(Operation::Write, Fault::ApplyLate);
        pass(&rig, Duration::from_millis(200)).await;
        assert_eq!(rig.store().late(), 1);
        source.gate.add_permits(1);
        let _ = end(&rig, loadings).await;
        let landed = rig.store().release_late().await;
        assert!(landed[0].is_done() && leases(&rig) == 1, "{landed:?}");
        pass(&rig, secs(1)).await;
        assert_eq!(leases(&rig), 0);
    });
}

#[test]
fn what_was_read_is_fallen_back_on_where_the_store_stops_answering() {
    on_shared(async |rig| {
        let caches = processes(2, || builder(&rig));
        grow_stale(&rig, &caches[..1]).await;
        hang_changes(rig.store());
        end_with(&rig, Source::open(0).ask_all(&caches[1..]).await, 1).await;
    });
}

#[test]
fn a_load_on_its_callers_thread_replaces_a_value_that_dies_before_it_may_end() {
    for rig in Rig::with_store() {
        let short = Duration::from_millis(300);
        let cache = rig.builder::<String, u32>().ttl(short).grace(short).build().unwrap();
        for value in [1, 2] {
            let load = || {
                rig.clock.advance(Duration::from_millis(400));
                value
            };
            assert_eq!(cache.blocking().get_with("a", load).unwrap(), value);
            assert_eq!(rig.record("a").unwrap().header.kind, Kind::Value, "{value} {}", rig.name);
            rig.clock.advance(short);
        }
    }
}

#[test]
fn nobody_waits_for_a_load_whose_tag_has_changed() {
    on_shared(async |rig| {
        let tagged = || builder(&rig).defaults(Options::new().ttl(secs(10)).tags(["t"]));
        let caches = processes(3, tagged);
        let slow = Source::closed(1);
        let doomed = slow.ask(&caches[0]);
        settle().await;
        caches[1].invalidate_tag("t").await.unwrap();
        // The process that has made the change knows it at once, all others within the interval of
        // checks.
        let quick = Source::open(2);
        let (results, waited) = end(&rig, vec![quick.ask(&caches[1])]).await;
        assert_eq!((results[0].as_ref().unwrap(), waited), (&2, Duration::ZERO));
        slow.gate.add_permits(1);
        end_with(&rig, vec![doomed], 1).await;
        pass(&rig, secs(2)).await;
        end_with(&rig, quick.ask_all(&caches).await, 2).await;
        assert_eq!((slow.loads(), quick.loads(), leases(&rig)), (1, 1, 0));
    });
}

#[test]
fn who_waits_for_a_load_stops_when_its_epoch_has_changed() {
    on_shared(async |rig| {
        let caches = processes(3, || builder(&rig));
        let slow = Source::closed(1);
        let doomed = slow.ask(&caches[0]);
        settle().await;
        let quick = Source::open(2);
        let waiting = quick.ask(&caches[1]);
        pass(&rig, secs(1)).await;
        assert!(!waiting.is_finished());
        caches[2].invalidate_all().await.unwrap();
        let (results, waited) = end(&rig, vec![waiting]).await;
        assert_eq!(results[0].as_ref().unwrap(), &2);
        assert!(waited <= secs(2), "{waited:?}");
        slow.gate.add_permits(1);
        end_with(&rig, vec![doomed], 1).await;
    });
}

#[test]
fn a_load_of_one_version_does_not_wait_for_the_load_of_another() {
    on_shared(async |rig| {
        let caches = processes(3, || builder(&rig));
        grow_stale(&rig, &caches[..1]).await;
        let slow = Source::closed(2);
        let overtaken = slow.ask(&caches[0]);
        settle().await;
        caches[1].insert("a".to_owned(), 3).await.unwrap();
        pass(&rig, secs(11)).await;
        let (results, waited) = end(&rig, vec![Source::open(4).ask(&caches[2])]).await;
        assert_eq!((results[0].as_ref().unwrap(), waited), (&4, Duration::ZERO));
        slow.gate.add_permits(1);
        end_with(&rig, vec![overtaken], 2).await;
        assert_eq!(caches[2].get("a").await.unwrap(), Some(4));
        settle().await;
        assert_eq!(leases(&rig), 0);
    });
}

#[test]
fn what_a_load_leaves_beside_a_value_is_no_entry() {
    on_shared(async |rig| {
        let caches = processes(2, || builder(&rig));
        grow_stale(&rig, &caches[..1]).await;
        let source = Source::closed(2);
        let loading = source.ask(&caches[0]);
        settle().await;
        assert_eq!(leases(&rig), 1);
        let stale = caches[1].with(Options::new().allow_stale(true));
        assert_eq!(stale.count("*").await.unwrap(), 1);
        let prefix = Namespace::new("larder").unwrap().prefix().to_vec();
        let page = block_on(rig.store().inner().scan(&prefix, None, 100)).unwrap();
        let lease = page.records.iter().find(|met| met.header.kind == Kind::Lease).unwrap();
        let version = rig.record("a").unwrap().header.version;
        assert_eq!(lease.key.name(), format!("larder:r:{version}:a").as_bytes());
        source.gate.add_permits(1);
        end_with(&rig, vec![loading], 2).await;
    });
}

#[test]
fn a_load_whose_lease_beside_the_value_is_lost_goes_on() {
    on_shared(async |rig| {
        let caches = processes(1, || builder(&rig));
        end_with(&rig, Source::open(1).ask_all(&caches).await, 1).await;
        for fault in [Fault::Fail(ErrorKind::Unavailable), Fault::LoseAnswer] {
            pass(&rig, secs(11)).await;
            let source = Source::closed(2);
            rig.store().next(Operation::Write, fault);
            let loadings = source.ask_all(&caches).await;
            assert_eq!(source.loads(), 1);
            source.gate.add_permits(1);
            end_with(&rig, loadings, 2).await;
            assert_eq!(rig.record("a").unwrap().header.times.age, Duration::ZERO, "it is kept");
            assert_eq!(leases(&rig), 0);
        }
    });
}

/// Returns how long a call of a missing key takes while writes and deletes hang from some moment
/// on.
async fn outage(rig: &Rig, fails: bool, begins_in_loader: bool) -> Duration {
    let cache = builder(rig).build().unwrap();
    cache.get_with("b", || async { 1 }).await.unwrap();
    let store = rig.store().clone();
    let hang = move || hang_changes(&store);
    if !begins_in_loader {
        hang();
    }
    let asked = cache.clone();
    let loading = tokio::spawn(async move {
        let load = move || async move {
            hang();
            if fails { Err(Failed::other("no")) } else { Ok(1) }
        };
        asked.try_get_with("a", load).await
    });
    let (results, waited) = end(rig, vec![loading]).await;
    assert_eq!(results.iter().map(Result::is_err).collect::<Vec<_>>(), [fails]);
    rig.store().clear();
    rig.store().release_all();
    pass(rig, secs(5)).await;
    assert_eq!(leases(rig), 0);
    waited
}

#[test]
fn close_waits_until_a_lease_is_given_up() {
    on_shared(async |rig| {
        let cache = builder(&rig).build().unwrap();
        rig.store().every(Operation::Delete, Fault::Hold);
        let source = Source::open(0);
        assert!(end(&rig, vec![source.ask(&cache)]).await.0[0].is_err());
        settle().await;
        let closing = tokio::spawn(async move { cache.close().await });
        settle().await;
        assert!(!closing.is_finished());
        rig.store().release_all();
        settle().await;
        assert!(closing.is_finished());
    });
}

#[test]
fn an_outage_costs_one_timeout() {
    on_shared(async |rig| {
        assert_eq!(outage(&rig, false, false).await, secs(2));
    });
}

#[test]
fn an_outage_that_begins_during_the_load_costs_one_timeout() {
    on_shared(async |rig| {
        assert_eq!(outage(&rig, false, true).await, secs(2));
    });
}

#[test]
fn an_outage_costs_nothing_where_the_loader_fails() {
    on_shared(async |rig| {
        assert_eq!(outage(&rig, true, true).await, Duration::ZERO);
    });
}

#[test]
fn an_outage_of_all_calls_costs_one_timeout_also_over_a_stale_value() {
    let body = async |rig: Rig| {
        let cache = builder(&rig).build().unwrap();
        grow_stale(&rig, std::slice::from_ref(&cache)).await;
        let source = Source::closed(2);
        hang_changes(rig.store());
        source.gate.add_permits(1);
        let (results, waited) = end(&rig, vec![source.ask(&cache)]).await;
        assert_eq!((results[0].as_ref().unwrap(), waited), (&2, secs(2)));
    };
    for rig in Rig::with_store() {
        on(rig, &body);
    }
}

#[test]
fn a_process_waits_for_the_lease_of_another_no_longer_than_its_hard_timeout() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for rig in Rig::with_store() {
        runtime.block_on(in_time(async {
            let [holder, other] = [(); 2].map(|()| builder(&rig).build().unwrap());
            end_with(&rig, vec![Source::open(1).ask(&holder)], 1).await;
            pass(&rig, secs(11)).await;
            let slow = Source::closed(2);
            let loading = slow.ask(&holder);
            settle().await;
            let hasty = other.with(Options::new().hard_timeout(secs(1)));
            let (results, waited) = end(&rig, vec![Source::open(3).ask(&hasty)]).await;
            assert!([1, 3].contains(results[0].as_ref().unwrap()), "what there is, or its own");
            assert!(waited <= secs(1) + 2 * STEP, "{waited:?}");
            pass(&rig, secs(1)).await;
            assert_eq!(other.get("a").await.unwrap(), Some(3));
            slow.gate.add_permits(1);
            end_with(&rig, vec![loading], 2).await;
            assert_eq!(other.get("a").await.unwrap(), Some(3), "the first result is kept");
        }));
    }
}
