//! Least recently used.

use std::fmt;

use foldhash::fast::RandomState;
use lru::LruCache;

use crate::policy::Policy;

/// Keeps what was asked for last, and nothing at capacity 0.
pub struct Lru {
    ids: LruCache<u32, (), RandomState>,
    capacity: usize,
}

impl Lru {
    /// An empty one for so many ids.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        // Bounded here, not there: a bound there is memory taken at once.
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
