//! SQLite by itself, with prepared statements.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{body, shuffled, text};

/// A database of SQLite by itself.
#[derive(Debug)]
pub struct Bare {
    /// The database.
    pub path: PathBuf,
    connection: Connection,
}

impl Bare {
    /// Returns a database with this many entries of this length.
    pub fn filled(path: &Path, count: usize, length: usize) -> Self {
        let connection = open(path);
        let table = "CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB, dies REAL)";
        connection.execute_batch(table).expect("it is made");
        for chunk in shuffled(count).chunks(1_000) {
            connection.execute_batch("BEGIN IMMEDIATE").expect("it begins");
            for index in chunk {
                set(&connection, *index, length);
            }
            connection.execute_batch("COMMIT").expect("it ends");
        }
        Self { path: path.to_owned(), connection }
    }

    /// Returns the connection.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the bytes of the pages that are in use.
    pub fn used_bytes(&self) -> u64 {
        let pragma = |name| {
            let number: i64 =
                self.connection.pragma_query_value(None, name, |row| row.get(0)).expect("it tells");
            number as u64
        };
        (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
    }
}

/// Opens a database in the mode in which `larder-disk` opens its own.
pub fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("it opens");
    let mode = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000;
        PRAGMA wal_autocheckpoint = 4096; PRAGMA journal_size_limit = 16777216;
        PRAGMA temp_store = MEMORY;";
    connection.execute_batch(mode).expect("it is set");
    connection
}

/// Reads one entry.
pub fn get(connection: &Connection, index: usize, length: usize) {
    let sql = "SELECT value FROM entries WHERE key = ?1 AND (dies IS NULL OR dies > ?2)";
    let mut statement = connection.prepare_cached(sql).expect("it is prepared");
    let value: Vec<u8> =
        statement.query_row(params![text(index), 0.0], |row| row.get(0)).expect("it is there");
    assert_eq!(value.len(), length);
}

/// Writes one entry.
pub fn set(connection: &Connection, index: usize, length: usize) {
    let sql = "INSERT OR REPLACE INTO entries (key, value, dies) VALUES (?1, ?2, NULL)";
    let mut statement = connection.prepare_cached(sql).expect("it is prepared");
    statement.execute(params![text(index), body(index, length)]).expect("it is stored");
}
