//! Opening a database, with the settings that every connection needs.

use std::path::Path;
use std::time::Duration;

use rusqlite::ffi::SQLITE_READONLY;
use rusqlite::{Connection, OpenFlags};

use crate::bound::{Bound, PAGE_BYTES};
use crate::config::{DiskConfig, Durability};
use crate::error::of_code;

/// How a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Reader,
    /// Others' transactions it does not wait for by itself: see `transaction::begin`.
    Writer {
        durability: Durability,
        wal_bytes: u64,
    },
}

impl Role {
    /// The role of who writes into a store of this bound.
    pub(crate) fn writer(config: &DiskConfig, bound: Bound) -> Self {
        Self::Writer { durability: config.durability, wal_bytes: bound.log_bytes() }
    }
}

/// Opens a database that is there. Connections are used by one thread at a time.
pub(crate) fn open(path: &Path, role: Role) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    if connection.is_readonly("main")? {
        // SQLite makes do with reading, and would go on so when the file can be written again.
        return Err(of_code(SQLITE_READONLY));
    }
    // Readers never wait for writers; for a moment all may wait for a recovery.
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
