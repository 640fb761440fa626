//! The end of the command: its exit codes, and its failures.

use std::fmt;
use std::io;

use larder::ErrorKind;

/// The work is done, or the answer is yes.
pub(crate) const OK: u8 = 0;
/// Nothing is under the key, or the answer is no.
pub(crate) const NO: u8 = 1;
/// The arguments make no sense.
pub(crate) const USAGE: u8 = 2;
/// The store could not be used.
pub(crate) const STORE: u8 = 3;
/// `run`: the command took longer than its timeout.
pub(crate) const TIMED_OUT: u8 = 124;
/// `run`: larder itself failed, or its arguments make no sense.
pub(crate) const OWN_FAILURE: u8 = 125;
/// `run`: the command was found and could not be started.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run`: the command was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// The sum of this and a signal's number is the code if that signal ended a command.
pub(crate) const SIGNALLED: u8 = 128;
/// Nobody reads the output any more: the code is that of a command that SIGPIPE has ended.
pub(crate) const PIPE_CLOSED: u8 = SIGNALLED + 13;

/// The reason why a sub-command came to no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments make no sense.
    Usage(String),
    /// The store could not be used.
    Store(String),
    /// Input could not be read or output not written.
    Io(io::Error),
}

impl Failure {
    /// Returns the exit code for this failure.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => PIPE_CLOSED,
            Self::Store(_) | Self::Io(_) => STORE,
        }
    }

    /// True if nobody reads the output any more, so that no message is printed.
    pub(crate) fn is_silent(&self) -> bool {
        self.code() == PIPE_CLOSED
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Store(message) => f.write_str(message),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<larder::Error> for Failure {
    fn from(error: larder::Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidInput => Self::Usage(with_causes(&error)),
            _ => Self::Store(with_causes(&error)),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

/// Returns the error and its causes on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
