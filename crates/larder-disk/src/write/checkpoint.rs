//! The emptying of the log, beside the thread that writes: a sync takes as long as hundreds of
//! transactions.
//!
//! The writing connection empties the log itself only if that has no room left for a change.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use crate::bound::{Bound, PAGE_BYTES};
use crate::config::DiskConfig;
use crate::store::Store;
use crate::store::wal::{LogRun, truncate_log};
use crate::time::wait::Until;

/// The bytes in the log that the database lacks, about, and the thread that moves them there.
#[derive(Default)]
pub(crate) struct Checkpoints {
    logged_bytes: u64,
    running: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Notes the bytes that a transaction has logged: a page for each change, and its payloads.
    pub(crate) fn note(&mut self, changes: usize, bytes: usize) {
        let pages = u64::try_from(changes).unwrap_or(u64::MAX).saturating_mul(PAGE_BYTES);
        let logged = pages.saturating_add(bytes as u64);
        self.logged_bytes = self.logged_bytes.saturating_add(logged);
    }

    /// True if the log has grown enough to be emptied.
    pub(crate) fn is_due(&self, bound: Bound) -> bool {
        self.logged_bytes >= bound.log_bytes() / 4
    }

    /// True if the log may hold changes that the database lacks.
    pub(crate) fn has_logged(&self) -> bool {
        self.logged_bytes > 0
    }

    /// Starts to empty the log, unless the thread is at work already.
    pub(crate) fn start(&mut self, store: &Arc<Store>, config: &DiskConfig, bound: Bound) {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        self.finish();
        self.logged_bytes = 0;
        let (store, config) = (Arc::clone(store), config.clone());
        let name = "larder-disk-log".to_owned();
        let run = move || {
            // If this fails, the writing connection empties the log, and reports errors.
            let _ = store.empty_log(&config, bound);
        };
        self.running = thread::Builder::new().name(name).spawn(run).ok();
    }

    /// Waits for the thread.
    pub(crate) fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            // A thread that panicked has reported that itself.
            let _ = running.join();
        }
    }
}

/// Empties the log. Waits for readers at times, and gives writers as much time in between.
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

/// Empties the log, if all its readers end in this time; none if not. Another process may have
/// emptied it.
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

/// The longest time for which nobody writes while the log's readers are waited for: more than a
/// thread has to wait for a processor.
pub(crate) const MAX_READER_WAIT: Duration = Duration::from_millis(200);
const MIN_READER_WAIT: Duration = Duration::from_millis(5);
