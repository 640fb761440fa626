//! Statistics of a cache.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::thread_index::{self, MOST};

/// Statistics of a cache since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Reads answered with a fresh value.
    pub hits: u64,
    /// Reads answered with a stale value.
    pub stale_hits: u64,
    /// Reads that found nothing here to answer with: a load answered, or nothing did.
    pub misses: u64,
    /// Loads begun.
    pub loads: u64,
    /// Loads that failed or panicked.
    pub load_failures: u64,
    /// Callers that joined another caller's load. They count as hit or miss as well.
    pub coalesced: u64,
    /// Entries that were evicted to make room.
    pub evicted: u64,
    /// Entries that left because their time, or their idle time, had run out.
    pub expired: u64,
    /// Entries that left for a newer value.
    pub replaced: u64,
    /// Entries that left because they were removed or invalidated.
    pub removed: u64,
    /// Values that were too heavy to be stored at all.
    pub rejected: u64,
    /// Calls of the listener that panicked.
    pub listener_panics: u64,
}

impl Stats {
    /// The share of reads answered with a fresh or stale value, zero before the first read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 52 bits")]
    pub fn hit_ratio(&self) -> f64 {
        let hits = self.hits + self.stale_hits;
        match hits + self.misses {
            0 => 0.0,
            reads => hits as f64 / reads as f64,
        }
    }
}

/// A number that is counted.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Hits,
    StaleHits,
    Misses,
    Loads,
    LoadFailures,
    Coalesced,
    Evicted,
    Expired,
    Replaced,
    Removed,
    Rejected,
    ListenerPanics,
}

/// Counters that each thread keeps for itself, so that a hit writes to no shared line.
pub(crate) struct Counters {
    /// The counters by thread index.
    own: Box<[OnceLock<Box<Numbers>>]>,
    /// The counters of threads without an index of their own.
    shared: Numbers,
}

/// A number for each count, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
struct Numbers([AtomicU64; COUNTS]);

impl Default for Counters {
    fn default() -> Self {
        let own = (0..MOST).map(|_| OnceLock::new()).collect();
        Self { own, shared: Numbers::default() }
    }
}

impl Counters {
    /// Adds one to a count.
    #[inline]
    pub(crate) fn add(&self, count: Count) {
        match self.own.get(thread_index::of_this_thread()) {
            Some(own) => own.get_or_init(Box::default).add_alone(count),
            None => self.shared.add(count),
        }
    }

    #[inline]
    pub(crate) fn hit(&self) {
        self.add(Count::Hits);
    }

    pub(crate) fn stale_hit(&self) {
        self.add(Count::StaleHits);
    }

    pub(crate) fn miss(&self) {
        self.add(Count::Misses);
    }

    pub(crate) fn load(&self) {
        self.add(Count::Loads);
    }

    pub(crate) fn load_failure(&self) {
        self.add(Count::LoadFailures);
    }

    pub(crate) fn coalesced(&self) {
        self.add(Count::Coalesced);
    }

    /// Returns the sums over all threads, those that have ended included.
    pub(crate) fn snapshot(&self) -> Stats {
        let sum = |count: Count| {
            let own = self.own.iter().filter_map(OnceLock::get).map(|numbers| numbers.get(count));
            own.sum::<u64>() + self.shared.get(count)
        };
        Stats {
            hits: sum(Count::Hits),
            stale_hits: sum(Count::StaleHits),
            misses: sum(Count::Misses),
            loads: sum(Count::Loads),
            load_failures: sum(Count::LoadFailures),
            coalesced: sum(Count::Coalesced),
            evicted: sum(Count::Evicted),
            expired: sum(Count::Expired),
            replaced: sum(Count::Replaced),
            removed: sum(Count::Removed),
            rejected: sum(Count::Rejected),
            listener_panics: sum(Count::ListenerPanics),
        }
    }
}

impl Numbers {
    /// Adds one where no other thread does: a load and a store lose nothing.
    #[inline]
    fn add_alone(&self, count: Count) {
        if let Some(number) = self.0.get(count as usize) {
            number.store(number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    fn add(&self, count: Count) {
        if let Some(number) = self.0.get(count as usize) {
            number.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn get(&self, count: Count) -> u64 {
        self.0.get(count as usize).map_or(0, |number| number.load(Ordering::Relaxed))
    }
}

const COUNTS: usize = Count::ListenerPanics as usize + 1;

#[cfg(test)]
mod tests {
    use super::{Count, Counters, MOST};
    use crate::support::sync::lock;
    use crate::support::thread_index::ALONE;

    #[test]
    fn counts_of_threads_that_have_ended_stay() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.add(Count::Hits)));
            }
        });
        counters.add(Count::Misses);
        let stats = counters.snapshot();
        assert_eq!((stats.hits, stats.misses), (8_000, 1));
        assert!((stats.hit_ratio() - 8_000.0 / 8_001.0).abs() < 1e-12);
    }

    #[test]
    fn counts_of_more_threads_than_there_are_indexes_are_not_lost() {
        let _alone = lock(&ALONE);
        let counters = Counters::default();
        let all_there = std::sync::Barrier::new(MOST + 20);
        std::thread::scope(|scope| {
            for _ in 0..MOST + 20 {
                scope.spawn(|| {
                    all_there.wait();
                    (0..1_000).for_each(|_| counters.add(Count::Hits));
                });
            }
        });
        assert_eq!(counters.snapshot().hits, (MOST as u64 + 20) * 1_000);
    }
}
