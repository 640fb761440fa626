//! Replays agree with plain models, and the optimum with all ways of keeping.

use std::collections::VecDeque;

use fastrand::Rng;
use larder_trace::{Lru, Policy, Trace, hits, optima, optimum, synthetic};

/// The plain model of LRU. The last id is the one that was asked for last.
struct NaiveLru(VecDeque<u32>, usize);

impl Policy for NaiveLru {
    fn access(&mut self, id: u32) -> bool {
        let place = self.0.iter().position(|kept| *kept == id);
        if let Some(place) = place {
            self.0.remove(place);
        }
        self.0.push_back(id);
        while self.0.len() > self.1 {
            self.0.pop_front();
        }
        place.is_some()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Returns the most hits of all ways to keep or to drop, tried one by one.
fn tried(ids: &[u32], kept: &[u32], capacity: usize) -> u64 {
    let Some((id, rest)) = ids.split_first() else { return 0 };
    if kept.contains(id) {
        return 1 + tried(rest, kept, capacity);
    }
    let mut best = tried(rest, kept, capacity);
    let with = [kept, &[*id]].concat();
    if with.len() <= capacity {
        return best.max(tried(rest, &with, capacity));
    }
    for dropped in 0..kept.len() {
        let mut with = with.clone();
        with.remove(dropped);
        best = best.max(tried(rest, &with, capacity));
    }
    best
}

fn random(random: &mut Rng, keys: u32, accesses: usize) -> Trace {
    Trace::from_keys((0..accesses).map(|_| random.u32(..keys)))
}

fn traces() -> Vec<Trace> {
    let mut rng = Rng::with_seed(7);
    vec![
        synthetic::cycle(60, 2_000),
        synthetic::zipf(0.9, 300, 4_000, 1),
        synthetic::scans(0.9, 200, 150, 4_000, 2),
        synthetic::shifting(0.9, 100, 500, 4_000, 3),
        random(&mut rng, 80, 3_000),
        Trace::from_keys([1, 1, 1, 2]),
    ]
}

#[test]
fn the_optimum_is_the_best_of_all_ways() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..300 {
        let (keys, accesses) = (rng.u32(1..7), rng.usize(1..12));
        let trace = random(&mut rng, keys, accesses);
        for capacity in 0..4 {
            let best = tried(trace.ids(), &[], capacity);
            assert_eq!(optimum(&trace, capacity), best, "{:?} at {capacity}", trace.ids());
        }
    }
}

#[test]
fn the_optimum_is_never_below_lru_and_grows_with_the_size() {
    for trace in traces() {
        let sizes: Vec<usize> = (0..40).chain([100, 1_000, usize::MAX]).collect();
        let optima = optima(&trace, &sizes, &mut |_| ());
        for (size, optimum) in sizes.iter().zip(&optima) {
            assert!(*optimum >= hits(&trace, &mut Lru::new(*size), &mut |_| ()));
        }
        assert!(optima.is_sorted());
        assert_eq!(optima[0], 0);
        let all = trace.ids().len() as u64 - u64::from(trace.distinct());
        assert_eq!(optima.last(), Some(&all));
    }
}

#[test]
fn lru_is_what_a_list_would_be() {
    for trace in traces() {
        for size in [0, 1, 2, 17, 59, 60, 400] {
            let (mut lru, mut naive) = (Lru::new(size), NaiveLru(VecDeque::new(), size));
            for id in trace.ids() {
                assert_eq!(lru.access(*id), naive.access(*id));
                assert_eq!(lru.len(), naive.len());
            }
        }
    }
}

#[test]
fn progress_adds_up_to_all_accesses() {
    let trace = synthetic::zipf(1.0, 1_000, 100_000, 1);
    let mut done = 0;
    hits(&trace, &mut Lru::new(10), &mut |more| done += more);
    assert_eq!(done, 100_000);
    optima(&trace, &[10, 20, 30], &mut |more| done += more);
    assert_eq!(done, 400_000);
}

#[test]
fn a_made_trace_repeats_for_its_seed_and_is_as_described() {
    assert_eq!(synthetic::zipf(0.9, 50, 500, 4), synthetic::zipf(0.9, 50, 500, 4));
    assert_ne!(synthetic::zipf(0.9, 50, 500, 4), synthetic::zipf(0.9, 50, 500, 5));
    assert_eq!(synthetic::cycle(3, 7).ids(), [0, 1, 2, 0, 1, 2, 0]);
    let skewed = synthetic::zipf(1.0, 1_000, 100_000, 1);
    let most = (0..1_000).map(|id| skewed.ids().iter().filter(|seen| **seen == id).count()).max();
    // By Zipf's law, the first of a thousand keys has 1 / 7.485 of all accesses.
    assert!((12_900..13_900).contains(&most.unwrap()), "{most:?}");
    let scans = synthetic::scans(0.9, 10, 100, 1_000, 1);
    assert_eq!(scans.distinct(), 10 + 500);
    let shifting = synthetic::shifting(0.0, 10, 100, 1_000, 1);
    assert_eq!(shifting.distinct(), 10 + 9 * 5);
    for none in [synthetic::cycle(0, 9), synthetic::zipf(1.0, 0, 9, 1)] {
        assert_eq!((none.ids().len(), none.distinct()), (0, 0));
        assert_eq!(optimum(&none, 3), 0);
    }
    assert_eq!(synthetic::zipf(f64::NAN, 5, 100, 1), synthetic::zipf(0.0, 5, 100, 1));
}
