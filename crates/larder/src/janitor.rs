//! The thread that drops what has expired.
//!
//! One for the process, so that a hundred caches do not make a hundred threads. It exists while a
//! cache needs it, which it never keeps alive (`docs/decisions/0005-janitor-thread.md`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use larder_core::Sweep;

use crate::clock::SystemClock;

/// Sweeps it every so often until it is gone.
pub(crate) fn keep_swept(sweep: Weak<dyn Sweep>) {
    let mut janitor = janitor();
    janitor.sweeps.push(sweep);
    // A forked child has the list of its parent and not the thread.
    let pid = std::process::id();
    if janitor.runs_in != Some(pid) {
        // Without a thread nothing is freed early, and nothing dead is served either.
        let thread = thread::Builder::new().name("larder-janitor".to_owned()).spawn(run);
        janitor.runs_in = thread.is_ok().then_some(pid);
    }
}

fn run() {
    while let Some(sweeps) = take_round() {
        // An exact reading, for the coarse clock's sake.
        let _ = SystemClock.now();
        for sweep in sweeps {
            // The user's code in there is guarded already, but for what its values do when dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| sweep.sweep()));
            let _ = catch_unwind(AssertUnwindSafe(|| drop(sweep)));
        }
        thread::park_timeout(PERIOD);
    }
}

/// Those that are still there. None ends the thread, under the lock under which one is started.
fn take_round() -> Option<Vec<Arc<dyn Sweep>>> {
    let mut janitor = janitor();
    janitor.sweeps.retain(|sweep| sweep.strong_count() > 0);
    let round: Vec<_> = janitor.sweeps.iter().filter_map(Weak::upgrade).collect();
    if round.is_empty() {
        janitor.runs_in = None;
        return None;
    }
    Some(round)
}

struct Janitor {
    sweeps: Vec<Weak<dyn Sweep>>,
    runs_in: Option<u32>,
}

static JANITOR: Mutex<Janitor> = Mutex::new(Janitor { sweeps: Vec::new(), runs_in: None });

fn janitor() -> MutexGuard<'static, Janitor> {
    JANITOR.lock().unwrap_or_else(PoisonError::into_inner)
}

const PERIOD: Duration = Duration::from_millis(100);
