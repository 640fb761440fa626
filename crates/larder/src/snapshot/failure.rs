//! What goes wrong with a snapshot, as Larder's errors.

use std::io::{self, ErrorKind as IoKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_core::{Error, ErrorKind, Result};

/// The one mapping of a sink's errors.
pub(super) fn of_sink(operation: &'static str, error: io::Error) -> Error {
    let kind = match error.kind() {
        IoKind::StorageFull | IoKind::QuotaExceeded | IoKind::FileTooLarge => ErrorKind::NoSpace,
        IoKind::InvalidInput => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::with_source(kind, operation, error)
}

/// Bytes that no save has left like this.
pub(super) fn damaged() -> Error {
    Error::new(ErrorKind::Codec, "restore", "the snapshot is damaged")
}

/// A whole snapshot that this cache has no use for.
pub(super) fn foreign(message: &'static str) -> Error {
    Error::new(ErrorKind::Codec, "restore", message)
}

/// Runs a user's key or codec. A panic of its is a failure of its.
pub(super) fn guarded<T>(operation: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(Error::new(ErrorKind::Codec, operation, "the key or codec panicked"));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
}
