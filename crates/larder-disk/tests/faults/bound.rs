//! The bound of the store: it holds on disk at every moment, whoever writes, and room is given
//! back.

use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Backend, Class, Delete, ErrorKind, Expect, Key, NEVER, Namespace, Outcome, Record, Times, Write,
};
use larder_disk::DiskConfig;
use larder_testkit::block_on;
use rusqlite::Connection;

use crate::child::{Child, Watch, pause, tell};
use crate::store::{Folder, Store, key};

const MIB: u64 = 1 << 20;

/// Returns the bytes of the database, its log and the log's index.
fn bytes_on_disk(folder: &Folder) -> u64 {
    let names = ["larder.db", "larder.db-wal", "larder.db-shm"];
    let size = |name| std::fs::metadata(folder.path().join(name)).map_or(0, |found| found.len());
    names.map(size).into_iter().sum()
}

fn with_tolerance(max: u64) -> u64 {
    max + max / 20
}

pub(crate) fn is_no_space(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(error) if error.kind() == ErrorKind::NoSpace)
}

/// Waits until there are at most this many bytes on disk.
fn shrinks_to(folder: &Folder, bytes: u64) {
    let watch = Watch::start();
    while bytes_on_disk(folder) > bytes {
        assert!(watch.passed() < Duration::from_secs(20), "{} bytes", bytes_on_disk(folder));
        pause(Duration::from_millis(20));
    }
}

/// Runs in another process: four threads write values of all sizes, this many bytes each. The
/// process names no bound, and waits for the others as long as that takes.
pub(crate) fn press(folder: &str, seed: u64, max_bytes: usize, share: usize) {
    let config = DiskConfig::new(folder).busy_timeout(Duration::from_secs(10));
    let store = Store::open(config).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed + thread);
                let (mut written, mut refused, mut steps) = (0, 0, 0);
                while written < share {
                    steps += 1;
                    let length = match random.u32(0..40) {
                        0 => random.usize(0..=max_bytes / 4 - 200),
                        1..10 => random.usize(0..60_000),
                        _ => random.usize(0..5_000),
                    };
                    let text = format!("press-{}", random.u32(0..2_000));
                    match store.put(&text, steps, length) {
                        Outcome::Done => written += length,
                        outcome if is_no_space(&outcome) => refused += 1,
                        outcome => panic!("{outcome:?}"),
                    }
                    let _ = store.get(&format!("press-{}", random.u32(0..2_000))).unwrap();
                }
                tell(format_args!("{steps} {refused}"));
            });
        }
    });
}

/// Lets processes write three times the bound. The files never exceed the bound, then or later.
fn holds(processes: u64, max: u64) {
    let folder = Folder::new();
    drop(Store::open(folder.config().max_bytes(Some(max))).unwrap());
    let share = 3 * max / (4 * processes);
    let start = |number: u64| {
        let numbers = [number * 10, max, share].map(|number| number.to_string());
        Child::start("press", &[folder.text(), &numbers[0], &numbers[1], &numbers[2]])
    };
    let (mut largest, mut refused, mut steps) = (0, 0, 0);
    std::thread::scope(|scope| {
        let crowd = (0..processes).map(start).map(|child| scope.spawn(|| child.succeed()));
        let crowd: Vec<_> = crowd.collect();
        while !crowd.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            largest = largest.max(bytes_on_disk(&folder));
            pause(Duration::from_millis(1));
        }
        for told in crowd.into_iter().flat_map(|child| child.join().unwrap()) {
            let numbers = told.split_once(' ').unwrap();
            let parsed = |number: &str| number.parse::<u64>().unwrap();
            (steps, refused) = (steps + parsed(numbers.0), refused + parsed(numbers.1));
        }
    });
    let about = format!("{largest} of {max}; {steps} steps, {refused} refused");
    assert!(largest > max / 2 && largest <= with_tolerance(max), "{about}");
    // Four processes whose threads all store values of a quarter of the bound hinder each other.
    assert!(refused * 20 <= steps, "{about}");

    let store = Store::open(folder.config()).unwrap();
    assert_eq!(store.backend.usage().unwrap().max_bytes, Some(max));
    for _ in 0..100 {
        assert!(bytes_on_disk(&folder) <= with_tolerance(max), "idle: {}", bytes_on_disk(&folder));
        pause(Duration::from_millis(15));
    }
    assert!(store.put("new", 1, 1_000).is_done());
    assert_eq!(store.get("new").unwrap(), Some(1));
}

#[test]
fn four_mebibytes_hold_with_one_process() {
    holds(1, 4 * MIB);
}

#[test]
fn four_mebibytes_hold_with_four_processes() {
    holds(4, 4 * MIB);
}

#[test]
fn sixteen_mebibytes_hold_with_one_process() {
    holds(1, 16 * MIB);
}

#[test]
fn sixteen_mebibytes_hold_with_four_processes() {
    holds(4, 16 * MIB);
}

