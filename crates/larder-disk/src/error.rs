//! The driver's errors and the file system's, as Larder's.

use larder_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Maps an error of the driver. No other function does.
pub(crate) fn of_sqlite(operation: &'static str, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::TooBig) => ErrorKind::NoSpace,
        _ => ErrorKind::Unavailable,
    };
    Error::with_source(kind, operation, error)
}

/// Maps an error of the file system. No other function does.
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

/// True if the database's own pages are damaged.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Returns the error for damage that SQLite does not see by itself.
pub(crate) fn damage() -> rusqlite::Error {
    of_code(rusqlite::ffi::SQLITE_CORRUPT)
}

/// Returns the driver's error of this code, raised by us.
pub(crate) fn of_code(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

/// True if the disk has no room.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// True if opening may have failed because the disk has no room: SQLite reports an I/O error then.
pub(crate) fn is_maybe_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    is_full(error) || matches!(code, Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen))
}

/// True if the source of this error is an error of the driver for which `is_so` is true.
pub(crate) fn has_code(error: &Error, is_so: fn(&rusqlite::Error) -> bool) -> bool {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref()).is_some_and(is_so)
}

/// True if other processes or threads were in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
