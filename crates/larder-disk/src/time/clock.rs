//! The store's clock: one for all processes of the host, moved by no change of the wall clock.
//!
//! Within one start of the machine it is the kernel's clock since that start, which counts
//! suspended time and cannot be set, plus an offset that the first process to open the store has
//! written down. After another start the offset is chosen anew: the time for which the machine was
//! down is the file system's time that has passed, and never less than zero.

use std::sync::Arc;

use larder_core::{Clock, StoreTime};

/// The source of the store's time.
#[derive(Clone, Debug)]
pub(crate) enum StoreClock {
    /// The kernel's clock since its start, moved by this many microseconds.
    Host { offset: i64 },
    /// The clock that a test moves.
    Injected(Arc<dyn Clock>),
}

impl StoreClock {
    /// Returns the clock that was injected, else the host's.
    pub(crate) fn of(anchor: &Anchor, injected: Option<&Arc<dyn Clock>>) -> Self {
        match injected {
            Some(clock) => Self::Injected(Arc::clone(clock)),
            None => Self::Host { offset: anchor.offset },
        }
    }

    pub(crate) fn now(&self) -> StoreTime {
        StoreTime::from_micros(match self {
            Self::Host { offset } => source::since_start().saturating_add(*offset),
            Self::Injected(clock) => {
                i64::try_from(clock.now().as_nanos() / 1_000).unwrap_or(i64::MAX)
            }
        })
    }
}

/// Returns the microseconds of a clock that is cheap to read, for intervals within this process.
pub(crate) fn coarse() -> i64 {
    source::coarse()
}

/// Returns the microseconds of a clock that is exact, for intervals within this process.
pub(crate) fn exact() -> i64 {
    source::since_start()
}

/// The tie between the store's time and one start of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The machine's start: its id, empty if the kernel tells none.
    pub(crate) start: String,
    /// The microseconds that are added to the time since that start.
    pub(crate) offset: i64,
}

impl Anchor {
    /// Returns the anchor for this start of the machine. `created` is the file system's time of the
    /// store's creation, which is its time zero; `last` is a store time that has surely passed.
    pub(crate) fn renewed(created: i64, file_system_now: i64, last: i64) -> Self {
        Self::at(source::start(), source::since_start(), file_system_now - created, last)
    }

    fn at(start: String, since_start: i64, passed: i64, last: i64) -> Self {
        Self { start, offset: passed.max(last).max(0) - since_start }
    }

    /// True if the anchor is of the present start of the machine.
    pub(crate) fn is_current(&self) -> bool {
        !self.start.is_empty() && self.start == source::start()
    }
}

#[cfg(target_os = "linux")]
mod source {
    use rustix::time::{ClockId, clock_gettime};

    /// Returns the id of this start of the machine.
    pub(super) fn start() -> String {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
        // A container may count from another origin, which makes it another start.
        if id.is_empty() { id } else { format!("{} {}", id.trim(), namespace.display()) }
    }

    pub(super) fn since_start() -> i64 {
        micros(ClockId::Boottime)
    }

    pub(super) fn coarse() -> i64 {
        micros(ClockId::MonotonicCoarse)
    }

    fn micros(clock: ClockId) -> i64 {
        let time = clock_gettime(clock);
        time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
    }
}

#[cfg(not(target_os = "linux"))]
mod source {
    use std::sync::OnceLock;
    use std::time::Instant;

    static ORIGIN: OnceLock<Instant> = OnceLock::new();

    /// Returns an empty id: each process anchors itself to the file system's clock when it opens
    /// the store.
    pub(super) fn start() -> String {
        String::new()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that asks the system")]
    pub(super) fn since_start() -> i64 {
        let origin = *ORIGIN.get_or_init(Instant::now);
        i64::try_from(origin.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    pub(super) fn coarse() -> i64 {
        since_start()
    }
}

#[cfg(test)]
mod tests {
    use super::Anchor;

    const HOUR: i64 = 3_600_000_000;

    fn store_time(passed: i64, last: i64, since_start: i64) -> i64 {
        let anchor = Anchor::at("two".into(), since_start, passed, last);
        anchor.offset + since_start
    }

    #[test]
    fn f13_time_while_the_machine_was_down_has_passed() {
        assert_eq!(store_time(5 * HOUR, 3 * HOUR, 17), 5 * HOUR);
    }

    #[test]
    fn f13_a_wall_clock_set_back_while_down_never_takes_time_back() {
        for passed in [2 * HOUR, 0, -50 * 365 * 24 * HOUR] {
            assert_eq!(store_time(passed, 3 * HOUR, 17), 3 * HOUR);
        }
    }

    #[test]
    fn f13_a_wall_clock_of_the_future_ends_lives_and_overflows_nothing() {
        let in_2106 = 140 * 365 * 24 * HOUR;
        assert_eq!(store_time(in_2106, 3 * HOUR, i64::MAX / 2), in_2106);
    }
}
