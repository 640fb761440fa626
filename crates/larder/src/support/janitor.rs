//! The threads that free dead entries.
//!
//! One thread sweeps, cache after cache, and another one watches it. Where a listener or the drop
//! of a value takes long, the watcher goes on with the other caches, and another thread watches.
//! There are two threads for the process, so that a hundred caches do not make a hundred threads,
//! and one more for each cache whose own code holds a thread up. They exist while a cache needs
//! them, and never keep a cache alive (`docs/decisions/0005-janitor-thread.md`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use larder_core::{Sweep, Timestamp};

use crate::support::clock::SystemClock;

/// Sweeps the cache regularly until it is gone.
pub(crate) fn keep_swept(sweep: Weak<dyn Sweep>) {
    let mut janitor = janitor();
    janitor.jobs.push(Job { sweep, round: 0, is_under_way: false });
    janitor.start();
}

/// Begins the next round soon, and not at the end of the period.
pub(crate) fn wake() {
    let mut janitor = janitor();
    janitor.is_woken = true;
    janitor.start();
    CHANGED.notify_all();
}

struct Janitor {
    jobs: Vec<Job>,
    round: u64,
    is_woken: bool,
    /// The number of threads that have swept, one after the other.
    turn: u64,
    /// True if a thread sweeps. That thread is the last one that `turn` counts.
    is_swept: bool,
    /// The time when the sweeping thread began with the present cache. None between two caches.
    began: Option<Timestamp>,
    is_watched: bool,
    /// The process that these threads belong to.
    pid: u32,
}

struct Job {
    sweep: Weak<dyn Sweep>,
    /// The round in which it was last swept.
    round: u64,
    is_under_way: bool,
}

/// Runs a thread's life: it watches until it is needed, and sweeps until another thread has taken
/// over.
fn run() {
    let mut guard = janitor();
    while let Some(watched) = watch(guard) {
        match sweep(watched) {
            Some(relieved) => guard = relieved,
            None => return,
        }
    }
}

/// Waits until no thread sweeps, or the sweeping thread is held up. None if nothing is left to
/// sweep.
fn watch(mut janitor: Guard) -> Option<Guard> {
    loop {
        if janitor.jobs.is_empty() {
            janitor.is_watched = false;
            return None;
        }
        let busy = janitor.began.map(|began| SystemClock.now().since(began));
        let left = busy.map_or(PERIOD, |busy| PATIENCE.saturating_sub(busy));
        if !janitor.is_swept || left.is_zero() {
            janitor.is_watched = false;
            return Some(janitor);
        }
        janitor = wait(janitor, left);
    }
}

/// Sweeps round after round. Returns to watch if another thread has taken over meanwhile, and no
/// thread watches.
fn sweep(mut janitor: Guard) -> Option<Guard> {
    let turn = janitor.take_turn();
    while janitor.turn == turn {
        if let Some((place, sweep)) = janitor.next() {
            drop(janitor);
            // The user's code in a sweep is guarded already, except for the drops of its values.
            let _ = catch_unwind(AssertUnwindSafe(|| sweep.sweep()));
            let _ = catch_unwind(AssertUnwindSafe(|| drop(sweep)));
            janitor = self::janitor();
            janitor.finish(turn, &place);
        } else if janitor.jobs.is_empty() {
            janitor.is_swept = false;
            CHANGED.notify_all();
            return None;
        } else {
            janitor = rest(janitor);
        }
    }
    if std::mem::replace(&mut janitor.is_watched, true) { None } else { Some(janitor) }
}

/// Waits for the next round.
fn rest(janitor: Guard) -> Guard {
    drop(janitor);
    // The rest comes first, however often the janitor is woken.
    thread::park_timeout(SHORTEST_REST);
    let mut janitor = self::janitor();
    if !janitor.is_woken {
        janitor = wait(janitor, PERIOD.saturating_sub(SHORTEST_REST));
    }
    // An exact reading keeps the coarse clock right.
    let _ = SystemClock.now();
    janitor.round += 1;
    janitor.is_woken = false;
    janitor
}

impl Janitor {
    /// Makes sure that a thread runs.
    fn start(&mut self) {
        let pid = std::process::id();
        if self.pid != pid {
            // A forked child has the list of its parent and none of the threads.
            (self.pid, self.is_swept, self.is_watched) = (pid, false, false);
            for job in &mut self.jobs {
                job.is_under_way = false;
            }
        }
        if self.is_swept {
            return;
        }
        if self.is_watched {
            CHANGED.notify_all();
        } else {
            self.spawn();
        }
    }

    /// Starts a thread that watches. Without it no entry is freed early, or one listener holds up
    /// the others; but no dead entry is served.
    fn spawn(&mut self) {
        let thread = thread::Builder::new().name("larder-janitor".to_owned()).spawn(run);
        self.is_watched = thread.is_ok();
    }

    fn take_turn(&mut self) -> u64 {
        self.turn += 1;
        self.is_swept = true;
        self.began = None;
        if !self.is_watched {
            self.spawn();
        }
        self.turn
    }

    /// Returns the cache that is to be swept next in this round.
    fn next(&mut self) -> Option<(Weak<dyn Sweep>, Arc<dyn Sweep>)> {
        self.jobs.retain(|job| job.sweep.strong_count() > 0);
        for job in &mut self.jobs {
            if job.is_under_way || std::mem::replace(&mut job.round, self.round) == self.round {
                continue;
            }
            if let Some(sweep) = job.sweep.upgrade() {
                job.is_under_way = true;
                self.began = Some(SystemClock.now());
                return Some((Weak::clone(&job.sweep), sweep));
            }
        }
        None
    }

    fn finish(&mut self, turn: u64, place: &Weak<dyn Sweep>) {
        let mut jobs = self.jobs.iter_mut();
        if let Some(job) = jobs.find(|job| Weak::ptr_eq(&job.sweep, place)) {
            job.is_under_way = false;
        }
        if self.turn == turn {
            self.began = None;
        }
    }
}

type Guard = MutexGuard<'static, Janitor>;

fn janitor() -> Guard {
    JANITOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(janitor: Guard, at_most: Duration) -> Guard {
    CHANGED.wait_timeout(janitor, at_most).unwrap_or_else(PoisonError::into_inner).0
}

static JANITOR: Mutex<Janitor> = Mutex::new(Janitor {
    jobs: Vec::new(),
    round: 1,
    is_woken: false,
    turn: 0,
    is_swept: false,
    began: None,
    is_watched: false,
    pid: 0,
});

/// Wakes the threads, which then check the state again.
static CHANGED: Condvar = Condvar::new();

const PERIOD: Duration = Duration::from_millis(100);

/// The time for which one cache may keep the others waiting.
const PATIENCE: Duration = Duration::from_millis(50);

/// The shortest pause between two rounds, also if caches are invalidated all the time.
const SHORTEST_REST: Duration = Duration::from_millis(5);
