//! Regular saves by the system's clock, from a thread that ends with its cache.

use std::fs;
use std::time::Duration;

use larder::Snapshot;
use larder_test_support::{Folder, pause};

use crate::store::Store;

/// Returns the number of threads of this process that save regularly.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // A thread may end while its name is read.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "larder-snapshot").count()
}

/// Waits until the condition holds, for a minute at most.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        pause(Duration::from_millis(10));
    }
    panic!("{what} never came");
}

#[test]
fn a_cache_is_saved_by_itself_for_as_long_as_it_is_there() {
    let folder = Folder::new();
    let path = folder.path().join("often.snapshot");
    let store = Store::with(Snapshot::file(&path).every(Duration::from_millis(20)));
    for version in 1..4 {
        store.put(1, version, 100);
        wait_until("the save", || Store::open(&path).get(1) == Some(version));
    }
    assert_eq!((threads(), store.events().len()), (1, 0));
    drop(store);
    wait_until("the end of the thread", || threads() == 0);
}
