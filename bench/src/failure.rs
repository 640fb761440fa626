//! The reasons why there are no results.

use std::fmt;
use std::path::PathBuf;

/// The reason of a failure.
#[derive(Debug)]
pub enum Failure {
    /// A file or folder cannot be read or written.
    File(PathBuf, std::io::Error),
    /// A trace cannot be read.
    Trace(PathBuf, larder_trace::Error),
    /// A process that should have measured did not.
    Process(String),
    /// The output of a process is no answer.
    Answer(serde_json::Error),
    /// The workload is unknown, or does not exist for this contestant.
    Unknown(String),
}

/// A result, or the reason why there is none.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Trace(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Process(what) => f.write_str(what),
            Self::Answer(error) => write!(f, "a process answered what cannot be read: {error}"),
            Self::Unknown(what) => write!(f, "nothing is known of {what}"),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Answer(error)
    }
}
