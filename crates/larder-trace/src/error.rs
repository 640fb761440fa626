//! The errors of reading a trace.

use std::fmt;
use std::io;

/// The result of reading a trace.
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why a trace cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The trace cannot be opened, read or unpacked.
    Unreadable(io::Error),
    /// The trace holds no access.
    Empty,
    /// The trace ends in the middle of an id: its length is no multiple of 4.
    Torn {
        /// The length, unpacked.
        bytes: u64,
    },
    /// A line is longer than any key, so the file is no text of one key a line.
    LongLine {
        /// The number of the line, from 1.
        line: u64,
    },
    /// The trace holds more than [`MAX_ACCESSES`](crate::MAX_ACCESSES).
    TooLong,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "the trace cannot be read: {error}"),
            Self::Empty => f.write_str("the trace is empty"),
            Self::Torn { bytes } => {
                write!(f, "the trace has {bytes} bytes, which is no whole number of 32-bit ids")
            }
            Self::LongLine { line } => write!(f, "line {line} of the trace is too long for a key"),
            Self::TooLong => {
                write!(f, "the trace has more than {} accesses", crate::MAX_ACCESSES)
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}
