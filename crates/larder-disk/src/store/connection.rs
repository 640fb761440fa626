//! Opening a database, with the settings that every connection needs.

use std::path::Path;
use std::time::Duration;

use rusqlite::ffi::SQLITE_READONLY;
use rusqlite::{Connection, OpenFlags};

use crate::bound::{Bound, PAGE_BYTES};
use crate::config::{DiskConfig, Durability};
use crate::error::of_code;

/// The use of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Reader,
    /// Writes. The connection itself does not wait for other transactions: see
    /// `transaction::begin`.
    Writer {
        durability: Durability,
        wal_bytes: u64,
    },
}

impl Role {
    /// Returns the role of a writer into a store with this bound.
    pub(crate) fn writer(config: &DiskConfig, bound: Bound) -> Self {
        Self::Writer { durability: config.durability, wal_bytes: bound.log_bytes() }
    }
}

/// Opens an existing database. A connection is used by one thread at a time.
pub(crate) fn open(path: &Path, role: Role) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    if connection.is_readonly("main")? {
        // SQLite is content to read only, and would stay so when the file can be written again.
        return Err(of_code(SQLITE_READONLY));
    }
    // Readers never wait for writers. A recovery can make any connection wait for a moment.
    connection.busy_timeout(RECOVERY_TIMEOUT)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF;")?;
    match role {
        Role::Reader => {
            connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -16000;")?;
        }
        Role::Writer { durability, wal_bytes } => {
            let synchronous = match durability {
                Durability::Relaxed => "NORMAL",
                Durability::Synced => "FULL",
            };
            let pages = wal_bytes / PAGE_BYTES;
            connection.execute_batch(&format!(
                "PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = {pages};
                 PRAGMA journal_size_limit = {wal_bytes}; PRAGMA cache_size = -16000;
                 PRAGMA temp_store = MEMORY;"
            ))?;
            connection.busy_timeout(Duration::ZERO)?;
        }
    }
    Ok(connection)
}

const RECOVERY_TIMEOUT: Duration = Duration::from_millis(50);
