//! F03: bytes that are flipped, lost or added mean an empty cache, and never a wrong value.

use std::fs;
use std::path::Path;

use larder::Event;
use larder_test_support::Folder;

use crate::store::Store;

/// A snapshot of several blocks with a log beside it: its path, its bytes, and the log's name.
fn saved(folder: &Folder) -> (std::path::PathBuf, Vec<u8>, String) {
    let path = folder.path().join("damaged.snapshot");
    let store = Store::open(&path);
    for key in 0..KEYS {
        store.put(key, 1, 1_000);
    }
    assert_eq!(store.save().unwrap(), KEYS);
    for key in 0..10 {
        store.put(key, 2, 1_000);
    }
    let log = folder.names(".log-").remove(0);
    (path.clone(), fs::read(&path).unwrap(), log)
}

/// Opens the snapshot. Returns the number of its entries.
fn open(path: &Path) -> usize {
    let store = Store::open(path);
    let found = (0..KEYS).filter_map(|key| store.get(key).map(|version| (key, version)));
    let found: Vec<_> = found.collect();
    assert!(found.iter().all(|&(key, version)| version == 1 && key >= 10), "{found:?}");
    let failures = store.events();
    assert!(failures.len() <= 1 && failures.iter().all(|e| matches!(e, Event::SnapshotFailed(_))));
    assert_eq!(failures.len() == 1, found.is_empty(), "{failures:?}");
    found.len()
}

#[test]
fn f03_a_file_cut_short_at_any_64th_is_an_empty_cache() {
    let folder = Folder::new();
    let (path, whole, _) = saved(&folder);
    assert_eq!(open(&path), 990);
    for part in 0..64 {
        fs::write(&path, &whole[..whole.len() * part / 64]).unwrap();
        assert_eq!(open(&path), 0, "{part}/64");
    }
    fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
    assert_eq!(open(&path), 0);
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(&path), 990);
}

#[test]
fn f03_flipped_bits_are_noticed_wherever_they_are() {
    let folder = Folder::new();
    let (path, whole, log) = saved(&folder);
    let log = folder.path().join(log);
    let changes = fs::read(&log).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..200 {
        let mut spoilt = whole.clone();
        for _ in 0..random.usize(1..4) {
            spoilt[random.usize(..whole.len())] ^= 1 << random.u8(..8);
        }
        fs::write(&path, &spoilt).unwrap();
        assert_eq!(open(&path), if spoilt == whole { 990 } else { 0 });
    }
    fs::write(&path, &whole).unwrap();
    for place in 0..changes.len() {
        let mut spoilt = changes.clone();
        spoilt[place] ^= 1 << random.u8(..8);
        fs::write(&log, &spoilt).unwrap();
        assert_eq!(open(&path), 0, "byte {place}");
    }
    fs::write(&log, &changes).unwrap();
    assert_eq!(open(&path), 990);
    fs::remove_file(&log).unwrap();
    assert_eq!(open(&path), 0, "without its log it is nothing");
}

const KEYS: u64 = 1_000;
