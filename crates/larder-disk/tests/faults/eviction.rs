//! The eviction of records: used ones stay, others go, and the disk gets free room back.

use std::time::Duration;

use bytes::Bytes;
use larder_core::{Backend, Class, Expect, Key, NEVER, Namespace, Outcome, Record, Times, Write};
use larder_disk::DiskConfig;
use larder_testkit::block_on;

use crate::child::{Watch, pause};
use crate::store::{Folder, Store};

const MAX_BYTES: u64 = 1 << 20;

fn bytes_on_disk(folder: &Folder) -> u64 {
    let size = |name| std::fs::metadata(folder.path().join(name)).map_or(0, |found| found.len());
    size("larder.db") + size("larder.db-wal")
}

fn mark(store: &Store, class: Class, name: &str, record: Record) -> Key {
    let key = Key::new(&Namespace::new("fault").unwrap(), class, name.as_bytes());
    let write = Write { key: key.clone(), record, expect: Expect::Any };
    assert!(block_on(store.backend.write(&[write]))[0].is_done());
    key
}

/// Waits until there are at most this many bytes on disk.
fn shrinks_to(folder: &Folder, bytes: u64) {
    let watch = Watch::start();
    while bytes_on_disk(folder) > bytes {
        let usage = || Store::open(folder.config()).unwrap().backend.usage();
        assert!(watch.passed() < Duration::from_secs(10), "{:?}", usage());
        pause(Duration::from_millis(20));
    }
}

#[test]
fn what_is_used_stays_and_what_is_not_goes() {
    let folder = Folder::new();
    let store = Store::open(folder.config().max_bytes(Some(MAX_BYTES))).unwrap();
    let times = Times::new(NEVER, NEVER);
    let lease = mark(&store, Class::Entry, "lease", Record::lease(Duration::from_secs(3_600)));
    let tag = mark(&store, Class::Tag, "tag", Record::value(Bytes::new(), times));
    let epoch = mark(&store, Class::Epoch, "", Record::value(Bytes::new(), times));
    for number in 0..20 {
        assert!(store.put(&format!("used-{number}"), 1, 4_000).is_done());
    }
    for number in 0..1_000 {
        assert!(store.put(&format!("unused-{number}"), 1, 4_000).is_done());
        let used = format!("used-{}", number % 20);
        assert_eq!(store.get(&used).unwrap(), Some(1), "{used} after {number}");
        assert!(
            bytes_on_disk(&folder) <= MAX_BYTES * 11 / 10,
            "{number} {:?}",
            store.backend.usage()
        );
    }
    let unused = (0..1_000).filter(|number| {
        let text = format!("unused-{number}");
        store.get(&text).unwrap().is_some()
    });
    let unused: Vec<_> = unused.collect();
    assert!((50..250).contains(&unused.len()), "{}", unused.len());
    assert!(unused[0] > 700, "{unused:?}");
    for key in [lease, epoch] {
        assert!(block_on(store.backend.read_one(&key)).unwrap().is_some(), "{key:?}");
    }
    // Losing a tag invalidates.
    assert_eq!(block_on(store.backend.read_one(&tag)).unwrap(), None);
    assert!(store.events().iter().any(|event| format!("{event:?}").starts_with("Evicted")));
}

#[test]
fn a_value_that_is_no_value_for_this_store_is_refused_and_evicts_nothing() {
    let folder = Folder::new();
    let store = Store::open(folder.config().max_bytes(Some(MAX_BYTES))).unwrap();
    assert!(store.put("key", 1, 1_000).is_done());
    let outcome = store.put("key", 2, 600_000);
    let is_no_space = |outcome: &Outcome| matches!(outcome, Outcome::Failed(error) if error.kind() == larder_core::ErrorKind::NoSpace);
    assert!(is_no_space(&outcome), "{outcome:?}");
    assert_eq!(store.get("key").unwrap(), Some(1));
    assert_eq!(store.events(), []);
}

#[test]
fn large_values_push_each_other_out() {
    let folder = Folder::new();
    let store = Store::open(folder.config().max_bytes(Some(MAX_BYTES))).unwrap();
    for number in 0..40 {
        let outcome = store.put(&format!("key-{number}"), 1, 250_000);
        assert!(outcome.is_done(), "{outcome:?}");
        assert_eq!(store.get(&format!("key-{number}")).unwrap(), Some(1));
        assert!(
            bytes_on_disk(&folder) <= MAX_BYTES * 11 / 10,
            "{number} {:?}",
            store.backend.usage()
        );
    }
}

#[test]
fn a_lower_bound_shrinks_the_file() {
    let folder = Folder::new();
    let store = Store::open(folder.config().max_bytes(Some(8 * MAX_BYTES))).unwrap();
    for number in 0..1_500 {
        assert!(store.put(&format!("key-{number}"), 1, 4_000).is_done());
    }
    drop(store);
    assert!(bytes_on_disk(&folder) > 4 * MAX_BYTES);
    let quick = |config: DiskConfig| config.purge_every(Some(Duration::from_millis(20)));
    let store = Store::open(quick(folder.config().max_bytes(Some(MAX_BYTES)))).unwrap();
    // The thread that tidies up starts with the first change.
    assert!(store.delete("key-0").is_done());
    shrinks_to(&folder, MAX_BYTES);
    let kept = (0..1_500).filter(|n| store.get(&format!("key-{n}")).unwrap().is_some()).count();
    assert!((100..300).contains(&kept), "{kept}");
}

#[test]
fn room_that_is_free_goes_back_to_the_disk() {
    let folder = Folder::new();
    let config = folder.config().max_bytes(None).purge_every(Some(Duration::from_millis(20)));
    let store = Store::open(config).unwrap();
    for number in 0..90 {
        assert!(store.put(&format!("key-{number}"), 1, 400_000).is_done());
    }
    let full = bytes_on_disk(&folder);
    assert!(full > 30 << 20, "{full}");
    for number in 1..90 {
        assert!(store.delete(&format!("key-{number}")).is_done());
    }
    // The log keeps its length, to be filled again.
    shrinks_to(&folder, 20 << 20);
    assert_eq!(store.get("key-0").unwrap(), Some(1));
}
