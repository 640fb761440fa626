//! F08, F09: many processes and threads at once, and calls whose callers are gone.

use std::time::Duration;

use bytes::Bytes;
use larder_core::{Backend, Class, Delete, Expect, Key, NEVER, Namespace, Record, Times, Write};
use larder_disk::{DiskBackend, DiskConfig};
use rustix::process::Signal;

use crate::child::{Child, Watch, pause, tell};
use crate::store::{Folder, Store, key};
use crate::value;

/// Runs in another process: four threads make all kinds of calls, for ever.
pub(crate) fn bustle(folder: &str, seed: u64) {
    let store = Store::open(DiskConfig::new(folder).max_bytes(Some(MAX_BYTES))).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed + thread);
                let own = format!("own-{seed}-{thread}");
                for version in 1.. {
                    step(store, &mut random, &own, version);
                    if version.is_multiple_of(20) {
                        tell(version);
                    }
                }
            });
        }
    });
}

fn step(store: &Store, random: &mut fastrand::Rng, own: &str, version: u64) {
    let shared = format!("shared-{}", random.u32(0..50));
    match random.u32(0..100) {
        0..50 => {
            store.get(&shared).unwrap();
        }
        50..80 => {
            let length = random.usize(1..if version.is_multiple_of(10) { 100_000 } else { 3_000 });
            let outcome = store.put(&shared, version, length);
            assert!(outcome.is_done(), "{outcome:?}");
        }
        80..90 => {
            // A process finds what it wrote itself, or nothing: others clear, and room is bounded.
            assert!(store.put(own, version, 500).is_done());
            assert!(store.get(own).unwrap().is_none_or(|found| found == version));
        }
        90..97 => assert!(store.delete(&shared).is_done()),
        97..99 => assert!(larder_testkit::block_on(store.backend.purge(100)).is_ok()),
        _ => clear(store),
    }
}

fn clear(store: &Store) {
    let prefix = Namespace::new("fault").unwrap().class_prefix(Class::Entry);
    let page = larder_testkit::block_on(store.backend.scan(&prefix, None, 20)).unwrap();
    let all: Vec<_> =
        page.records.into_iter().map(|one| Delete { key: one.key, expect: Expect::Any }).collect();
    let outcomes = larder_testkit::block_on(store.backend.delete(&all));
    assert!(outcomes.iter().all(larder_core::Outcome::is_done));
}

fn crowd(seconds: u32) {
    let folder = Folder::new();
    let mut seed = 0;
    let mut start = || {
        seed += 10;
        Child::start("bustle", &[folder.text(), &seed.to_string()])
    };
    let mut crowd: Vec<Child> = (0..4).map(|_| start()).collect();
    let mut largest = (0, 0);
    for second in 0..seconds as usize {
        for _ in 0..50 {
            pause(Duration::from_millis(20));
            let (database, log) = bytes_on_disk(&folder);
            largest = largest.max((database + log, log));
        }
        let place = second % crowd.len();
        let ended = std::mem::replace(&mut crowd[place], start());
        gets_on(ended);
    }
    pause(Duration::from_secs(1));
    crowd.into_iter().for_each(gets_on);
    assert!(largest.0 <= MAX_BYTES * 11 / 10, "{largest:?} with and of the log");
    let watch = Watch::start();
    let store = Store::open(folder.config().max_bytes(Some(MAX_BYTES))).unwrap();
    assert!(watch.passed() < Duration::from_secs(1), "{:?}", watch.passed());
    for number in 0..50 {
        store.get(&format!("shared-{number}")).unwrap();
    }
    assert!(store.put("new", 1, 1_000).is_done());
    assert_eq!(store.events(), []);
    assert_eq!(folder.names("larder.damaged-"), [""; 0]);
    assert_eq!(folder.names("larder.new-"), [""; 0]);
}

/// Checks that the process makes progress, however many there are. Then kills it.
fn gets_on(mut child: Child) {
    assert!(child.hear().is_some() && child.hear().is_some());
    child.kill();
}

/// Returns the bytes of the database and of its log.
fn bytes_on_disk(folder: &Folder) -> (u64, u64) {
    let size = |name| std::fs::metadata(folder.path().join(name)).map_or(0, |found| found.len());
    (size("larder.db"), size("larder.db-wal"))
}

#[test]
fn f08_a_crowd_whose_members_are_killed_is_right_and_within_bounds() {
    crowd(6);
}

#[test]
#[ignore = "takes a minute"]
fn f08_a_crowd_whose_members_are_killed_is_right_for_a_minute() {
    crowd(60);
}

