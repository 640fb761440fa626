//! A transaction that writes: begun when others have ended theirs, and undone or done as a whole.

use rusqlite::Connection;
use rusqlite::ffi::SQLITE_BUSY;

use larder_core::Result;

use crate::error::{is_busy, is_full, of_code};
use crate::lock::Hold;
use crate::store::Store;
use crate::wait::Until;

/// Why a transaction came to nothing, or maybe did not.
pub(crate) enum Broken {
    /// Nothing of it is there.
    Undone(rusqlite::Error),
    /// It may be there.
    Unclear(rusqlite::Error),
}

impl Broken {
    pub(crate) fn error(self) -> rusqlite::Error {
        let (Self::Undone(error) | Self::Unclear(error)) = self;
        error
    }
}

/// Begins a transaction as soon as nobody else writes.
///
/// # Errors
/// That the database is busy, if others write for longer than this; and the database's own.
pub(crate) fn begin(connection: &Connection, until: Until) -> rusqlite::Result<()> {
    until.wait_for(|| try_begin(connection)).unwrap_or_else(|| Err(of_code(SQLITE_BUSY)))
}

/// The same in a store that is not replaced while the guard lives; none if it has been replaced.
/// Nothing is held while it waits, so that whoever replaces it need not wait for all who write.
///
/// # Errors
/// As of [`begin`]; the outer ones are of the folder's lock.
pub(crate) fn begin_in<'a>(
    store: &'a Store,
    connection: &Connection,
    until: Until,
) -> Result<rusqlite::Result<Option<Hold<'a>>>> {
    let mut place = None;
    let begun = until.wait_for(|| {
        let Some(begun) = try_begin(connection) else {
            place = place.take().or_else(|| store.queue.join());
            return None;
        };
        if let Err(error) = begun {
            return Some(Ok(Err(error)));
        }
        let came = match store.try_hold() {
            Ok(Some(hold)) if store.is_current() => return Some(Ok(Ok(Some(hold)))),
            Ok(Some(_)) => Some(Ok(Ok(None))),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        };
        roll_back(connection);
        came
    });
    begun.unwrap_or_else(|| Ok(Err(of_code(SQLITE_BUSY))))
}

/// Runs this in the transaction that has begun, and ends that.
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

/// None if others write.
fn try_begin(connection: &Connection) -> Option<rusqlite::Result<()>> {
    let begun = step(connection, "BEGIN IMMEDIATE");
    (!begun.as_ref().is_err_and(is_busy)).then_some(begun)
}

fn roll_back(connection: &Connection) {
    // Where it fails, SQLite has done it already.
    let _ = step(connection, "ROLLBACK");
}

fn step(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
