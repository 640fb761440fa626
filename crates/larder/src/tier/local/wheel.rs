//! The times at which hashes are to be visited again.
//!
//! The wheel has buckets of hashes by tick, with no copies of keys. Invariant: every entry that can
//! become dead by time has its hash in a bucket at most as late as the tick of its death. An entry
//! that is replaced by one that dies later, or whose life is extended, therefore pushes nothing:
//! the old place comes first and leads to the new one. A place whose entry is gone is noticed when
//! its tick comes, or when there are so many that the wheel is made anew.

use std::collections::BTreeMap;

use larder_core::Timestamp;

use crate::support::sync::atomic::{AtomicUsize, Ordering};
use crate::support::sync::{Mutex, lock};

/// The buckets, in a few parts so that writers seldom wait for each other. The locks are leaves.
pub(super) struct Wheel {
    parts: [Mutex<BTreeMap<u64, Vec<u64>>>; PARTS],
    len: AtomicUsize,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { parts: Default::default(), len: AtomicUsize::new(0) }
    }

    /// Returns the number of hashes, including those of entries that are gone.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Schedules a visit of the hash for this time.
    pub(super) fn push(&self, hash: u64, due: Timestamp) {
        let tick = due.as_nanos().div_ceil(TICK_NANOS);
        self.len.fetch_add(1, Ordering::Relaxed);
        lock(self.part(hash)).entry(tick).or_default().push(hash);
    }

    /// Takes one bucket whose time has come: its hashes, sorted and each once.
    pub(super) fn take_due(&self, now: Timestamp) -> Option<Vec<u64>> {
        let mut hashes = self.parts.iter().find_map(|part| {
            let mut part = lock(part);
            let first = part.first_entry()?;
            (*first.key() <= now.as_nanos() / TICK_NANOS).then(|| first.remove())
        })?;
        self.len.fetch_sub(hashes.len(), Ordering::Relaxed);
        // Keys that share a hash are visited together: a push for each of them would double their
        // number every time.
        hashes.sort_unstable();
        hashes.dedup();
        Some(hashes)
    }

    /// Removes all hashes. The caller then pushes every entry that is there.
    pub(super) fn clear(&self) {
        for part in &self.parts {
            let buckets = std::mem::take(&mut *lock(part));
            let count = buckets.values().map(Vec::len).sum();
            self.len.fetch_sub(count, Ordering::Relaxed);
        }
    }

    fn part(&self, hash: u64) -> &Mutex<BTreeMap<u64, Vec<u64>>> {
        let index = usize::try_from(hash >> 48).unwrap_or(0) % PARTS;
        self.parts.get(index).unwrap_or(&self.parts[0])
    }
}

const PARTS: usize = 8;

/// About an eighth of a second, by a shift.
const TICK_NANOS: u64 = 1 << 27;

#[cfg(test)]
mod tests {
    use larder_core::Timestamp;

    use super::{TICK_NANOS, Wheel};

    #[test]
    fn a_hash_is_due_when_its_time_has_come_and_not_before() {
        let wheel = Wheel::new();
        let due = Timestamp::from_nanos(10 * TICK_NANOS - 1);
        wheel.push(7, due);
        wheel.push(7, due);
        assert!(wheel.take_due(Timestamp::from_nanos(10 * TICK_NANOS - 2)).is_none());
        assert_eq!(wheel.take_due(Timestamp::from_nanos(10 * TICK_NANOS)), Some(vec![7]));
        assert!(wheel.take_due(Timestamp::FAR).is_none());
        assert_eq!(wheel.len(), 0);
    }
}
