//! Loads of a value that changes meanwhile: does the cache keep the old value?
//!
//! Each round has a key of its own. A loader reads the source and is held; the source changes, and
//! the cache is told; then the loader returns the value that it has read. When both calls have
//! returned, the key is read again. The read may return the new value or nothing: the old value is
//! an error that stays until its ttl, if it has one.
//!
//! *During load*: the load has begun, the change has returned, the load returns, the key is read.
//! *At random*: load and change start together, each dawdles for a random time, and the change may
//! come before, amid or after the load. The callers of the load itself may get the old value: they
//! asked before the change was done.

mod asynchronous;
mod scene;
mod tasks;
mod threads;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::scene::Tally;
use super::Job;

/// The contestants that run loaders and can be told of a change.
pub const CONTESTANTS: [&str; 6] =
    ["larder-local", "larder-cache", "quick_cache", "moka", "moka-future", "foyer"];

/// One kind of change in one order, and its result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The change and its order.
    pub name: String,
    /// The number of rounds.
    pub rounds: u64,
    /// The number of rounds after which the old value was there.
    pub resurrected: u64,
    /// True if the change waits for the load, so that it cannot be overtaken.
    pub waits: bool,
}

impl Case {
    /// Returns the cases of a change in both orders.
    fn both(change: &str, [fixed, random]: [Tally; 2]) -> [Self; 2] {
        let case = |when, tally: Tally| Self {
            name: format!("{change} {when}"),
            rounds: tally.rounds,
            resurrected: tally.old,
            waits: tally.is_told(),
        };
        [case("during load", fixed), case("at random", random)]
    }
}

/// Runs all changes that a contestant has.
pub fn run(job: &Job) -> Option<Vec<Case>> {
    let rounds = if job.is_quick { 1_000 } else { 10_000 };
    Some(match job.contestant.as_str() {
        "larder-local" => threads::larder_local(rounds),
        "larder-cache" => asynchronous::larder_cache(rounds),
        "quick_cache" => {
            let tasks = asynchronous::quick_cache(rounds).into_iter();
            let tasks = tasks.map(|case| Case { name: format!("{}, in tasks", case.name), ..case });
            threads::quick_cache(rounds).into_iter().chain(tasks).collect()
        }
        "moka" => threads::moka(rounds),
        "moka-future" => asynchronous::moka_future(rounds),
        "foyer" => asynchronous::foyer(rounds),
        _ => return None,
    })
}

/// The capacity, larger than the number of rounds, so that nothing is evicted.
const CAPACITY: u64 = 1 << 20;
const HOUR: Duration = Duration::from_hours(1);
