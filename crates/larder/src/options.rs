//! How an entry lives.

use std::time::Duration;

use larder_core::{NEVER, Timestamp};

/// How long an entry is fresh.
///
/// A zero duration, or an instant that has passed, means already expired: what was there goes, and
/// nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// As the cache was built.
    #[default]
    Default,
    /// Without end.
    Never,
    /// This long after the write.
    For(Duration),
    /// Until the cache's clock shows this.
    Until(Timestamp),
}

impl From<Duration> for Ttl {
    fn from(duration: Duration) -> Self {
        Self::For(duration)
    }
}

impl Ttl {
    /// The time from now for which an entry written now is fresh.
    pub(crate) fn from_now(self, now: Timestamp, default: Duration) -> Duration {
        match self {
            Self::Default => default,
            Self::Never => NEVER,
            Self::For(duration) => duration,
            Self::Until(instant) => instant.since(now),
        }
    }
}
