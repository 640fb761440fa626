//! Metadata of entries.

use std::sync::Arc;
use std::time::Duration;

use larder_core::Life;

/// Metadata of one entry, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryInfo {
    /// Freshness of the entry: fresh, or stale and inside grace.
    pub life: Life,
    /// Mark of a known absence: the entry says that there is no value.
    pub is_absent: bool,
    /// Time since the entry was written. A [`LocalCache`](crate::LocalCache) does not keep it.
    pub age: Option<Duration>,
    /// Time until the entry stops being fresh. Zero if it is stale,
    /// [`NEVER`](crate::backend::NEVER) if it stays fresh.
    pub ttl_left: Duration,
    /// Time until the entry is gone, its idle time aside. [`NEVER`](crate::backend::NEVER) if it is
    /// kept without end.
    pub kept_left: Duration,
    /// Tags of the entry.
    pub tags: Vec<Arc<str>>,
    /// Tier in which the entry was found.
    pub tier: Tier,
}

/// A level of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// Typed values in this process.
    Local,
    /// The shared backend.
    Shared,
}
