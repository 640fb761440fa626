//! The bound of a store in bytes on disk, its division, and the room within it.
//!
//! The bound belongs to the store: it is a column of the store's own row, and every transaction
//! reads it there.

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) mod claim;
mod evict;
pub(crate) mod room;

/// The most bytes of the database, its log and the log's index; none for no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound(pub(crate) Option<u64>);

impl Bound {
    /// The bound of a new store if the configuration names none.
    pub(crate) const DEFAULT: Self = Self(Some(1 << 30));

    /// Reads the bound from the store's row. None for a number that no version has written.
    pub(crate) fn from_column(max_bytes: Option<i64>) -> Option<Self> {
        let bound = Self(max_bytes.map(|bytes| u64::try_from(bytes).unwrap_or(0)));
        bound.is_possible().then_some(bound)
    }

    pub(crate) fn column(self) -> Option<i64> {
        self.0.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
    }

    /// True if a store can work within this bound.
    pub(crate) fn is_possible(self) -> bool {
        self.0.is_none_or(|bytes| bytes >= MIN_BYTES)
    }

    /// Returns the share of the write-ahead log.
    pub(crate) fn log_bytes(self) -> u64 {
        self.0.map_or(MAX_LOG_BYTES, |max| {
            (max / 6).clamp((max / 4).min(MIN_LOG_BYTES), MAX_LOG_BYTES)
        })
    }

    /// Returns the bytes that a transaction may add to the log, unless one value alone is larger.
    pub(crate) fn transaction_bytes(self) -> u64 {
        self.log_bytes() / 2
    }

    /// Returns the number of records that a transaction may touch that only makes room.
    pub(crate) fn records_per_step(self) -> u64 {
        Self::records_in(self.transaction_bytes())
    }

    /// Returns the number of records that a transaction may touch within this many bytes of log.
    pub(crate) fn records_in(log_bytes: u64) -> u64 {
        ((log_bytes / FRAME_BYTES).saturating_sub(2) / FRAMES_PER_RECORD).max(1)
    }

    /// Returns the longest value that the store takes.
    pub(crate) fn max_value_bytes(self) -> u64 {
        self.0.map_or(MAX_VALUE_BYTES, |max| MAX_VALUE_BYTES.min(max / 4))
    }
}

/// Returns the bytes of the log's index (`-shm`) for a log of this many bytes.
pub(crate) const fn index_bytes(log_bytes: u64) -> u64 {
    INDEX_BYTES * (1 + log_bytes / (FRAMES_PER_INDEX * FRAME_BYTES))
}

/// A bound that threads share.
#[derive(Debug)]
pub(crate) struct SharedBound(AtomicU64);

impl SharedBound {
    pub(crate) fn new(bound: Bound) -> Self {
        Self(AtomicU64::new(bound.0.unwrap_or(u64::MAX)))
    }

    pub(crate) fn get(&self) -> Bound {
        Bound(Some(self.0.load(Ordering::Relaxed)).filter(|bytes| *bytes != u64::MAX))
    }

    pub(crate) fn set(&self, bound: Bound) {
        self.0.store(bound.0.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The size of a page: SQLite's default, and the file system's block.
pub(crate) const PAGE_BYTES: u64 = 4_096;
/// A page in the log, with its header.
pub(crate) const FRAME_BYTES: u64 = PAGE_BYTES + 24;
/// The pages that a change of one record touches beside its payload: the row's and one of each
/// index.
pub(crate) const FRAMES_PER_RECORD: u64 = 3;
/// The tables without records, a value of a quarter of the bound, and the log that it needs.
const MIN_BYTES: u64 = 256 << 10;
/// With less, every few changes would have to wait for the log to be emptied.
const MIN_LOG_BYTES: u64 = 32 * PAGE_BYTES;
const MAX_LOG_BYTES: u64 = 16 << 20;
/// SQLite takes no longer rows.
const MAX_VALUE_BYTES: u64 = 999_000_000;
/// A block of the log's index, and about how many frames one block lists.
const INDEX_BYTES: u64 = 32 << 10;
const FRAMES_PER_INDEX: u64 = 4_096;
