//! F06: system calls that fail, one by one, and then all from each one on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder_core::{Backend, ErrorKind, Outcome};
use larder_disk::DiskConfig;

use crate::child::{Child, Watch, tell};
use crate::store::{Folder, Store};

/// The values that a key may have, by the answers so far.
type Possible = BTreeMap<&'static str, Vec<Option<u64>>>;

/// Runs in a process whose calls fail: every answer is true, now and after the failures.
pub(crate) fn endure(folder: &str, lifted: &str) {
    let mut possible: Possible = [("small", vec![None]), ("large", vec![None])].into();
    match Store::open(DiskConfig::new(folder)) {
        Ok(store) => work(&store, &mut possible),
        Err(error) => {
            let is_clear = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::NoSpace);
            assert!(is_clear, "{error:?}");
        }
    }
    std::fs::write(lifted, "").unwrap();
    let store = Store::open(DiskConfig::new(folder)).unwrap();
    for (key, possible) in &possible {
        let found = store.get(key).unwrap();
        assert!(possible.contains(&found), "{key} is {found:?}, not of {possible:?}");
        assert!(store.put(key, 100, 5_000).is_done());
        assert_eq!(store.get(key).unwrap(), Some(100));
    }
    assert_eq!(store.events(), []);
    tell("whole");
}

fn work(store: &Store, possible: &mut Possible) {
    for version in [1, 4] {
        put(store, possible, "small", version, 100);
        put(store, possible, "large", version + 1, 60_000);
        let deleted = store.delete("small");
        note(possible, "small", None, &deleted);
        look(store, possible, "small");
        put(store, possible, "small", version + 2, 10_000);
        let _ = larder_testkit::block_on(store.backend.purge(10));
        let _ = larder_testkit::block_on(store.backend.scan(b"fault", None, 10));
    }
    assert_eq!(store.events(), []);
}

fn put(store: &Store, possible: &mut Possible, key: &'static str, version: u64, length: usize) {
    let outcome = store.put(key, version, length);
    note(possible, key, Some(version), &outcome);
    look(store, possible, key);
}

fn note(possible: &mut Possible, key: &'static str, now: Option<u64>, outcome: &Outcome) {
    let possible = possible.get_mut(key).unwrap();
    match outcome {
        Outcome::Done => *possible = vec![now],
        Outcome::Unknown(_) => possible.push(now),
        Outcome::Failed(_) => {}
        Outcome::Refused(_) => panic!("nothing was expected"),
    }
}

fn look(store: &Store, possible: &Possible, key: &str) {
    if let Ok(found) = store.get(key) {
        assert!(possible[key].contains(&found), "{key} is {found:?}, not of {:?}", possible[key]);
    }
}

/// The library that makes calls fail or stall, compiled for this run.
pub(crate) struct Shim {
    folder: Folder,
}

impl Shim {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        std::fs::create_dir(folder.path()).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let library = folder.path().join("shim.so");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status();
        assert!(status.unwrap().success());
        Self { folder }
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the scenario with these failures. Returns the names of the calls that failed.
    fn run(&self, nth: usize, count: usize, error: i32) -> Vec<String> {
        let store = Folder::quick();
        let (told, lifted) = (self.join("told"), self.join("lifted"));
        for file in [&told, &lifted] {
            let _ = std::fs::remove_file(file);
        }
        let watch = Watch::start();
        let arguments = [store.text(), lifted.to_str().unwrap()];
        let child = Child::start_with("endure", &arguments, |command| {
            command.env("LD_PRELOAD", self.join("shim.so"));
            command.env("SHIM_FOLDER", store.text()).env("SHIM_TOLD", &told);
            command.env("SHIM_LIFTED", &lifted).env("SHIM_ERROR", error.to_string());
            command.env("SHIM_NTH", nth.to_string()).env("SHIM_COUNT", count.to_string());
        });
        let what = format!("error {error} from call {nth}, {count} times");
        let (status, words) = child.end();
        assert!(status.success() && words == ["whole"], "{what}: {status}");
        assert!(watch.passed().as_secs() < 30, "{what}: {:?}", watch.passed());
        let told = std::fs::read_to_string(told).unwrap_or_default();
        told.lines().map(str::to_owned).collect()
    }
}

/// Fails calls from each one on, this many times, until a run meets no failure. The errors
/// alternate from run to run, or each run is done with all of them.
fn every(step: usize, count: usize, has_all_errors: bool) -> BTreeMap<String, usize> {
    let (shim, mut met) = (Shim::new(), BTreeMap::new());
    for round in 0.. {
        let mut is_over = true;
        for (place, error) in ERRORS.into_iter().enumerate() {
            if has_all_errors || round % ERRORS.len() == place {
                let failed = shim.run(1 + round * step, count, error);
                is_over &= failed.is_empty();
                for call in failed {
                    *met.entry(call).or_insert(0) += 1;
                }
            }
        }
        if is_over {
            break;
        }
    }
    met
}

#[test]
fn f06_a_call_that_fails_makes_nothing_wrong() {
    let met = every(3, 1, false);
    assert!(met.len() >= 3, "{met:?}");
}

#[test]
fn f06_calls_that_fail_from_some_moment_on_make_nothing_wrong() {
    let met = every(7, ALL, false);
    assert!(met.len() >= 3, "{met:?}");
}

#[test]
#[ignore = "takes minutes"]
fn f06_every_call_that_fails_in_every_way_makes_nothing_wrong() {
    let met = every(1, 1, true);
    for call in ["open", "write", "fsync", "rename", "unlink"] {
        assert!(met.contains_key(call), "no {call} in {met:?}");
    }
    for count in [3, ALL] {
        every(1, count, true);
    }
}

const ALL: usize = 1_000_000;
/// The errors EIO, ENOSPC, EMFILE and EROFS.
const ERRORS: [i32; 4] = [5, 28, 24, 30];
