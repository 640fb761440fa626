//! The write-ahead log: emptying it, and its runs.
//!
//! A run of the log lasts from one emptying to the next.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::{Connection, Row};

use crate::time::clock::coarse;

/// Moves the log's content into the database, except for the part that readers still need. True if
/// all of it was moved.
pub(crate) fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let is_busy: bool = row.get(0)?;
        Ok(!is_busy && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
    })
}

/// Moves all of the log's content into the database, and makes the log short. False if others are
/// in the way for longer than the connection waits.
pub(crate) fn truncate_log(connection: &Connection) -> rusqlite::Result<bool> {
    let is_busy = |row: &Row<'_>| row.get::<_, bool>(0);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], is_busy).map(|is_busy| !is_busy)
}

/// The identity of one of the logs that follow each other in one file: SQLite writes other salts
/// into the header of each (<https://www.sqlite.org/fileformat2.html#walformat>). None if it is
/// empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogRun(Option<[u8; 8]>);

impl LogRun {
    /// Returns the run that is in this file now.
    pub(crate) fn of(log: &Path) -> Self {
        let mut salts = [0; 8];
        let is_read = File::open(log).and_then(|log| log.read_exact_at(&mut salts, 16));
        Self(is_read.is_ok().then_some(salts))
    }
}

/// A run of the log that could not be emptied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeptLog {
    run: LogRun,
    since: i64,
    /// The time of the last try in vain.
    last: i64,
}

impl KeptLog {
    /// Returns the state of this run after a try in vain, and after the earlier tries that are
    /// known.
    pub(crate) fn tried(run: LogRun, known: Option<Self>) -> Self {
        let now = coarse();
        Self { run, since: known.map_or(now, |known| known.since), last: now }
    }

    /// True if this run has been kept for so long that one reader must keep it. Many short reads
    /// keep no log: while a process waits for them nobody writes, and a reader that begins then
    /// does not need the log.
    pub(crate) fn is_for_long(self, run: LogRun) -> bool {
        self.is_still(run) && coarse() - self.since > LONG_KEPT
    }

    /// True if the log has not been emptied since. A try of long ago says nothing about today's
    /// readers.
    pub(crate) fn is_still(self, run: LogRun) -> bool {
        self.run == run && coarse() - self.last <= LONG_UNTRIED
    }
}

/// Microseconds for which a log is kept before one reader must be the reason.
const LONG_KEPT: i64 = 2_000_000;
const LONG_UNTRIED: i64 = 10_000_000;
