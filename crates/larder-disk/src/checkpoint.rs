//! Empties the log beside the thread that writes: a sync takes as long as hundreds of transactions.
//!
//! The writing connection does it itself only if the log has no room left for a change.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use crate::bound::Bound;
use crate::config::DiskConfig;
use crate::connection::PAGE_BYTES;
use crate::store::Store;

/// Moves what the log holds into the database, as far as nobody needs it where it is; whether that was
/// all of it.
pub(crate) fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let is_busy: bool = row.get(0)?;
        Ok(!is_busy && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
    })
}

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
