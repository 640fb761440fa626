//! F01: a process that is killed at any moment leaves nothing torn.

use std::collections::BTreeMap;
use std::time::Duration;

use larder_disk::DiskConfig;

use crate::child::{Child, pause, tell};
use crate::store::{Folder, Store};

/// Runs in another process: writes for ever, and reports before and after each write.
pub(crate) fn write(folder: &str, seed: u64) {
    let store = Store::open(DiskConfig::new(folder).max_bytes(None)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed.wrapping_add(thread));
                loop {
                    let number = random.u64(0..KEYS / THREADS) * THREADS + thread;
                    let key = format!("key-{number}");
                    let version = store.get(&key).unwrap().unwrap_or(0) + 1;
                    let length = [100, 1_000, 20_000, 1 << 20][random.usize(0..4)];
                    tell(format_args!("begin {number} {version}"));
                    assert!(store.put(&key, version, random.usize(100..=length)).is_done());
                    tell(format_args!("done {number} {version}"));
                }
            });
        }
    });
}

/// Runs in another process: opens a store that may not exist yet.
pub(crate) fn create(folder: &str) {
    tell("go");
    let store = Store::open(DiskConfig::new(folder)).unwrap();
    assert!(store.put("key", 1, 100).is_done());
    tell("done");
}

fn kill_writers(rounds: usize) {
    let folder = Folder::new();
    let mut random = fastrand::Rng::with_seed(1);
    let mut written = BTreeMap::new();
    for _ in 0..rounds {
        let mut writer = Child::start("write", &[folder.text(), &random.u64(..).to_string()]);
        let first = writer.hear().unwrap();
        pause(Duration::from_millis(random.u64(5..=60)));
        for told in std::iter::once(first).chain(writer.kill()) {
            let words: Vec<&str> = told.split(' ').collect();
            let (number, version) = (words[1].parse::<u64>().unwrap(), words[2].parse().unwrap());
            let (begun, done) = written.entry(number).or_insert((0_u64, 0_u64));
            if words[0] == "begin" { *begun = version } else { *done = version }
        }
        let store = Store::open(folder.config().max_bytes(None)).unwrap();
        for (number, (begun, done)) in &mut written {
            let found = store.get(&format!("key-{number}")).unwrap().unwrap_or(0);
            assert!(found == *begun || found == *done, "{number}: {found}, not {done} or {begun}");
            (*begun, *done) = (found, found);
        }
        assert!(folder.names("larder.new-").len() <= 1);
        assert!(store.events().is_empty(), "{:?}", store.events());
    }
    assert!(written.values().map(|(_, done)| *done).sum::<u64>() > rounds as u64);
}

#[test]
fn f01_killed_writers_leave_one_of_the_last_two_values() {
    kill_writers(50);
}

#[test]
#[ignore = "takes minutes"]
fn f01_a_thousand_killed_writers_leave_one_of_the_last_two_values() {
    kill_writers(1_000);
}

#[test]
fn f01_whoever_is_killed_while_creating_is_no_obstacle() {
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..40 {
        let folder = Folder::new();
        for _ in 0..3 {
            let mut creator = Child::start("create", &[folder.text()]);
            creator.hear().unwrap();
            pause(Duration::from_micros(random.u64(0..3_000)));
            creator.kill();
        }
        let store = Store::open(folder.config()).unwrap();
        assert!(folder.names("larder.new-").len() <= 1);
        assert!(store.put("key", 2, 100).is_done());
        assert_eq!(store.get("key").unwrap(), Some(2));
        assert!(store.events().is_empty(), "{:?}", store.events());
    }
}

const THREADS: u64 = 2;
const KEYS: u64 = 20;
