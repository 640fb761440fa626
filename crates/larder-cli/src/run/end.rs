//! The end of a command, and whether its answer is kept.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::Signal;

use crate::exit;
use crate::run::answer::Answer;
use crate::run::recording::{Gap, Recording};

/// The way in which a command ended.
#[derive(Debug)]
pub(super) enum End {
    /// The command ended by itself, with this status.
    Exited(u8),
    /// This signal ended the command.
    Signalled(u8),
    /// We ended the command, because its time was over.
    TimedOut,
    /// The command never began.
    NotStarted(io::Error),
    /// The command ended by itself, and stdout did not take its output.
    Unwritten(io::Error),
    /// The way of the end is unknown.
    Lost(io::Error),
}

impl End {
    /// Returns the exit status that reports this end.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Exited(status) => *status,
            Self::Signalled(signal) => exit::SIGNALLED.saturating_add(*signal),
            Self::TimedOut => exit::TIMED_OUT,
            Self::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => exit::NOT_FOUND,
            Self::NotStarted(_) => exit::NOT_EXECUTABLE,
            Self::Unwritten(_) | Self::Lost(_) => exit::OWN_FAILURE,
        }
    }

    /// Returns the end as the caller sees it: a command that ended by itself has failed if its
    /// output was lost.
    pub(super) fn seen(self, unwritten: Option<io::Error>) -> Self {
        match (self, unwritten) {
            (Self::Exited(_), Some(error)) => Self::Unwritten(error),
            (end, _) => end,
        }
    }

    /// Ends this process by INT or QUIT, if that has ended the command. A shell goes on with its
    /// loop after a status of 130, which the command may have meant, and stops after a death by
    /// signal.
    pub(super) fn die_of_interrupt(&self) {
        if let Self::Signalled(signal) = self
            && [Signal::INT, Signal::QUIT].iter().any(|one| one.as_raw() == i32::from(*signal))
        {
            let _ = signal_hook::low_level::emulate_default_handler(i32::from(*signal));
        }
    }

    /// Returns the answer to keep. A command that was ended from outside has none, whatever it
    /// wrote. A command that failed has one if failures are to be kept.
    pub(super) fn kept(&self, recording: Recording, failures: bool) -> Result<Answer, Unkept> {
        match self {
            Self::Exited(status) if *status == 0 || failures => {
                recording.finish(*status).map_err(Unkept::Gap)
            }
            _ => Err(Unkept::Failed),
        }
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        let narrow = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(narrow(code)),
            (None, signal) => Self::Signalled(narrow(signal.unwrap_or_default())),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "it ended with status {status}"),
            Self::Signalled(signal) => write!(f, "it was ended by signal {signal}"),
            Self::TimedOut => write!(f, "it took longer than its timeout"),
            Self::Unwritten(error) => write!(f, "its output cannot be written: {error}"),
            Self::NotStarted(error) | Self::Lost(error) => write!(f, "it cannot be run: {error}"),
        }
    }
}

/// The reason why an answer is not kept, and the error of a load whose answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unkept {
    /// The command failed.
    Failed,
    /// Its output is not whole.
    Gap(Gap),
    /// The command was not run: another process has just run it in vain, or the answer is gone.
    Resting,
}

impl fmt::Display for Unkept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "the command failed",
            Self::Resting => "another process has just run it in vain",
            Self::Gap(Gap::TooLong) => "its output is longer than what is kept",
            Self::Gap(Gap::Unread) => "its output was not read to the end",
        })
    }
}

impl std::error::Error for Unkept {}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{End, Unkept};
    use crate::run::answer::Stream;
    use crate::run::recording::{Gap, Recording};

    #[test]
    fn codes_are_those_of_a_shell_and_of_env() {
        assert_eq!(End::Exited(3).code(), 3);
        assert_eq!(End::Signalled(15).code(), 143);
        assert_eq!(End::TimedOut.code(), 124);
        assert_eq!(End::Lost(io::ErrorKind::Other.into()).code(), 125);
        assert_eq!(End::NotStarted(io::ErrorKind::PermissionDenied.into()).code(), 126);
        assert_eq!(End::NotStarted(io::ErrorKind::NotFound.into()).code(), 127);
    }

    #[test]
    fn a_death_by_signal_is_never_kept_and_a_failure_only_if_asked() {
        let recording = || {
            let mut recording = Recording::new(2);
            recording.push(Stream::Stdout, b"a");
            recording
        };
        assert!(End::Exited(0).kept(recording(), false).is_ok());
        assert_eq!(End::Exited(1).kept(recording(), false).err(), Some(Unkept::Failed));
        assert_eq!(End::Exited(1).kept(recording(), true).unwrap().status, 1);
        assert!(End::Signalled(15).kept(recording(), true).is_err());
        assert!(End::TimedOut.kept(recording(), true).is_err());
        let mut long = recording();
        long.push(Stream::Stdout, b"bc");
        assert_eq!(End::Exited(0).kept(long, false).err(), Some(Unkept::Gap(Gap::TooLong)));
    }
}
