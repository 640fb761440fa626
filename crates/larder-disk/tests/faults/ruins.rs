//! F04: whole pieces of a store that are overwritten, gone or swapped.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use larder_core::Backend;
use larder_disk::{DiskConfig, DiskEvent};
use larder_testkit::block_on;

use crate::child::{Child, Watch, pause, tell};
use crate::store::{Files, Folder, Store};

/// Makes a store of many small values, closed.
fn many() -> Files {
    static MANY: OnceLock<Files> = OnceLock::new();
    let make = || {
        let folder = Folder::quick();
        let store = Store::open(folder.config()).unwrap();
        for number in 0..COUNT {
            assert!(store.put(&name(number), 1, 100 + number % 200).is_done());
        }
        drop(store);
        Files::of(&folder)
    };
    MANY.get_or_init(make).clone()
}

/// Makes a store whose last changes are in its log, because its process was killed.
fn killed() -> Files {
    static KILLED: OnceLock<Files> = OnceLock::new();
    let make = || {
        let folder = Folder::quick();
        let mut holder = Child::start("hold", &[folder.text()]);
        assert_eq!(holder.hear().unwrap(), "full");
        holder.kill();
        Files::of(&folder)
    };
    KILLED.get_or_init(make).clone()
}

fn name(number: usize) -> String {
    format!("entry-{number}")
}

/// Opens the files within five seconds and checks that they work. Returns the number of entries
/// that are served after each key was asked for once.
///
/// Damage that is met on the way replaces the database: then the number is zero.
fn served(files: &Files, what: &str) -> usize {
    let folder = Folder::quick();
    files.put_into(&folder);
    let watch = Watch::start();
    let store = Store::open(folder.config()).unwrap();
    let all = || (0..COUNT).map(|number| store.get(&name(number)));
    let _ = all().count();
    assert!(watch.passed() < Duration::from_secs(5), "{what}: {:?}", watch.passed());
    let served = all().filter(|found| *found.as_ref().unwrap() == Some(1)).count();
    let paths = set_aside(&store);
    assert!(paths.iter().all(|path| path.exists()), "{what}");
    assert_eq!(folder.names("larder.damaged-").is_empty(), paths.is_empty(), "{what}");
    let fewest = if paths.is_empty() { COUNT * 99 / 100 } else { 0 };
    let most = if paths.is_empty() { COUNT } else { 0 };
    assert!((fewest..=most).contains(&served), "{what}: {served} of {COUNT}");
    assert!(store.put("new", 1, 10_000).is_done(), "{what}");
    drop(store);
    let store = Store::open(folder.config()).unwrap();
    assert_eq!(store.get("new").unwrap(), Some(1), "{what}");
    assert!(set_aside(&store).is_empty(), "{what}");
    assert!(folder.names("larder.new-").is_empty(), "{what}");
    served
}

/// Returns the paths of the damaged databases that the store has reported.
fn set_aside(store: &Store) -> Vec<PathBuf> {
    let path = |event| match event {
        DiskEvent::SetAside { path } => Some(path),
        _ => None,
    };
    store.events().into_iter().filter_map(path).collect()
}

#[test]
fn f04_after_the_loss_of_any_one_page_the_store_works_whole_or_empty() {
    let whole = many();
    assert_eq!(served(&whole, "whole"), COUNT);
    let pages = whole.0["larder.db"].len() / PAGE;
    let mut random = fastrand::Rng::with_seed(4);
    let others = (0..16).map(|_| random.usize(7..pages)).collect::<Vec<_>>();
    for (round, page) in (0..7).chain(others).enumerate() {
        let spoils = [Spoil::Zeros, Spoil::Noise, Spoil::Another];
        // The first pages lead to all others.
        let spoils = if page < 7 { &spoils[..] } else { &spoils[round % 3..][..1] };
        for spoil in spoils {
            let mut files = whole.clone();
            spoil.page(files.database(), page, round as u64);
            served(&files, &format!("{spoil:?} in page {}", page + 1));
        }
    }
}

#[test]
fn f04_tables_with_other_columns_are_a_damaged_database() {
    for (column, other) in [("payload BLOB", "paxload BLOB"), ("start TEXT", "stort TEXT")] {
        let mut files = many();
        let page = &mut files.database()[..PAGE];
        let place = page.windows(column.len()).position(|text| text == column.as_bytes()).unwrap();
        page[place..place + other.len()].copy_from_slice(other.as_bytes());
        assert_eq!(served(&files, other), 0, "{other}");
    }
}

