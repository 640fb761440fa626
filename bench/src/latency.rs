//! The durations of many single calls.

use std::time::Duration;

/// Durations of single calls, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    nanos: Vec<u64>,
    is_sorted: bool,
}

impl Latencies {
    /// Returns durations with room for this many, so that noting one does not allocate.
    pub fn with_capacity(count: usize) -> Self {
        Self { nanos: Vec::with_capacity(count), is_sorted: false }
    }

    /// Notes one duration.
    #[inline]
    pub fn add(&mut self, duration: Duration) {
        self.is_sorted = false;
        self.nanos.push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Returns the number of durations.
    pub fn count(&self) -> usize {
        self.nanos.len()
    }

    /// Returns the duration that this share of them does not exceed; one is the longest.
    pub fn at(&mut self, share: f64) -> Duration {
        if !self.is_sorted {
            self.nanos.sort_unstable();
            self.is_sorted = true;
        }
        let place = (self.nanos.len() as f64 * share).ceil() as usize;
        let nanos = self.nanos.get(place.saturating_sub(1)).or(self.nanos.last());
        Duration::from_nanos(nanos.copied().unwrap_or(0))
    }

    /// Returns the number of durations that are longer than this.
    pub fn longer_than(&self, limit: Duration) -> usize {
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.iter().filter(|nanos| **nanos > limit).count()
    }
}

impl Extend<Duration> for Latencies {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, durations: I) {
        durations.into_iter().for_each(|duration| self.add(duration));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Latencies;

    #[test]
    fn a_share_of_one_is_the_longest_and_one_half_the_middle() {
        let mut latencies = Latencies::default();
        latencies.extend((1..=100).rev().map(Duration::from_nanos));
        assert_eq!(latencies.at(0.5), Duration::from_nanos(50));
        assert_eq!(latencies.at(0.99), Duration::from_nanos(99));
        assert_eq!(latencies.at(1.0), Duration::from_nanos(100));
        assert_eq!(latencies.longer_than(Duration::from_nanos(90)), 10);
    }
}
