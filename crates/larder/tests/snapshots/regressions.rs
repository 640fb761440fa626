//! What once broke, each told by the line above its test.

use std::fs;
use std::os::unix::fs::symlink;

use larder::{ErrorKind, Reach, Snapshot};

use crate::folder::Folder;
use crate::store::{Store, names};

/// A folder that could not be looked at was taken for one that is not there: nothing was removed,
/// and a change that could not be noted was confirmed.
#[test]
fn clear_says_so_if_it_cannot_know_whether_there_is_a_snapshot() {
    let (folder, link) = (Folder::new(), Folder::new());
    Snapshot::file(folder.path().join("a.snapshot")).clear().unwrap();
    let path = link.path().join("a.snapshot");
    fs::create_dir(folder.path()).unwrap();
    symlink(folder.path(), link.path()).unwrap();
    let first = Store::open(&path);
    first.put(1, 1, 100);
    first.save().unwrap();
    let store = Store::open(&path);

    // The link leads in a circle for a while.
    fs::remove_file(link.path()).unwrap();
    symlink(link.path(), link.path()).unwrap();
    let error = Snapshot::file(&path).clear().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(store.cache.blocking().invalidate(&1).unwrap(), Reach::Local);
    fs::remove_file(link.path()).unwrap();
    symlink(folder.path(), link.path()).unwrap();
    assert_eq!(Store::open(&path).get(1), Some(1), "as it was told");
    assert_eq!(store.cache.blocking().invalidate(&2).unwrap(), Reach::Confirmed);
    assert_eq!(Store::open(&path).get(1), None);
    fs::remove_file(link.path()).unwrap();
}

/// A file of somebody's whose name begins like that of a log was removed.
#[test]
fn files_that_are_only_named_alike_stay() {
    let folder = Folder::new();
    let path = folder.path().join("a.snapshot");
    let store = Store::open(&path);
    store.put(1, 1, 100);
    store.save().unwrap();
    let others = ["a.snapshot.log-2026-01-01", "a.snapshot.new-", "a.snapshot.log-0123"];
    for name in others {
        fs::write(folder.path().join(name), "somebody's").unwrap();
    }
    store.save().unwrap();
    drop(store);
    Snapshot::file(&path).clear().unwrap();
    let mut left = others.to_vec();
    left.sort_unstable();
    assert_eq!(names(&folder, ""), left);
}
