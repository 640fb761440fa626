//! What the measurements share.

pub use crate::keys::{Random, numbers, strings};
pub use crate::latency::Latencies;
pub use crate::process::{again, asked, number, peak, preemptions, resident};
pub use crate::rounds::{Contender, Series, interleave};
pub use crate::table::{Table, ratios};

mod keys;
mod latency;
mod process;
mod rounds;
mod table;

use std::sync::Arc;

/// What is cached: shared, so that a hit copies a pointer.
pub type Value = Arc<[u8; 100]>;

/// A value that is its own allocation.
#[must_use]
pub fn value(seed: u64) -> Value {
    Arc::new([seed as u8; 100])
}
