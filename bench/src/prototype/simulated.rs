//! A policy on one thread, over numbered keys.

use larder_trace::Policy;

use super::marks::Marks;
use super::{Eviction, is_sampled, mix};

/// A policy with the marks of its entries: a cache without values.
#[derive(Clone, Debug)]
pub struct Simulated<E> {
    eviction: E,
    marks: Marks,
}

impl<E: Eviction> Simulated<E> {
    /// An empty one for so many entries.
    pub fn new(capacity: usize) -> Self {
        Self { eviction: E::new(capacity), marks: Marks::default() }
    }
}

impl<E: Eviction> Policy for Simulated<E> {
    fn access(&mut self, id: u32) -> bool {
        let hash = mix(u64::from(id));
        let was_there = self.marks.hit(hash);
        if self.eviction.one_in().is_some_and(|one_in| is_sampled(hash, one_in)) {
            self.eviction.sample(hash, was_there);
        }
        if !was_there {
            self.marks.put(hash);
            self.eviction.insert(hash, &mut self.marks);
        }
        was_there
    }

    fn len(&self) -> usize {
        self.marks.len()
    }
}

#[cfg(test)]
mod tests {
    use larder_trace::{Lru, Policy, hits, optimum, synthetic};

    use super::Simulated;
    use crate::prototype::{Eviction, Mixture, S3Fifo, TinyLfu};

    fn ratio_of_optimum<E: Eviction>(trace: &larder_trace::Trace, capacity: usize) -> f64 {
        let mut simulated = Simulated::<E>::new(capacity);
        let hits = hits(trace, &mut simulated, &mut |_| ());
        assert!(simulated.len() <= capacity);
        hits as f64 / optimum(trace, capacity) as f64
    }

    #[test]
    fn loops_that_do_not_fit_are_kept_in_part() {
        let cycle = synthetic::cycle(2_000, 60_000);
        for capacity in [200, 400, 800] {
            assert!(ratio_of_optimum::<S3Fifo>(&cycle, capacity) > 0.85);
            assert!(ratio_of_optimum::<Mixture>(&cycle, capacity) > 0.75);
        }
        assert!(ratio_of_optimum::<TinyLfu>(&cycle, 800) > 0.75);
    }

    #[test]
    fn a_moving_working_set_is_followed_by_the_mixture_as_by_lru() {
        let moving = synthetic::shifting(0.9, 2_000, 10_000, 100_000, 1);
        let lru = hits(&moving, &mut Lru::new(500), &mut |_| ()) as f64;
        let optimum = optimum(&moving, 500) as f64;
        assert!(ratio_of_optimum::<Mixture>(&moving, 500) > 0.97 * lru / optimum);
    }

    #[test]
    fn on_zipf_all_are_better_than_lru() {
        let zipf = synthetic::zipf(0.9, 10_000, 100_000, 1);
        let lru = hits(&zipf, &mut Lru::new(500), &mut |_| ()) as f64;
        let lru = lru / optimum(&zipf, 500) as f64;
        assert!(ratio_of_optimum::<TinyLfu>(&zipf, 500) > lru + 0.05);
        assert!(ratio_of_optimum::<S3Fifo>(&zipf, 500) > lru + 0.05);
        assert!(ratio_of_optimum::<Mixture>(&zipf, 500) > lru + 0.05);
    }
}
