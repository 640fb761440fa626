//! Empties the log beside the thread that writes: a sync takes as long as hundreds of transactions.
//!
//! The writing connection does it itself only if the log has no room left for a change.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use crate::bound::{Bound, PAGE_BYTES};
use crate::config::DiskConfig;
use crate::store::Store;
use crate::store::wal::{LogRun, truncate_log};
use crate::time::wait::Until;

/// What the log holds that the database does not, about, and the thread that moves it there.
#[derive(Default)]
pub(crate) struct Checkpoints {
    logged_bytes: u64,
    running: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Notes what a transaction has logged: a page for each change, and its bytes.
    pub(crate) fn note(&mut self, changes: usize, bytes: usize) {
        let pages = u64::try_from(changes).unwrap_or(u64::MAX).saturating_mul(PAGE_BYTES);
        let logged = pages.saturating_add(bytes as u64);
        self.logged_bytes = self.logged_bytes.saturating_add(logged);
    }

    /// Whether the log has grown enough to be emptied.
    pub(crate) fn is_due(&self, bound: Bound) -> bool {
        self.logged_bytes >= bound.log_bytes() / 4
    }

    /// Whether the log holds anything.
    pub(crate) fn has_logged(&self) -> bool {
        self.logged_bytes > 0
    }

    /// Starts to empty the log, unless that is under way.
    pub(crate) fn start(&mut self, store: &Arc<Store>, config: &DiskConfig, bound: Bound) {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        self.finish();
        self.logged_bytes = 0;
        let (store, config) = (Arc::clone(store), config.clone());
        let name = "larder-disk-log".to_owned();
        let run = move || {
            // What fails here is done by the writing connection, which tells of it.
            let _ = store.empty_log(&config, bound);
        };
        self.running = thread::Builder::new().name(name).spawn(run).ok();
    }

    /// Waits for the thread.
    pub(crate) fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            // One that panicked has told so itself.
            let _ = running.join();
        }
    }
}

/// Waits for readers at times, and gives those who write as much time in between.
pub(crate) fn wait_and_truncate(
    store: &Store,
    connection: &Connection,
    before: LogRun,
    until: Until,
) -> bool {
    loop {
        let for_readers = until.left().clamp(MIN_READER_WAIT, MAX_READER_WAIT);
        if try_truncate(store, connection, before, for_readers).is_some() {
            return true;
        }
        let at_once = || try_truncate(store, connection, before, Duration::ZERO);
        if until.or_after(for_readers).wait_for(at_once).is_some() {
            return true;
        }
        if until.is_over() {
            return false;
        }
    }
}

/// Empties the log, if all who read it end in this time; none if not. Somebody else may have done it.
pub(crate) fn try_truncate(
    store: &Store,
    connection: &Connection,
    before: LogRun,
    for_readers: Duration,
) -> Option<()> {
    let _hold = store.try_hold().ok()??;
    let _ = connection.busy_timeout(for_readers);
    let is_truncated = truncate_log(connection).unwrap_or(false);
    let _ = connection.busy_timeout(Duration::ZERO);
    (is_truncated || store.log_run() != before || !store.is_current()).then_some(())
}

/// How long nobody writes while the log's readers are waited for: more than the time for which a
/// thread has to wait for a processor.
pub(crate) const MAX_READER_WAIT: Duration = Duration::from_millis(200);
const MIN_READER_WAIT: Duration = Duration::from_millis(5);
