//! The speed of reads: quick ones are made on the caller's thread.
//!
//! A read of a page that the system has in memory takes microseconds, less than a hand-over to
//! another thread. A read that waits for a disk holds up every task of the caller's thread, and no
//! timeout of those tasks can end it. Nothing tells the two apart beforehand, so a read is made
//! there only right after others have been quick. A reading thread makes any other read, and
//! measures it.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// The length of a read on a disk that is not slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// The read takes microseconds: it shows whether the disk is slow.
    Short,
    /// The read takes as long as there is something to read.
    Any,
}

/// The speed of the last small reads.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The end of the time for which the last quick read says something about the next.
    quick_until: AtomicI64,
    /// The number of quick reads in a row that are still needed after a slow one.
    wanted: AtomicU32,
    /// The end of the time for which a very slow read counts, whatever came after it.
    slow_until: AtomicI64,
}

impl Pace {
    /// True if a read at this time may be made on the caller's thread.
    pub(crate) fn is_quick(&self, now: i64) -> bool {
        now < self.quick_until.load(Ordering::Relaxed)
            && now >= self.slow_until.load(Ordering::Relaxed)
            && self.wanted.load(Ordering::Relaxed) == 0
    }

    /// Notes a read by its begin and its end.
    pub(crate) fn note(&self, began: i64, ended: i64) {
        let took = ended - began;
        if took > VERY_SLOW {
            self.slow_until.fetch_max(ended + took.saturating_mul(10), Ordering::Relaxed);
        }
        if took > SLOW {
            self.wanted.store(QUICK_READS, Ordering::Relaxed);
        } else {
            self.quick_until.fetch_max(ended + TRUSTED, Ordering::Relaxed);
            if self.wanted.load(Ordering::Relaxed) > 0 {
                let less = |wanted: u32| Some(wanted.saturating_sub(1));
                let _ = self.wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
        }
    }
}

/// Microseconds. A thread that waits for a processor can take as long now and then, so a few quick
/// reads are enough to forget it.
const SLOW: i64 = 5_000;
/// Microseconds. No wait for a processor takes as long: the disk is stuck, though some reads do not
/// need it.
const VERY_SLOW: i64 = 50_000;
/// Microseconds. If reads are closer together than this, a hand-over for each would cost too much.
const TRUSTED: i64 = 5_000;
const QUICK_READS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::{Pace, QUICK_READS, SLOW, TRUSTED, VERY_SLOW};

    #[test]
    fn a_read_is_made_on_the_callers_thread_only_right_after_a_quick_one() {
        let pace = Pace::default();
        assert!(!pace.is_quick(1_000_000), "nothing is known yet");
        pace.note(1_000_000, 1_000_010);
        assert!(pace.is_quick(1_000_010 + TRUSTED - 1));
        assert!(!pace.is_quick(1_000_010 + TRUSTED));
    }

    #[test]
    fn after_a_slow_read_several_quick_ones_in_a_row_are_wanted() {
        let pace = Pace::default();
        let mut now = 0;
        pace.note(now, now + SLOW + 1);
        for count in 0..QUICK_READS {
            assert!(!pace.is_quick(now), "{count}");
            now += SLOW + 10;
            pace.note(now, now + 10);
        }
        assert!(pace.is_quick(now));
    }

    #[test]
    fn after_a_very_slow_read_quick_ones_prove_nothing_for_ten_times_as_long() {
        let pace = Pace::default();
        let took = VERY_SLOW + 1;
        pace.note(0, took);
        for now in (took..11 * took).step_by(usize::try_from(TRUSTED / 2).unwrap()) {
            assert!(!pace.is_quick(now));
            pace.note(now, now + 10);
        }
        pace.note(11 * took, 11 * took + 10);
        assert!(pace.is_quick(11 * took + 10));
    }
}