#[test]
fn another_programs_reader_costs_writes_but_neither_the_bound_nor_deletes() {
    let folder = Folder::new();
    let max = 4 * MIB;
    let store = Store::open(folder.config().max_bytes(Some(max))).unwrap();
    for number in 0..1_000 {
        assert!(store.put(&format!("key-{number}"), 1, 4_000).is_done());
    }
    let reader = Connection::open(folder.path().join("larder.db")).unwrap();
    let count = || reader.query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0));
    reader.execute_batch("BEGIN").unwrap();
    count().unwrap();

    let watch = Watch::start();
    let outcomes: Vec<_> =
        (0..1_000).map(|number| store.put(&format!("new-{number}"), 1, 4_000)).collect();
    assert!(watch.passed() < Duration::from_secs(20), "{:?}", watch.passed());
    assert!(outcomes.iter().all(|outcome| outcome.is_done() || is_no_space(outcome)));
    assert!(outcomes.iter().any(is_no_space));
    assert!(bytes_on_disk(&folder) <= with_tolerance(max), "{}", bytes_on_disk(&folder));
    let kept = |number: &u64| store.get(&format!("key-{number}")).unwrap().is_some();
    let some: Vec<u64> = (0..1_000).filter(kept).collect();
    assert!(some.len() >= 20);
    // Upkeep waits for a reader, too.
    pause(Duration::from_millis(2_500));
    assert!(bytes_on_disk(&folder) <= with_tolerance(max), "{}", bytes_on_disk(&folder));
    for number in some.into_iter().take(20) {
        let text = format!("key-{number}");
        assert!(store.delete(&text).is_done());
        assert_eq!(store.get(&text).unwrap(), None);
    }
    let tag = Key::new(&Namespace::new("fault").unwrap(), Class::Tag, b"tag");
    let record = Record::value(Bytes::new(), Times::new(NEVER, NEVER));
    let write = Write { key: tag, record, expect: Expect::Any };
    let changed = block_on(store.backend.write(&[write])).pop().unwrap();
    assert!(changed.is_done(), "what invalidates is done: {changed:?}");

    reader.execute_batch("COMMIT").unwrap();
    assert!(store.put("after", 1, 4_000).is_done());
    assert!(bytes_on_disk(&folder) <= with_tolerance(max), "{}", bytes_on_disk(&folder));
}