/// Starts a hundred calls that are under way at once.
fn calls(backend: &DiskBackend, runtime: &tokio::runtime::Runtime) {
    for number in 0..100_u64 {
        let backend = backend.clone();
        runtime.spawn(async move {
            let text = format!("key-{}", number % 30);
            let write = Write {
                key: key(&text),
                record: Record::value(
                    value::value(&text, number, 50_000),
                    Times::new(NEVER, NEVER),
                ),
                expect: Expect::Any,
            };
            match number % 4 {
                0 => drop(backend.read_one(&write.key).await),
                1 => drop(backend.read(&[write.key, key("other")]).await),
                _ => drop(backend.write(&[write]).await),
            }
        });
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap()
}

/// Checks that every key is whole or absent, and that the store works.
fn reopens_clean(folder: &Folder) {
    let store = Store::open(folder.config()).unwrap();
    for number in 0..30 {
        store.get(&format!("key-{number}")).unwrap();
    }
    assert!(store.put("key-0", 1_000, 100).is_done());
    assert_eq!(store.get("key-0").unwrap(), Some(1_000));
    assert_eq!(store.events(), []);
}

#[test]
fn f09_a_handle_may_go_while_calls_are_under_way() {
    for round in 0..10 {
        let folder = Folder::new();
        let (backend, runtime) = (DiskBackend::open(folder.config()).unwrap(), runtime());
        calls(&backend, &runtime);
        pause(Duration::from_millis(round));
        drop(backend);
        runtime.shutdown_timeout(Duration::from_secs(5));
        reopens_clean(&folder);
    }
}

#[test]
fn f09_a_closed_backend_answers_all_calls_that_are_under_way() {
    for round in 0..10 {
        let folder = Folder::new();
        let (backend, runtime) = (DiskBackend::open(folder.config()).unwrap(), runtime());
        calls(&backend, &runtime);
        pause(Duration::from_millis(round));
        let closed = backend.clone();
        runtime.block_on(async move { closed.close().await }).unwrap();
        let error = runtime.block_on(backend.read_one(&key("key-0"))).unwrap_err();
        assert_eq!(error.kind(), larder_core::ErrorKind::Closed);
        runtime.shutdown_timeout(Duration::from_secs(5));
        reopens_clean(&folder);
    }
}

#[test]
fn f09_a_runtime_may_end_while_calls_are_under_way() {
    for round in 0..10 {
        let folder = Folder::new();
        let (backend, runtime) = (DiskBackend::open(folder.config()).unwrap(), runtime());
        calls(&backend, &runtime);
        pause(Duration::from_millis(round));
        let ending = std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(5)));
        // The backend still works without the runtime.
        let read = larder_testkit::block_on(backend.read_one(&key("key-0")));
        assert!(read.is_ok(), "{read:?}");
        ending.join().unwrap();
        drop(backend);
        reopens_clean(&folder);
    }
}

/// Runs in another process: makes calls without end.
pub(crate) fn work(folder: &str) {
    let (backend, runtime) = (DiskBackend::open(DiskConfig::new(folder)).unwrap(), runtime());
    tell("go");
    loop {
        calls(&backend, &runtime);
        pause(Duration::from_millis(5));
    }
}

#[test]
fn f09_an_interrupt_ends_a_process_and_harms_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let folder = Folder::new();
        let mut worker = Child::start("work", &[folder.text()]);
        worker.hear().unwrap();
        pause(Duration::from_millis(60));
        worker.signal(signal);
        let (status, _) = worker.end();
        assert!(!status.success());
        reopens_clean(&folder);
    }
}

#[test]
fn f09_a_dropped_call_is_done_or_not_and_never_in_half() {
    let folder = Folder::new();
    let (backend, runtime) = (DiskBackend::open(folder.config()).unwrap(), runtime());
    let namespace = Namespace::new("fault").unwrap();
    for round in 0..300_u64 {
        let pair = |part: &str| Write {
            key: Key::new(&namespace, Class::Entry, part.as_bytes()),
            record: Record::value(
                Bytes::copy_from_slice(&round.to_le_bytes()),
                Times::new(NEVER, NEVER),
            ),
            expect: Expect::Any,
        };
        let writes = [pair("one"), pair("two")];
        let other = backend.clone();
        let task = runtime.spawn(async move { drop(other.write(&writes).await) });
        if round % 2 == 0 {
            pause(Duration::from_micros(round));
        }
        task.abort();
        let keys = ["one", "two"].map(key);
        let read = runtime.block_on(backend.read(&keys));
        let payloads: Vec<_> =
            read.into_iter().map(|one| one.unwrap().map(|record| record.payload)).collect();
        assert_eq!(payloads[0], payloads[1], "in round {round}");
    }
}

const MAX_BYTES: u64 = 2 << 20;