#[test]
fn f04_a_store_that_takes_the_place_of_a_damaged_one_is_another_one() {
    let folder = Folder::quick();
    let store = Store::open(folder.config()).unwrap();
    assert!(store.put("key", 1, 100).is_done());
    let before = block_on(store.backend.incarnation()).unwrap();
    drop(store);
    std::fs::write(folder.path().join("larder.db"), "spoiled").unwrap();
    let store = Store::open(folder.config()).unwrap();
    assert_ne!(block_on(store.backend.incarnation()).unwrap(), before);
    assert_eq!(store.get("key").unwrap(), None);
    // The time of a new store begins with it.
    let now = block_on(store.backend.clock()).unwrap().as_micros();
    assert!((0..60_000_000).contains(&now), "{now}");
}

#[test]
fn f04_a_replaced_store_keeps_its_bound_where_that_can_be_read() {
    // The store's own row is in the second page.
    for (first, bound) in [(0, 1 << 30), (3, 8 << 20)] {
        let folder = Folder::quick();
        let store = Store::open(folder.config().max_bytes(Some(8 << 20))).unwrap();
        for number in 0..200 {
            assert!(store.put(&name(number), 1, 300).is_done());
        }
        drop(store);
        let mut files = Files::of(&folder);
        files.database()[first * PAGE..].fill(7);
        files.put_into(&folder);
        let store = Store::open(folder.config()).unwrap();
        for number in 0..200 {
            let _ = store.get(&name(number));
        }
        assert_eq!(set_aside(&store).len(), 1);
        assert_eq!(store.backend.usage().unwrap().max_bytes, Some(bound));
    }
}

/// Runs in another process: keeps a store open while it is replaced from outside, and goes on.
pub(crate) fn witness(folder: &str) {
    // Upkeep of this process must not find the damage first.
    let store = Store::open(DiskConfig::new(folder).purge_every(None)).unwrap();
    assert!(store.put("old", 1, 100).is_done());
    assert_eq!(store.get("old").unwrap(), Some(1));
    tell("open");
    let is_put_away = || {
        let mut names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.any(|name| name.to_string_lossy().starts_with("larder.damaged-"))
    };
    while !is_put_away() {
        pause(Duration::from_millis(1));
    }
    // A reader may take this long to notice.
    pause(Duration::from_millis(100));
    assert_eq!(store.get("old").unwrap(), None);
    assert!(store.put("theirs", 1, 100).is_done());
    assert_eq!(store.events(), [DiskEvent::Reopened]);
}

#[test]
fn f04_processes_that_have_a_damaged_database_open_notice_that_it_is_replaced() {
    let folder = Folder::quick();
    let mut witness = Child::start("witness", &[folder.text()]);
    assert_eq!(witness.hear().unwrap(), "open");
    std::fs::write(folder.path().join("larder.db"), "spoiled").unwrap();
    let store = Store::open(folder.config()).unwrap();
    assert_eq!(set_aside(&store).len(), 1);
    assert!(store.put("ours", 1, 100).is_done());
    witness.succeed();
    assert_eq!(store.get("theirs").unwrap(), Some(1));
    drop(store);
    let store = Store::open(folder.config()).unwrap();
    for (key, found) in [("old", None), ("ours", Some(1)), ("theirs", Some(1))] {
        assert_eq!(store.get(key).unwrap(), found, "{key}");
    }
    assert_eq!(store.events(), []);
}

#[derive(Clone, Copy, Debug)]
enum Spoil {
    Zeros,
    Noise,
    Another,
}

impl Spoil {
    fn page(self, database: &mut [u8], page: usize, seed: u64) {
        let at = page * PAGE..(page + 1) * PAGE;
        match self {
            Self::Zeros => database[at].fill(0),
            Self::Noise => fastrand::Rng::with_seed(seed).fill(&mut database[at]),
            Self::Another => database.copy_within(9 * PAGE..10 * PAGE, at.start),
        }
    }
}

