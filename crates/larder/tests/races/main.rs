//! F44: loads that race with changes, on real threads and between real processes. No load brings
//! back a value that a change has ended, and no caller that comes after the change gets it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use larder::{LocalCache, MemoryBackend, SystemClock};
use larder_test_support::{Child, Folder, Refused};

mod changer;
mod child;
mod race;
mod witness;

use crate::changer::Changer;
use crate::race::{disk, own_of, race, racers};
use crate::witness::Witness;

fn in_memory(rounds: usize) {
    let store = MemoryBackend::new(Arc::new(SystemClock));
    for builder in [racers(), racers().backend(store)] {
        let cache = builder.build().unwrap();
        race(&cache, &Changer::Here(cache.clone()), rounds);
    }
}

fn on_disk(rounds: usize) {
    let folder = Folder::new();
    let cache = racers().backend(disk(folder.path())).build().unwrap();
    race(&cache, &Changer::Here(cache.clone()), rounds);
}

fn of_two_caches(rounds: usize) {
    let folder = Folder::new();
    let [cache, changer] = [(); 2].map(|()| own_of(folder.path()));
    race(&cache, &Changer::Here(changer), rounds);
}

fn of_two_processes(rounds: usize) {
    let folder = Folder::new();
    let cache = own_of(folder.path());
    let process = Child::start("obey", &[folder.text()]);
    race(&cache, &Changer::There(Arc::new(Mutex::new(process))), rounds);
}

#[test]
fn f44_no_load_brings_back_what_a_change_has_ended() {
    in_memory(ROUNDS);
}

#[test]
fn f44_no_load_brings_back_what_a_change_has_ended_on_disk() {
    on_disk(ROUNDS / 10);
}

#[test]
fn f44_no_load_brings_back_what_another_cache_has_ended_on_disk() {
    of_two_caches(ROUNDS / 10);
}

#[test]
fn f44_no_load_brings_back_what_another_process_has_ended_on_disk() {
    of_two_processes(ROUNDS / 10);
}

#[test]
#[ignore = "takes minutes"]
fn f44_no_load_brings_back_what_a_change_has_ended_in_many_rounds() {
    in_memory(MANY);
}

#[test]
#[ignore = "takes minutes"]
fn f44_no_load_brings_back_what_a_change_has_ended_on_disk_in_many_rounds() {
    on_disk(MANY);
}

#[test]
#[ignore = "takes minutes"]
fn f44_no_load_brings_back_what_another_cache_has_ended_on_disk_in_many_rounds() {
    of_two_caches(MANY);
}

#[test]
#[ignore = "takes minutes"]
fn f44_no_load_brings_back_what_another_process_has_ended_on_disk_in_many_rounds() {
    of_two_processes(MANY);
}

/// The rounds of a run. A debug build takes ten times as long for each round, so `cargo xtask test`
/// runs an optimized one as well.
const ROUNDS: usize = if cfg!(debug_assertions) { 1_000 } else { 10_000 };

const MANY: usize = 10 * ROUNDS;

#[test]
fn f44_no_load_brings_back_what_a_change_of_a_local_cache_has_ended() {
    let local = LocalCache::<u64, Witness>::new(1_000);
    let options = || larder::EntryOptions::new().tags(["t"]);
    let truth = AtomicU64::new(1);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let loader = || {
                        let version = truth.load(Ordering::SeqCst);
                        std::thread::yield_now();
                        Witness::new(1, version)
                    };
                    let load = || Ok::<_, Refused>(loader());
                    local.try_get_with_options(&1, options(), load).unwrap().version(1);
                }
            });
        }
        let _over = Over(&is_over);
        for round in 0..ROUNDS {
            let least = truth.fetch_add(1, Ordering::SeqCst) + 1;
            match round % 5 {
                0 => local.invalidate(&1),
                1 => drop(local.remove(&1)),
                2 => local.insert_with(1, Witness::new(1, least), options()),
                3 => local.invalidate_tag("t"),
                _ => local.invalidate_all(),
            }
            for _ in 0..20 {
                let seen = local.get(&1).map(|witness| witness.version(1));
                assert!(seen.is_none_or(|seen| seen >= least), "{round}");
                std::thread::yield_now();
            }
        }
    });
}

/// Ends the other threads, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
