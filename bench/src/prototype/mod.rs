//! The ground for an engine of our own: policies that work on the write side only.
//!
//! A hit leaves a mark on its entry and moves nothing. The policies find the marks when they look
//! for what has to leave. [`Simulated`] plays them over traces; the cache uses the very same.

pub mod body;
pub mod cache;
pub mod ghost;
pub mod marks;
pub mod mixture;
pub mod s3_fifo;
pub mod shadow;
pub mod simulated;
pub mod sketch;
pub mod tiny_lfu;

pub use self::body::Entries;
pub use self::cache::OwnCache;
pub use self::mixture::Mixture;
pub use self::s3_fifo::S3Fifo;
pub use self::simulated::Simulated;
pub use self::tiny_lfu::TinyLfu;

/// Who leaves when there is no room.
pub trait Eviction {
    /// A policy for so many entries.
    fn new(capacity: usize) -> Self;

    /// Takes in a new entry, and evicts what there is no room for.
    fn insert(&mut self, hash: u64, entries: &mut impl Entries);

    /// Learns that a sampled key was asked for, and whether it was there.
    fn sample(&mut self, hash: u64, was_there: bool);

    /// Of how many keys one is [sampled](is_sampled), a power of two. Nothing if it needs none.
    fn one_in(&self) -> Option<u64>;

    /// How many entries it knows of, with those that are gone from the map and not yet met.
    #[cfg(test)]
    fn len(&self) -> usize;
}

/// Whether this key is one of those of which one in so many is sampled.
pub const fn is_sampled(hash: u64, one_in: u64) -> bool {
    (hash >> 40) & (one_in - 1) == 0
}

/// A number without a pattern for each number (`splitmix64`).
pub const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
