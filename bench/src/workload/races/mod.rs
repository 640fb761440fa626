//! A load of a value that is changed while it is loaded: does the cache keep the old value?
//!
//! Each round has a key of its own. A loader reads the source and is held; the source changes, and
//! the cache is told; then the loader returns what it has read. When both calls have returned, the
//! key is read again. What comes back may be the new value or nothing: the old value is an error
//! that stays until its ttl, if it has one.
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

/// A change, when it comes, and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// What is done, and when.
    pub name: String,
    /// How often.
    pub rounds: u64,
    /// After how many of them the old value was there.
    pub resurrected: u64,
    /// Whether the change waits for the load, so that it cannot be overtaken.
    pub waits: bool,
}

impl Case {
    /// Those of a change in both orders.
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

/// All changes that a contestant knows.
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

/// More than there are rounds, so that nothing is evicted.
const CAPACITY: u64 = 1 << 20;
const HOUR: Duration = Duration::from_hours(1);
