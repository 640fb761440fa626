//! Waiting for other processes and threads: until a moment, with pauses that do not grow.
//!
//! SQLite's own waiting looks ever more rarely, so that a process that has waited for long is
//! overtaken by one that has just come. Here all waiters look equally often.

use std::time::Duration;

use crate::time::clock::coarse;

/// The end of a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until(i64);

impl Until {
    pub(crate) fn after(timeout: Duration) -> Self {
        Self(coarse().saturating_add(i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns this end, or an earlier one after this time.
    pub(crate) fn or_after(self, timeout: Duration) -> Self {
        Self(self.0.min(Self::after(timeout).0))
    }

    /// Returns this end, or a later one after this time.
    pub(crate) fn at_least(self, timeout: Duration) -> Self {
        Self(self.0.max(Self::after(timeout).0))
    }

    pub(crate) fn is_over(self) -> bool {
        coarse() >= self.0
    }

    pub(crate) fn left(self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - coarse()).unwrap_or(0))
    }

    /// Tries at once, and again until there is a result or the time is over. The last try is after
    /// the end, however long a pause has lasted.
    pub(crate) fn wait_for<T>(self, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            if let Some(done) = attempt() {
                return Some(done);
            }
            if self.is_over() {
                return None;
            }
            pause(PAUSE);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for another process's lock, not for a clock")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// A transaction takes less. A wait for a long one costs a hundredth of a processor.
const PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Until;

    #[test]
    fn who_waits_for_no_time_tries_once() {
        let mut tries = 0;
        let came = Until::after(Duration::ZERO).wait_for(|| {
            tries += 1;
            None::<()>
        });
        assert_eq!((came, tries), (None, 1));
    }

    #[test]
    fn who_waits_tries_until_it_comes_to_something() {
        let mut tries = 0;
        let came = Until::after(Duration::MAX).wait_for(|| {
            tries += 1;
            (tries == 3).then_some("done")
        });
        assert_eq!((came, tries), (Some("done"), 3));
    }

    #[test]
    fn the_sooner_moment_counts() {
        let long = Until::after(Duration::from_secs(3_600));
        assert!(long.or_after(Duration::ZERO).is_over());
        assert!(!long.is_over() && Until::after(Duration::ZERO).or_after(Duration::MAX).is_over());
        assert!(long.left() > Duration::from_secs(3_000));
        assert!(!Until::after(Duration::ZERO).at_least(Duration::MAX).is_over());
    }
}
