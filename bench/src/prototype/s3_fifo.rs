//! S3-FIFO.

use super::Eviction;
use super::body::{Admission, Body, Entries, Rules};

/// A small queue of a tenth, a main queue and a ghost (Yang et al., "FIFO queues are all you need for
/// cache eviction", SOSP 2023).
///
/// One thing is different: what overflows the small queue while there is room for all goes on to
/// the main queue. The loop that is larger than the cache is then kept in part, not lost as a whole.
#[derive(Clone, Debug)]
pub struct S3Fifo(Body);

impl Eviction for S3Fifo {
    fn new(capacity: usize) -> Self {
        Self(Body::new(capacity, Rules { window: 0.1, admission: Admission::Reuse }))
    }

    fn insert(&mut self, hash: u64, entries: &mut impl Entries) {
        self.0.insert(hash, entries);
    }

    fn sample(&mut self, _: u64, _: bool) {}

    fn one_in(&self) -> Option<u64> {
        None
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}
