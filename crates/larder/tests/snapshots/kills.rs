//! F01: a process that is killed at any moment leaves no torn entry, and no removed one.

use std::collections::BTreeMap;
use std::time::Duration;

use larder_test_support::{Child, Folder, pause, tell};

use crate::store::{Store, text};

/// Runs in another process: saves for ever, with a message before and after each save.
pub(crate) fn save(path: &str, seed: u64) {
    let store = Store::open(path);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut version = store.get(0).unwrap_or(0);
    loop {
        version += 1;
        for key in 0..KEYS {
            let length = [100, 1_000, 20_000, 1 << 20][random.usize(0..4)];
            let length = if key % 8 == 0 { random.usize(0..=length) } else { 100 };
            store.put(key, version, length);
        }
        tell(format_args!("begin {version}"));
        assert_eq!(store.save().unwrap(), KEYS);
        tell(format_args!("done {version}"));
    }
}

fn kill_savers(rounds: usize) {
    let folder = Folder::new();
    let path = folder.path().join("killed.snapshot");
    let mut random = fastrand::Rng::with_seed(1);
    let (mut begun, mut done) = (0, 0);
    let mut found_some = 0;
    for _ in 0..rounds {
        let mut saver = Child::start("save", &[text(&path), &random.u64(..).to_string()]);
        let first = saver.hear().unwrap();
        pause(Duration::from_millis(random.u64(0..=60)));
        for told in std::iter::once(first).chain(saver.kill()) {
            let (word, version) = told.split_once(' ').unwrap();
            let version: u64 = version.parse().unwrap();
            if word == "begin" { begun = version } else { done = version }
        }
        let store = Store::open(&path);
        let found = store.get(0).unwrap_or(0);
        // Inserts after a save are logged beside it, and make their keys misses: never a mixture.
        let is_right = |version: Option<u64>| version.is_none_or(|v| v == begun || v == done);
        for key in 0..KEYS {
            assert!(is_right(store.get(key)), "{key}: {:?}, not {done} or {begun}", store.get(key));
        }
        assert!(store.events().is_empty(), "{:?}", store.events());
        assert!(folder.names(".new-").is_empty(), "removed by whoever opens it");
        found_some += usize::from(found > 0);
        (begun, done) = (begun.max(found), done.max(found));
    }
    assert!(found_some > rounds / 20, "{found_some} of {rounds}");
}

#[test]
fn f01_killed_savers_leave_one_of_the_last_two_snapshots() {
    kill_savers(200);
}

#[test]
#[ignore = "takes minutes"]
fn f01_a_thousand_killed_savers_leave_one_of_the_last_two_snapshots() {
    kill_savers(1_000);
}

/// Runs in another process: changes and saves for ever, with a message for each confirmed change.
pub(crate) fn change(path: &str, seed: u64) {
    let store = Store::open(path);
    std::thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            loop {
                store.save().unwrap();
                pause(Duration::from_millis(3));
            }
        });
        for thread in 0..2 {
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed ^ thread);
                let mut version = seed;
                loop {
                    version += 1;
                    let key = random.u64(0..KEYS) * 2 + thread;
                    tell(format_args!("begin {key} {version}"));
                    assert_eq!(store.put(key, version, 100), larder::Reach::Confirmed);
                    tell(format_args!("done {key} {version}"));
                    if random.bool() {
                        tell(format_args!("begin {key} 0"));
                        store.cache.blocking().invalidate(&key).unwrap();
                        tell(format_args!("done {key} 0"));
                    }
                }
            });
        }
    });
}

fn kill_changers(rounds: u64) {
    let folder = Folder::new();
    let path = folder.path().join("changed.snapshot");
    let mut random = fastrand::Rng::with_seed(2);
    // The change that was confirmed last for a key, and the one begun since: zero for none.
    let mut written = BTreeMap::<u64, (u64, u64)>::new();
    let mut kept = 0;
    for round in 1..=rounds {
        let seed = (round << 32).to_string();
        let mut changer = Child::start("change", &[text(&path), &seed]);
        let first = changer.hear().unwrap();
        pause(Duration::from_millis(random.u64(0..=40)));
        for told in std::iter::once(first).chain(changer.kill()) {
            let words: Vec<&str> = told.split(' ').collect();
            let (key, version) = (words[1].parse().unwrap(), words[2].parse().unwrap());
            let (done, begun) = written.entry(key).or_default();
            if words[0] == "begin" {
                *begun = version;
            } else {
                (*done, *begun) = (version, version);
            }
        }
        let store = Store::open(&path);
        for (key, (done, begun)) in &mut written {
            let found = store.get(*key).unwrap_or(0);
            let is_right = found == 0 || found == *done || found == *begun;
            assert!(is_right, "{key}: {found:x} came back, after {done:x} and maybe {begun:x}");
            kept += usize::from(found != 0);
            // From now on this is the state: a change that was begun may have been done.
            (*done, *begun) = (found, found);
        }
        assert!(store.events().is_empty(), "{:?}", store.events());
    }
    assert!(kept > 0, "nothing was ever restored");
}

#[test]
fn f01_what_was_confirmed_before_the_kill_is_not_undone() {
    kill_changers(100);
}

#[test]
#[ignore = "takes minutes"]
fn f01_a_thousand_kills_undo_nothing_that_was_confirmed() {
    kill_changers(1_000);
}

const KEYS: u64 = 40;
