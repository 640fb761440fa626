//! Time: injected, monotonic, and able to sleep.

use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use crate::BoxFuture;

/// The duration of a life without end.
pub const NEVER: Duration = Duration::MAX;

/// A reading of a node's own monotonic clock. Nanoseconds since that clock's arbitrary origin.
///
/// Readings of two clocks cannot be compared. Arithmetic saturates: a life of
/// [`NEVER`] ends at [`Timestamp::FAR`], which no clock reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);
    /// A reading later than every other.
    pub const FAR: Self = Self(u64::MAX);

    /// Returns the reading this many nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the reading this much later, at most [`Timestamp::FAR`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// Returns the reading this much earlier, at least [`Timestamp::ZERO`].
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// Returns the time from `earlier` to this reading. Zero if `earlier` is later, [`NEVER`] from
    /// anywhere to [`Timestamp::FAR`].
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        if self == Self::FAR {
            return NEVER;
        }
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A reading of a store's own clock: microseconds since that store's origin.
///
/// All nodes that share a store agree on it; see [`Backend::clock`](crate::Backend::clock).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreTime(i64);

impl StoreTime {
    /// Returns the reading this many microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

/// A random id of one life of a store. A restart, failover or restore changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(u128);

impl Incarnation {
    /// Returns the incarnation with this id.
    #[must_use]
    pub const fn new(id: u128) -> Self {
        Self(id)
    }
}

/// A source of time that can also sleep.
///
/// Everything that depends on time (lives, timeouts, back-off, refresh, sweeps) goes through one
/// clock, so a manual clock makes tests instant. Implementations are monotonic: stepping the wall
/// clock has no effect. A clock that counts suspended time keeps lives honest over a laptop's
/// sleep.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns the exact reading. Never goes backwards. Asked under locks: it must not call a
    /// cache.
    fn now(&self) -> Timestamp;

    /// Returns a cheap reading, at most 16 ms behind [`now`](Clock::now). Defaults to the exact
    /// one.
    fn coarse(&self) -> Timestamp {
        self.now()
    }

    /// Returns the wall clock's time since 1970, if this clock knows it. Defaults to none.
    ///
    /// The wall clock can be stepped in any direction, so no life is reckoned by it, except for the
    /// time between the save of a snapshot and its restore.
    fn wall(&self) -> Option<Duration> {
        None
    }

    /// Waits at least this long.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait and leaves nothing behind.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Takes over a periodic sweep. The clock calls the sweep whenever time moves, until it is
    /// gone.
    ///
    /// A manual clock answers true. The default is false: time passes by itself, and the owner of
    /// the sweep runs it from a thread.
    fn drive(&self, sweep: Weak<dyn Sweep>) -> bool {
        let _ = sweep;
        false
    }
}

/// A periodic task, such as dropping dead entries.
pub trait Sweep: Send + Sync {
    /// Does the work that is due now. Called without any lock held.
    fn sweep(&self);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{NEVER, Timestamp};

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::from_nanos(5).after(NEVER), Timestamp::FAR);
        assert_eq!(Timestamp::ZERO.before(second), Timestamp::ZERO);
        assert_eq!(Timestamp::ZERO.since(Timestamp::from_nanos(5)), Duration::ZERO);
        assert_eq!(Timestamp::FAR.since(Timestamp::from_nanos(5)), NEVER);
    }
}
