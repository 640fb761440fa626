//! A transaction that writes: begun when no other is under way, and undone or done as a whole.

use rusqlite::Connection;
use rusqlite::ffi::SQLITE_BUSY;

use crate::error::{is_busy, is_full, of_code};
use crate::time::wait::Until;

/// A transaction that failed, or may have failed.
pub(crate) enum Broken {
    /// No change of the transaction is stored.
    Undone(rusqlite::Error),
    /// The changes may be stored.
    Unclear(rusqlite::Error),
}

impl Broken {
    pub(crate) fn error(self) -> rusqlite::Error {
        let (Self::Undone(error) | Self::Unclear(error)) = self;
        error
    }
}

/// Begins a transaction as soon as no other connection writes.
///
/// # Errors
/// The database is busy if others write for longer than this; and the database's own errors.
pub(crate) fn begin(connection: &Connection, until: Until) -> rusqlite::Result<()> {
    until.wait_for(|| try_begin(connection)).unwrap_or_else(|| Err(of_code(SQLITE_BUSY)))
}

/// Runs this function in a transaction of its own, as soon as no other connection writes.
///
/// # Errors
/// Errors as of [`begin`].
pub(crate) fn transact<T>(
    connection: &Connection,
    until: Until,
    run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    begin(connection, until)?;
    finish(connection, run).map_err(Broken::error)
}

/// Runs this function in the transaction that has begun, and ends the transaction.
pub(crate) fn finish<T>(
    connection: &Connection,
    run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, Broken> {
    let done =
        run(connection).map_err(Broken::Undone).and_then(|done| match step(connection, "COMMIT") {
            Ok(()) => Ok(done),
            Err(error) if is_full(&error) || is_busy(&error) => Err(Broken::Undone(error)),
            Err(error) => Err(Broken::Unclear(error)),
        });
    if done.is_err() && !connection.is_autocommit() {
        roll_back(connection);
    }
    done
}

/// Begins a transaction at once; none if another connection writes.
pub(crate) fn try_begin(connection: &Connection) -> Option<rusqlite::Result<()>> {
    let begun = step(connection, "BEGIN IMMEDIATE");
    (!begun.as_ref().is_err_and(is_busy)).then_some(begun)
}

pub(crate) fn roll_back(connection: &Connection) {
    // If this fails, SQLite has rolled back already.
    let _ = step(connection, "ROLLBACK");
}

fn step(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
