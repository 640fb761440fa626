//! Runs a scenario in many schedules and reports their number and the time.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shuttle::Config;
use shuttle::scheduler::{PctScheduler, RandomScheduler};

use crate::flaw::Flaw;
use crate::tasks::{asks, together, waits};
use crate::world::{Key, Tagged, World};

/// The number of schedules for each scenario: half of them random, half by PCT.
const SCHEDULES: usize = if cfg!(debug_assertions) { 2_000 } else { 100_000 };

/// The number of schedules in which a flaw must be found.
const LIMIT: usize = 100_000;

/// The most preemptions that PCT searches for.
const DEPTH: usize = 3;

/// The default seed. The variable `SHUTTLE_RANDOM_SEED` replaces it.
const SEED: u64 = 0x1a7d_e700;

pub(crate) const KEY: Key = 1;
pub(crate) const OTHER: Key = 2;

/// A world's tags, and the threads that run in it.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) tagged: Tagged,
    pub(crate) run: fn(&Arc<World>),
}

impl Scenario {
    pub(crate) fn new(run: fn(&Arc<World>)) -> Self {
        Self { tagged: Tagged::Never, run }
    }

    pub(crate) fn tagged(tagged: Tagged, run: fn(&Arc<World>)) -> Self {
        Self { tagged, run }
    }

    /// Passes if no schedule breaks a promise.
    pub(crate) fn holds(self) {
        let (chance, first) = timed(|| random(self, None, SCHEDULES / 2, &Arc::default()));
        let (pct, second) = timed(|| {
            let scheduler = PctScheduler::new_from_seed(SEED, DEPTH, SCHEDULES / 2);
            shuttle::Runner::new(scheduler, Config::new()).run(move || self.once(None))
        });
        say(&format!(
            "held in {} schedules, {:.1} s",
            chance + pct,
            (first + second).as_secs_f64()
        ));
    }

    /// Passes if a schedule is found that breaks a promise in a world with the flaw.
    pub(crate) fn finds(self, flaw: Flaw) {
        let count = Arc::default();
        let (found, _) = timed(|| {
            catch_unwind(AssertUnwindSafe(|| random(self, Some(flaw), LIMIT, &count))).err()
        });
        let found = found.expect("the exploration must find what the flaw breaks");
        let count = count.load(Ordering::Relaxed);
        say(&format!("{flaw:?} found after {count} schedules: {}", message(found.as_ref())));
    }

    fn once(self, flaw: Option<Flaw>) {
        let world = World::new(self.tagged, flaw);
        (self.run)(&world);
        together(&world, [asks(KEY), waits(KEY), asks(OTHER)]);
        assert_eq!(world.seats(), 0, "a seat is left in the table");
    }
}

fn random(scenario: Scenario, flaw: Option<Flaw>, limit: usize, count: &Arc<AtomicUsize>) -> usize {
    let count = Arc::clone(count);
    let scheduler = RandomScheduler::new_from_seed(SEED, limit);
    shuttle::Runner::new(scheduler, Config::new()).run(move || {
        count.fetch_add(1, Ordering::Relaxed);
        scenario.once(flaw);
    })
}

#[expect(clippy::disallowed_methods, reason = "the exploration itself is timed, not the cache")]
fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = run();
    (result, began.elapsed())
}

/// Writes past the capture of passing tests, whose figures are wanted too.
fn say(line: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("exploration");
    let _closed = writeln!(std::io::stderr(), "{test}: {line}");
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
}
