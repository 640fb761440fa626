//! The upkeep that the store does unasked, and the harm that it must not do.

#![expect(
    clippy::disallowed_methods,
    reason = "the store's own time and threads are what is tested"
)]

use std::time::Duration;

use larder_core::{Backend, Class, Expect, Key, NEVER, Namespace, Outcome, Record, Times, Write};
use larder_disk::{DiskBackend, DiskConfig};
use larder_test_support::Folder;
use larder_testkit::block_on;

#[test]
fn a_life_written_into_a_store_made_anew_is_not_longer() {
    let folder = Folder::new();
    let backend = DiskBackend::open(folder.config()).expect("it opens");
    // The store's time begins with the store, so the second store's time is behind.
    std::thread::sleep(Duration::from_millis(1_500));
    std::fs::remove_dir_all(folder.path()).expect("it goes");
    put(&backend, "key", value(b"soup", Duration::from_millis(500)));
    assert!(read(&backend, "key").is_some());
    std::thread::sleep(Duration::from_millis(600));
    assert!(read(&backend, "key").is_none(), "it lives on by the time of the store before");
}

#[test]
fn the_dead_go_although_changes_never_end() {
    let folder = Folder::new();
    let config = folder.config().purge_every(Some(Duration::from_millis(50)));
    let backend = DiskBackend::open(config).expect("it opens");
    for index in 0..100 {
        put(&backend, &format!("dead {index}"), value(b"soup", Duration::from_millis(1)));
    }
    for _ in 0..1_000 {
        put(&backend, "alive", value(b"soup", NEVER));
        if backend.usage().expect("it tells").records == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{} records are left", backend.usage().expect("it tells").records);
}

#[test]
fn an_observer_that_panics_stops_nothing() {
    let folder = Folder::new();
    let config = small(&folder).on_event(|event| panic!("{event:?}"));
    let backend = DiskBackend::open(config).expect("it opens");
    for index in 0..200 {
        put(&backend, &format!("key {index}"), value(&[7; 10_000], NEVER));
    }
    put(&backend, "last", value(b"soup", NEVER));
    assert!(read(&backend, "last").is_some());
}

#[test]
fn leases_outlive_values_that_are_all_in_use() {
    let folder = Folder::new();
    let backend = DiskBackend::open(small(&folder)).expect("it opens");
    put(&backend, "lease", Record::lease(Duration::from_secs(3_600)));
    for round in 0..30 {
        for index in 0..60 {
            // Records that are written again count as used.
            put(&backend, &format!("key {index}"), value(&[round; 10_000], NEVER));
        }
        assert!(read(&backend, "lease").is_some(), "the lease went in round {round}");
    }
    let usage = backend.usage().expect("it tells");
    assert!(usage.file_bytes + usage.log_bytes <= SMALL * 11 / 10, "{usage:?}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let folder = Folder::new();
    let refused = |config: DiskConfig| DiskBackend::open(config).is_err();
    assert!(refused(folder.config().busy_timeout(Duration::MAX)));
    assert!(refused(folder.config().purge_every(Some(Duration::ZERO))));
    assert!(refused(folder.config().max_bytes(Some(1))));
    assert!(!folder.path().exists(), "a refusal makes nothing");
    drop(DiskBackend::open(folder.config()).expect("it opens"));
}

fn small(folder: &Folder) -> DiskConfig {
    folder.config().max_bytes(Some(SMALL))
}

fn value(payload: &[u8], life: Duration) -> Record {
    Record::value(payload.to_vec().into(), Times::new(life, life))
}

fn put(backend: &DiskBackend, text: &str, record: Record) {
    let write = Write { key: key(text), record, expect: Expect::Any };
    let outcomes = block_on(backend.write(&[write]));
    assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
}

fn read(backend: &DiskBackend, text: &str) -> Option<Record> {
    block_on(backend.read_one(&key(text))).expect("it is read")
}

fn key(text: &str) -> Key {
    Key::new(&Namespace::new("upkeep").expect("a short name"), Class::Entry, text.as_bytes())
}

const SMALL: u64 = 512 << 10;
