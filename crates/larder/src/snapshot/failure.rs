//! Errors of snapshots, as Larder's errors.

use std::io::{self, ErrorKind as IoKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_core::{Error, ErrorKind, Result};

/// Maps a sink's errors. No other code does.
pub(super) fn of_sink(operation: &'static str, error: io::Error) -> Error {
    let kind = match error.kind() {
        IoKind::StorageFull | IoKind::QuotaExceeded | IoKind::FileTooLarge => ErrorKind::NoSpace,
        IoKind::InvalidInput => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::with_source(kind, operation, error)
}

/// The error for bytes that no save has written like this.
pub(super) fn damaged() -> Error {
    Error::new(ErrorKind::Codec, "restore", "the snapshot is damaged")
}

/// The error for a whole snapshot that this cache has no use for.
pub(super) fn foreign(message: &'static str) -> Error {
    Error::new(ErrorKind::Codec, "restore", message)
}

/// Runs a user's key or codec. A panic of that code becomes an error.
pub(super) fn guarded<T>(operation: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(Error::new(ErrorKind::Codec, operation, "the key or codec panicked"));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
}
