//! What can be told of an entry.

use std::sync::Arc;
use std::time::Duration;

use larder_core::Life;

/// What a cache knows of an entry, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryInfo {
    /// Whether it is fresh, or stale and inside grace.
    pub life: Life,
    /// Whether it is the knowledge that there is no value.
    pub is_absent: bool,
    /// Time since it was written. A [`LocalCache`](crate::LocalCache) does not keep it.
    pub age: Option<Duration>,
    /// Time until it stops being fresh: zero if it has, [`NEVER`](crate::backend::NEVER) if it
    /// never does.
    pub ttl_left: Duration,
    /// Time until it is gone, its idle time aside: [`NEVER`](crate::backend::NEVER) if it is kept
    /// without end.
    pub kept_left: Duration,
    /// Its tags.
    pub tags: Vec<Arc<str>>,
    /// Where it was found.
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
