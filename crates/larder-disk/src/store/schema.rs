//! Tables and their versions.
//!
//! The table is an ordinary one: one `WITHOUT ROWID` reads values of 4 KiB 2.6 times slower. Ids
//! ascend, so the newest records are at the end, and evictions from the beginning free whole pages.

use larder_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use rusqlite::ffi::SQLITE_ERROR;

use crate::error::{damage, of_sqlite};
use crate::record::row::select_row;
use crate::store::transaction::begin;
use crate::time::wait::Until;

/// `LRDR`, in the database's header: the mark of our files.
const APPLICATION: i64 = 0x4C52_4452;
/// The version that this crate reads and writes.
const VERSION: i64 = 1;

/// The steps from each version to the next.
///
/// | column of `entries` | meaning |
/// |---|---|
/// | `name` | the key's name, any bytes but zero |
/// | `head`, `extra` | see [`row`](crate::record::row) |
/// | `dies` | store time in microseconds at which it is dead; none for never |
/// | `used` | 1 if it was read or written again since eviction last passed by |
///
/// In `store`, `max_bytes` is the bound, none for none; `hand` the id that eviction passed last;
/// `large_log` the bytes that are kept for the log, until the store time `large_until`.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE store (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        incarnation BLOB NOT NULL,
        created INTEGER NOT NULL,
        start TEXT NOT NULL,
        start_offset INTEGER NOT NULL,
        checks INTEGER NOT NULL,
        max_bytes INTEGER,
        hand INTEGER NOT NULL,
        large_log INTEGER NOT NULL,
        large_until INTEGER NOT NULL
    );
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        head BLOB NOT NULL,
        dies INTEGER,
        used INTEGER NOT NULL,
        extra BLOB,
        payload BLOB NOT NULL
    );
    CREATE UNIQUE INDEX entries_by_name ON entries (name);
    CREATE INDEX entries_by_death ON entries (dies) WHERE dies IS NOT NULL;
"];

/// The state of the tables, compared with this crate's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaState {
    Current,
    /// The tables are of an older version of ours, or there are none yet.
    Older(i64),
}

/// Checks which program made the tables, and in which version. Changes nothing.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for a newer version,
/// [`InvalidInput`](ErrorKind::InvalidInput) for another program's database.
pub(crate) fn standing(connection: &Connection) -> rusqlite::Result<Result<SchemaState>> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    if application == 0 && version == 0 {
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = connection.query_row(tables, [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(Ok(SchemaState::Older(0)));
        }
    }
    Ok(if application != APPLICATION {
        let message = "the database belongs to another program";
        Err(Error::new(ErrorKind::InvalidInput, "open", message))
    } else if version > VERSION {
        let message = "the store was written by a newer version of larder-disk";
        Err(Error::new(ErrorKind::Unsupported, "open", message))
    } else if version == VERSION {
        Ok(SchemaState::Current)
    } else {
        Ok(SchemaState::Older(version))
    })
}

/// Brings the tables to the present version, in one transaction.
///
/// # Errors
/// Errors as of [`standing`], and the database's own.
pub(crate) fn migrate(connection: &Connection, until: Until) -> Result<()> {
    let failed = |error| of_sqlite("open", error);
    begin(connection, until).map_err(failed)?;
    let migrated = standing(connection).map_err(failed).and_then(|standing| match standing? {
        SchemaState::Current => Ok(()),
        SchemaState::Older(version) => steps(connection, version).map_err(failed),
    });
    let end = if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" };
    migrated.and(connection.execute_batch(end).map_err(failed))
}

/// Checks that the tables have the columns that this crate asks for.
///
/// # Errors
/// Damage if a column is missing, as the statements cannot be wrong; and the database's own errors.
pub(crate) fn verify(connection: &Connection) -> rusqlite::Result<()> {
    let asked = [
        select_row!("name, payload FROM entries INDEXED BY entries_by_name WHERE name = ?1"),
        select_row!("name, payload FROM entries INDEXED BY entries_by_death WHERE dies <= ?1"),
        "SELECT incarnation, created, start, start_offset, checks FROM store WHERE one = 1",
        "SELECT max_bytes, hand, large_log, large_until FROM store",
    ];
    let is_unknown = |error: &rusqlite::Error| match error {
        rusqlite::Error::SqlInputError { .. } => true,
        error => error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_ERROR),
    };
    for sql in asked {
        let prepared = connection.prepare(sql).map(drop);
        prepared.map_err(|error| if is_unknown(&error) { damage() } else { error })?;
    }
    Ok(())
}

fn steps(connection: &Connection, from: i64) -> rusqlite::Result<()> {
    for step in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)) {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "user_version", VERSION)
}
