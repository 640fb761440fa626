//! The records that were read, until the writing thread notes them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Records that were read and that eviction takes for unused, until the writing thread notes them.
#[derive(Default)]
pub(crate) struct Uses {
    is_wanted: AtomicBool,
    ids: Mutex<HashSet<i64>>,
}

impl Uses {
    /// Sets whether uses matter: they do not while more than half of the room is free.
    pub(crate) fn set_wanted(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Relaxed);
    }

    /// Adds a use. True if the uses fill up to the number that is noted at once.
    pub(crate) fn add(&self, id: i64) -> bool {
        if !self.is_wanted.load(Ordering::Relaxed) {
            return false;
        }
        let mut ids = self.lock();
        ids.len() < MAX_MARKS && ids.insert(id) && ids.len() == MAX_MARKS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn take(&self) -> Vec<i64> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MAX_MARKS: usize = 1_024;
