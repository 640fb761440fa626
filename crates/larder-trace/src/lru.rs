//! Least recently used.

use std::fmt;

use foldhash::fast::RandomState;
use lru::LruCache;

use crate::policy::Policy;

/// A cache of the ids that were asked for last. At capacity 0 it keeps nothing.
pub struct Lru {
    ids: LruCache<u32, (), RandomState>,
    capacity: usize,
}

impl Lru {
    /// Returns an empty cache for this many ids.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        // The bound is kept here, because `LruCache` would take the memory for its own bound at
        // once.
        Self { ids: LruCache::unbounded_with_hasher(RandomState::default()), capacity }
    }
}

impl Policy for Lru {
    fn access(&mut self, id: u32) -> bool {
        if self.ids.put(id, ()).is_some() {
            return true;
        }
        if self.ids.len() > self.capacity {
            self.ids.pop_lru();
        }
        false
    }

    fn len(&self) -> usize {
        self.ids.len()
    }
}

impl fmt::Debug for Lru {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lru")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
