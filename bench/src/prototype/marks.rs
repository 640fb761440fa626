//! The marks of entries that are nothing but marks.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use super::body::{Entries, MOST_HITS};

/// Entries of which only the hits are kept.
#[derive(Clone, Debug, Default)]
pub struct Marks(HashMap<u64, u8, PassThrough>);

impl Marks {
    /// Marks a hit, if the entry is there.
    pub fn hit(&mut self, hash: u64) -> bool {
        let Some(hits) = self.0.get_mut(&hash) else { return false };
        *hits = (*hits + 1).min(MOST_HITS);
        true
    }

    /// Puts what is not there.
    pub fn put(&mut self, hash: u64) {
        self.0.insert(hash, 0);
    }

    /// Takes an entry out, behind the back of its policy.
    pub fn remove(&mut self, hash: u64) {
        self.0.remove(&hash);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Entries for Marks {
    fn change_hits(&mut self, hash: u64, change: impl FnOnce(u8) -> u8) -> Option<u8> {
        let hits = self.0.get_mut(&hash)?;
        Some(std::mem::replace(hits, change(*hits)))
    }

    fn evict(&mut self, hash: u64) {
        self.remove(hash);
    }
}

/// Hashes what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough;

impl BuildHasher for PassThrough {
    type Hasher = Passed;

    fn build_hasher(&self) -> Passed {
        Passed(0)
    }
}

/// A hash on its way.
#[derive(Debug)]
pub struct Passed(u64);

impl Hasher for Passed {
    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.is_empty(), "only hashes are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
