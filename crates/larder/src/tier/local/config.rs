//! The settings of a local tier.

use std::sync::Arc;
use std::time::Duration;

use crate::observe::listener::Listener;
use crate::support::clock::LocalClock;
use crate::tier::local::engine::Shape;

/// Returns the weight of a value. Zero counts as one.
pub(crate) type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u32 + Send + Sync>;

/// The settings that a local tier is built with.
pub(crate) struct LocalConfig<K, V> {
    /// The largest number of entries, or the largest sum of weights with a weigher.
    pub(crate) capacity: u64,
    pub(crate) weigher: Option<Weigher<K, V>>,
    /// The largest weight that is expected of one entry, if it is known.
    pub(crate) largest_weight: Option<u32>,
    /// The grace of most entries, which then need no metadata for it.
    pub(crate) grace: Duration,
    /// True if entries that are put are kept.
    pub(crate) keeps: bool,
    pub(crate) tti: Option<Duration>,
    /// True if the last use of each entry is tracked without a tti, too.
    pub(crate) tracks_use: bool,
    pub(crate) listener: Option<Listener<K, V>>,
    pub(crate) clock: LocalClock,
}

impl<K, V> LocalConfig<K, V> {
    /// A tier of this many entries by this clock: without grace, weights, idle time or listener.
    pub(crate) const fn new(capacity: u64, clock: LocalClock) -> Self {
        Self {
            capacity,
            weigher: None,
            largest_weight: None,
            grace: Duration::ZERO,
            keeps: true,
            tti: None,
            tracks_use: false,
            listener: None,
            clock,
        }
    }

    pub(super) fn shape(&self) -> Shape {
        let capacity = self.capacity;
        let (entries, largest) = match self.weigher {
            None => (capacity, 1),
            // The engine's memory of evicted keys grows with the entries that are expected, so a
            // guess must not be high: a thousandth of the weight, as if it were bytes.
            Some(_) => {
                ((capacity / 1024).max(capacity.min(1024)), self.largest_weight.unwrap_or(1))
            }
        };
        Shape { capacity, entries, largest: u64::from(largest) }
    }
}
