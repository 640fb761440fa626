//! Processes that share one path: each save is whole, and the last one stays.

use larder_test_support::{Child, Folder, tell};

use crate::store::{Store, text};

/// In another process: restores, changes and saves again and again.
pub(crate) fn crowd(path: &str, number: u64) {
    for round in 0..ROUNDS {
        let store = Store::open(path);
        let found: Vec<u64> = (0..KEYS).filter_map(|key| store.get(key)).collect();
        assert!(found.windows(2).all(|two| two[0] == two[1]), "a mixture: {found:?}");
        assert!(store.events().is_empty(), "{:?}", store.events());
        for key in 0..KEYS {
            store.put(key, number * 1_000 + round, 2_000);
        }
        assert_eq!(store.save().unwrap(), KEYS);
    }
    tell("done");
}

#[test]
fn f08_processes_on_one_path_leave_a_whole_snapshot_of_one_of_them() {
    let folder = Folder::new();
    let path = folder.path().join("shared.snapshot");
    let start = |number: u64| Child::start("crowd", &[text(&path), &number.to_string()]);
    let children: Vec<Child> = (1..=4).map(start).collect();
    for child in children {
        assert_eq!(child.succeed(), ["done"]);
    }
    let store = Store::open(&path);
    let found: Vec<u64> = (0..KEYS).filter_map(|key| store.get(key)).collect();
    assert!(found.windows(2).all(|two| two[0] == two[1]), "a mixture: {found:?}");
    store.put(0, 7, 1);
    store.save().unwrap();
    assert_eq!((folder.names(".new-").len(), folder.names(".log-").len()), (0, 1));
}

const ROUNDS: u64 = 20;
const KEYS: u64 = 200;
