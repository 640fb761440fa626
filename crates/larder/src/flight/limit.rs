//! A limit on the loaders that run at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::runtime::{Permit, Semaphore, Slice};

/// Slots with permits: a load takes a permit of its key's slot.
#[derive(Clone)]
pub(crate) struct LoadLimit {
    slots: Arc<[Semaphore]>,
}

impl LoadLimit {
    /// Allows this many loaders at once.
    pub(crate) fn at_most(loads: usize) -> Self {
        Self { slots: Arc::new([Semaphore::new(loads.min(Semaphore::MAX_PERMITS))]) }
    }

    /// Allows one loader at once for all keys that share one of this many slots.
    pub(crate) fn slots(count: usize) -> Self {
        Self { slots: (0..count).map(|_| Semaphore::new(1)).collect() }
    }

    /// Waits for the permit of a key's load.
    pub(crate) async fn one(&self, hash: u64) -> Option<Permit<'_>> {
        self.slots.get(self.slot(hash))?.acquire().await.ok()
    }

    /// Waits for the permits of a load of many keys, in the order of the slots, so that no two such
    /// loads wait for each other.
    pub(crate) async fn all(&self, hashes: impl Iterator<Item = u64>) -> Vec<Permit<'_>> {
        let (mut slots, mut slice) = (BTreeSet::new(), Slice::begin());
        for hash in hashes {
            slots.insert(self.slot(hash));
            slice.pause().await;
        }
        let mut permits = Vec::with_capacity(slots.len());
        for slot in slots.into_iter().filter_map(|slot| self.slots.get(slot)) {
            permits.extend(slot.acquire().await.ok());
        }
        permits
    }

    fn slot(&self, hash: u64) -> usize {
        // The engine takes its shards, and the flights their stripes, from other bits.
        usize::try_from((hash >> 16) % self.slots.len().max(1) as u64).unwrap_or(0)
    }
}
