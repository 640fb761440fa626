//! Reading the time: the system's clock, and the source that the hot path reads.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder_core::{Clock, Timestamp};

/// The system's monotonic clock, which counts suspended time.
///
/// Stepping the wall clock has no effect. On Linux the exact reading is `CLOCK_BOOTTIME`, and the
/// coarse one, at most 16 ms behind, is `CLOCK_MONOTONIC_COARSE` moved by the time spent suspended.
/// Elsewhere both are the standard library's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Returns the exact reading.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(ORIGIN + source::now())
    }

    /// Returns a cheap reading, at most 16 ms behind the exact one.
    ///
    /// Right after the machine was suspended it lacks that time until the next exact reading.
    #[inline]
    #[must_use]
    pub fn coarse(&self) -> Timestamp {
        Timestamp::from_nanos(ORIGIN + source::coarse())
    }

    /// Returns the wall clock's time since 1970; zero before that.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that asks the system")]
    pub(crate) fn wall() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// The clock of a cache. An enum, because a virtual call costs a hit more than the reading does.
#[derive(Clone)]
pub(crate) enum LocalClock {
    /// The system's clock.
    System,
    /// The clock that the cache was built with.
    Injected(Arc<dyn Clock>),
}

impl LocalClock {
    #[inline]
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::System => SystemClock.now(),
            Self::Injected(clock) => clock.now(),
        }
    }

    #[inline]
    pub(crate) fn coarse(&self) -> Timestamp {
        match self {
            Self::System => SystemClock.coarse(),
            Self::Injected(clock) => clock.coarse(),
        }
    }

    /// Returns the clock for code that takes any clock.
    pub(crate) fn shared(&self) -> Arc<dyn Clock> {
        match self {
            Self::System => Arc::new(SystemClock),
            Self::Injected(clock) => Arc::clone(clock),
        }
    }

    /// Returns the wall clock's time since 1970, if the clock knows it.
    pub(crate) fn wall(&self) -> Option<Duration> {
        match self {
            Self::System => Some(SystemClock::wall()),
            Self::Injected(clock) => clock.wall(),
        }
    }

    /// True if this reading still lies ahead. Reads the coarse clock first, the exact one in the
    /// last 16 ms, and no clock for a time that never comes.
    #[inline]
    pub(crate) fn is_before(&self, reading: Timestamp) -> bool {
        reading == Timestamp::FAR
            || reading.as_nanos() > self.coarse().as_nanos().saturating_add(COARSE_NANOS)
            || reading > self.now()
    }
}

impl fmt::Debug for LocalClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => SystemClock.fmt(f),
            Self::Injected(clock) => clock.fmt(f),
        }
    }
}

/// The first reading. A record of another process may be older than this machine's last start, and
/// its age is reckoned back from now. 2⁶² nanoseconds are 146 years.
const ORIGIN: u64 = 1 << 62;

/// The most that a coarse reading may be behind.
const COARSE_NANOS: u64 = 16_000_000;

#[cfg(target_os = "linux")]
mod source {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::time::{ClockId, Timespec, clock_gettime};

    use super::COARSE_NANOS;

    /// The time this machine has been suspended. It is one number for the whole kernel, stored
    /// because no coarse clock counts it. Each measurement is at most the truth, so the largest is
    /// best.
    static SUSPENDED: AtomicU64 = AtomicU64::new(0);

    #[inline]
    pub(super) fn now() -> u64 {
        let now = nanos(clock_gettime(ClockId::Boottime));
        if now.saturating_sub(coarse()) > COARSE_NANOS {
            measure();
        }
        now
    }

    #[inline]
    pub(super) fn coarse() -> u64 {
        let running = nanos(clock_gettime(ClockId::MonotonicCoarse));
        running + SUSPENDED.load(Ordering::Relaxed)
    }

    #[cold]
    fn measure() {
        let with_suspended = nanos(clock_gettime(ClockId::Boottime));
        let without = nanos(clock_gettime(ClockId::Monotonic));
        SUSPENDED.fetch_max(with_suspended.saturating_sub(without), Ordering::Relaxed);
    }

    #[inline]
    fn nanos(time: Timespec) -> u64 {
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }
}

#[cfg(not(target_os = "linux"))]
mod source {
    use std::sync::OnceLock;
    use std::time::Instant;

    static ORIGIN: OnceLock<Instant> = OnceLock::new();

    #[expect(clippy::disallowed_methods, reason = "this is the clock that asks the system")]
    pub(super) fn now() -> u64 {
        let origin = *ORIGIN.get_or_init(Instant::now);
        u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn coarse() -> u64 {
        now()
    }
}

#[cfg(test)]
mod tests {
    use super::SystemClock;

    #[test]
    fn the_coarse_reading_is_never_ahead_and_little_behind() {
        let _ = SystemClock.now();
        let worst = (0..1_000)
            .map(|_| {
                let coarse = SystemClock.coarse();
                let now = SystemClock.now();
                assert!(coarse <= now);
                now.since(coarse)
            })
            .min();
        assert!(worst.unwrap() < std::time::Duration::from_millis(16));
    }
}
