//! The driver's errors and the file system's, as Larder's.

use larder_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// The one mapping of the driver's errors.
pub(crate) fn of_sqlite(operation: &'static str, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::TooBig) => ErrorKind::NoSpace,
        _ => ErrorKind::Unavailable,
    };
    Error::with_source(kind, operation, error)
}

/// The one mapping of the file system's errors.
pub(crate) fn of_files(operation: &'static str, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        _ => ErrorKind::Unavailable,
    };
    Error::with_source(kind, operation, error)
}

pub(crate) fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the backend has been closed")
}

/// Whether the database's own pages are damaged.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Damage that SQLite does not see by itself.
pub(crate) fn damage() -> rusqlite::Error {
    of_code(rusqlite::ffi::SQLITE_CORRUPT)
}

/// The driver's own error, raised by us.
pub(crate) fn of_code(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

/// Whether the disk has no room.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Whether opening may have failed because the disk has no room: then SQLite tells of an I/O error.
pub(crate) fn is_maybe_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    is_full(error) || matches!(code, Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen))
}

/// Whether this error comes from one of the driver's of which `is_so`.
pub(crate) fn has_code(error: &Error, is_so: fn(&rusqlite::Error) -> bool) -> bool {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref()).is_some_and(is_so)
}

/// Whether others were in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