#[test]
fn deletes_of_all_handles_are_done_while_a_reader_keeps_the_log() {
    let folder = Folder::new();
    let max = 4 * MIB;
    drop(Store::open(folder.config().max_bytes(Some(max))).unwrap());
    let reader = Connection::open(folder.path().join("larder.db")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM entries", [], |_| Ok(())).unwrap();
    std::thread::scope(|scope| {
        for handle in 0..3 {
            let store = Store::open(folder.config()).unwrap();
            scope.spawn(move || {
                let watch = Watch::start();
                for number in 0.. {
                    let text = format!("key-{handle}-{number}");
                    let outcome = store.put(&text, 1, 4_000);
                    assert!(outcome.is_done() || is_no_space(&outcome), "{outcome:?}");
                    let outcome = store.delete(&text);
                    assert!(outcome.is_done(), "{outcome:?}");
                    if watch.passed() > Duration::from_secs(6) {
                        break;
                    }
                }
            });
        }
    });
    assert!(bytes_on_disk(&folder) <= with_tolerance(max), "{}", bytes_on_disk(&folder));
}

fn fill(store: &Store) {
    for number in 0..90 {
        let outcome = store.put(&format!("large-{number}"), 1, 400_000);
        assert!(outcome.is_done(), "{number}: {outcome:?}");
    }
}

fn clear(store: &Store) {
    let one = |number| Delete { key: key(&format!("large-{number}")), expect: Expect::Any };
    let outcomes = block_on(store.backend.delete(&(0..90).map(one).collect::<Vec<_>>()));
    assert!(outcomes.iter().all(Outcome::is_done));
}

#[test]
fn a_purge_gives_back_what_is_free() {
    let folder = Folder::new();
    let store = Store::open(folder.config().purge_every(None)).unwrap();
    fill(&store);
    assert!(bytes_on_disk(&folder) > 36_000_000);
    clear(&store);
    block_on(store.backend.purge(1_000)).unwrap();
    assert!(bytes_on_disk(&folder) < MIB, "{}", bytes_on_disk(&folder));
}

#[test]
fn a_clear_gives_room_back_unasked() {
    let folder = Folder::new();
    let store = Store::open(folder.config()).unwrap();
    fill(&store);
    clear(&store);
    shrinks_to(&folder, MIB);
}

#[test]
fn a_process_that_lives_for_a_moment_gives_room_back() {
    let folder = Folder::new();
    let rare = || folder.config().purge_every(Some(Duration::from_secs(3_600)));
    let store = Store::open(rare()).unwrap();
    fill(&store);
    drop(store);
    assert!(bytes_on_disk(&folder) > 36_000_000);
    clear(&Store::open(rare()).unwrap());
    assert!(bytes_on_disk(&folder) < MIB, "{}", bytes_on_disk(&folder));
}

#[test]
fn a_smaller_bound_is_applied_by_opening() {
    let folder = Folder::new();
    let store = Store::open(folder.config().max_bytes(Some(64 * MIB))).unwrap();
    fill(&store);
    drop(store);
    let max = 4 * MIB;
    let store = Store::open(folder.config().max_bytes(Some(max))).unwrap();
    shrinks_to(&folder, max);
    let kept = |number: &u32| store.get(&format!("large-{number}")).unwrap().is_some();
    let kept: Vec<_> = (0..90).filter(kept).collect();
    assert!(kept.len() >= 4, "{kept:?}");
}

#[test]
fn a_writer_that_names_no_bound_takes_the_stores() {
    let folder = Folder::new();
    let max = 4 * MIB;
    drop(Store::open(folder.config().max_bytes(Some(max))).unwrap());
    let store = Store::open(folder.config()).unwrap();
    assert_eq!(store.backend.usage().unwrap().max_bytes, Some(max));
    assert!(is_no_space(&store.put("large", 1, 2 << 20)));
    for number in 0..3_000 {
        assert!(store.put(&format!("key-{number}"), 1, 4_000).is_done());
    }
    assert!(bytes_on_disk(&folder) <= with_tolerance(max), "{}", bytes_on_disk(&folder));
}

#[test]
fn to_name_a_bound_changes_it_for_all() {
    let folder = Folder::new();
    let first = Store::open(folder.config().max_bytes(Some(4 * MIB))).unwrap();
    let second = Store::open(folder.config().max_bytes(Some(16 * MIB))).unwrap();
    for number in 0..3_000 {
        assert!(first.put(&format!("key-{number}"), 1, 4_000).is_done());
    }
    assert_eq!(first.backend.usage().unwrap().max_bytes, Some(16 * MIB));
    assert!(bytes_on_disk(&folder) > 8 * MIB, "{}", bytes_on_disk(&folder));
    let third = Store::open(folder.config().max_bytes(Some(4 * MIB))).unwrap();
    for store in [&first, &second, &third] {
        assert!(store.put("one more", 1, 1).is_done());
        assert_eq!(store.backend.usage().unwrap().max_bytes, Some(4 * MIB));
    }
    shrinks_to(&folder, with_tolerance(4 * MIB));
}

#[test]
fn a_store_that_is_made_anew_keeps_the_bound_of_its_writer() {
    let folder = Folder::new();
    let store = Store::open(folder.config().max_bytes(Some(4 * MIB))).unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(store.put("key", 1, 1).is_done());
    assert_eq!(store.backend.usage().unwrap().max_bytes, Some(4 * MIB));
}

#[test]
fn values_without_bytes_go_like_values_of_one_byte() {
    let read_rate = |payload: &'static [u8]| {
        let folder = Folder::new();
        let store = Store::open(folder.config().max_bytes(Some(2 * MIB))).unwrap();
        let value = || Record::value(Bytes::from_static(payload), Times::new(NEVER, NEVER));
        let mut hits = 0;
        for day in 0..30 {
            for page in 0..10 {
                let text = format!("page-{page}");
                if store.get(&text).unwrap().is_some() {
                    hits += 1;
                } else {
                    assert!(store.put(&text, 1, 2_000).is_done());
                }
            }
            let one = |visitor: u32| Write {
                key: key(&format!("visitor-{day}-{visitor}")),
                record: value(),
                expect: Expect::Any,
            };
            let outcomes = block_on(store.backend.write(&(0..400).map(one).collect::<Vec<_>>()));
            assert!(outcomes.iter().all(Outcome::is_done));
        }
        hits
    };
    let (none, one) = (read_rate(b""), read_rate(b"1"));
    assert!(none >= 270 && one >= 270, "{none} and {one} of 300");
}

#[test]
fn versions_of_tags_crowd_out_no_values() {
    let folder = Folder::new();
    let store = Store::open(folder.config().max_bytes(Some(4 * MIB))).unwrap();
    let namespace = Namespace::new("fault").unwrap();
    let one = |number: u32| Write {
        key: Key::new(&namespace, Class::Tag, format!("order:{number}").as_bytes()),
        record: Record::value(Bytes::new(), Times::new(NEVER, NEVER)),
        expect: Expect::Any,
    };
    for batch in 0..40 {
        let writes: Vec<_> = (batch * 1_000..(batch + 1) * 1_000).map(one).collect();
        assert!(block_on(store.backend.write(&writes)).iter().all(Outcome::is_done));
    }
    for number in 0..200 {
        assert!(store.put(&format!("key-{number}"), 1, 4_096).is_done());
    }
    let there = (0..200).filter(|n| store.get(&format!("key-{n}")).unwrap().is_some()).count();
    assert_eq!(there, 200);
}