#[test]
fn f04_a_log_whose_end_is_overwritten_keeps_what_comes_before() {
    for cut in [1, 100, 5_000, 40_000] {
        for noise in [false, true] {
            let (mut files, folder) = (killed(), Folder::quick());
            let log = files.0.get_mut("larder.db-wal").unwrap();
            let end = log.len() - cut;
            if noise {
                fastrand::fill(&mut log[end..]);
            } else {
                log.truncate(end);
            }
            files.put_into(&folder);
            let store = Store::open(folder.config()).unwrap();
            let is_there = |number: &usize| store.get(&format!("log-{number}")).unwrap().is_some();
            let count = (0..200).take_while(is_there).count();
            assert!((100..200).contains(&count) || cut > 5_000, "{count} after {cut}");
            assert_eq!((count..200).find(is_there), None);
            assert!(store.put("log-0", 2, 300).is_done());
            assert!(store.events().is_empty());
        }
    }
}

#[test]
fn f04_whichever_file_is_gone_the_store_opens() {
    for (gone, is_kept) in [
        ("larder.db", false),
        ("larder.db-wal", false),
        ("larder.db-shm", true),
        ("larder.lock", true),
        ("CACHEDIR.TAG", true),
    ] {
        let (mut files, folder) = (killed(), Folder::quick());
        assert!(files.0.remove(gone).is_some(), "{gone}");
        files.put_into(&folder);
        let store = Store::open(folder.config()).unwrap();
        if is_kept {
            assert_eq!(store.get("log-199").unwrap(), Some(1), "without {gone}");
        }
        assert!(store.put("log-199", 2, 300).is_done(), "without {gone}");
        drop(store);
        let store = Store::open(folder.config()).unwrap();
        assert_eq!(store.get("log-199").unwrap(), Some(2), "without {gone}");
        assert!(store.events().is_empty(), "without {gone}: {:?}", store.events());
    }
}

#[test]
fn f04_whichever_file_is_gone_from_under_it_the_store_goes_on() {
    for gone in ["larder.db", "larder.lock", "CACHEDIR.TAG"] {
        let folder = Folder::quick();
        let store = Store::open(folder.config()).unwrap();
        assert!(store.put("key", 1, 100).is_done());
        std::fs::remove_file(folder.path().join(gone)).unwrap();
        assert!(store.put("key", 2, 100).is_done(), "without {gone}");
        assert_eq!(store.get("key").unwrap(), Some(2), "without {gone}");
        let other = Store::open(folder.config()).unwrap();
        assert_eq!(other.get("key").unwrap(), Some(2), "without {gone}");
        assert!(other.put("key", 3, 100).is_done(), "without {gone}");
        assert_eq!(store.get("key").unwrap(), Some(3), "without {gone}");
    }
}

#[test]
fn f04_swapped_files_are_misses_or_one_clear_error() {
    let names = ["larder.db", "larder.db-wal", "larder.db-shm", "larder.lock", "CACHEDIR.TAG"];
    for (place, one) in names.iter().enumerate() {
        for other in &names[place + 1..] {
            let (mut files, folder) = (killed(), Folder::quick());
            let swapped = (files.0[*one].clone(), files.0[*other].clone());
            files.0.insert((*other).into(), swapped.0);
            files.0.insert((*one).into(), swapped.1);
            files.put_into(&folder);
            match Store::open(folder.config()) {
                Ok(store) => {
                    for number in 0..200 {
                        let found = store.get(&format!("log-{number}")).unwrap();
                        assert!(matches!(found, None | Some(1)), "{one} and {other}");
                    }
                    assert!(store.put("log-0", 2, 300).is_done(), "{one} and {other}");
                    assert_eq!(store.get("log-0").unwrap(), Some(2), "{one} and {other}");
                }
                // Without its marker the folder might be another program's.
                Err(error) => assert_eq!(*other, "CACHEDIR.TAG", "{one}: {error:?}"),
            }
        }
    }
}

#[test]
fn f04_three_databases_that_were_set_aside_are_kept() {
    let folder = Folder::quick();
    for round in 0..6 {
        let store = Store::open(folder.config()).unwrap();
        assert!(store.put("key", round, 100).is_done());
        drop(store);
        std::fs::write(folder.path().join("larder.db"), "spoiled").unwrap();
        std::fs::write(folder.path().join("larder.damaged.txt"), "not ours").unwrap();
    }
    drop(Store::open(folder.config()).unwrap());
    assert_eq!(folder.names("larder.damaged-").len(), 3);
    assert_eq!(folder.names("larder.damaged.").len(), 1);
}

const COUNT: usize = 4_000;
const PAGE: usize = 4_096;
