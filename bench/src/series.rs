//! Samples, one for each round.

/// The samples of one contestant in all rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series(pub Vec<f64>);

impl Series {
    /// Returns the middle sample.
    pub fn median(&self) -> f64 {
        median(self.0.iter().copied())
    }

    /// Returns the smallest sample and the largest.
    pub fn spread(&self) -> (f64, f64) {
        spread(self.0.iter().copied())
    }

    /// Returns the ratios to a baseline, round by round.
    pub fn ratios(&self, baseline: &Self) -> Self {
        Self(self.0.iter().zip(&baseline.0).map(|(own, base)| own / base).collect())
    }
}

fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = samples.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.as_slice() {
        [] => f64::NAN,
        all if all.len() % 2 == 1 => all[middle],
        all => f64::midpoint(all[middle - 1], all[middle]),
    }
}

fn spread(samples: impl Iterator<Item = f64>) -> (f64, f64) {
    samples.fold((f64::INFINITY, f64::NEG_INFINITY), |(smallest, largest), sample| {
        (smallest.min(sample), largest.max(sample))
    })
}

/// Returns the order of `count` runs in this many rounds; each round begins with another run.
pub fn turns(rounds: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..rounds).flat_map(move |round| (0..count).map(move |turn| (round + turn) % count))
}

/// Runs functions that return a sample alternately in one process, after a round that does not
/// count.
pub fn interleave<F: FnMut() -> f64>(rounds: usize, runs: &mut [F]) -> Vec<Series> {
    let mut series = vec![Series::default(); runs.len()];
    for run in &mut *runs {
        run();
    }
    for turn in turns(rounds, runs.len()) {
        let sample = runs[turn]();
        series[turn].0.push(sample);
    }
    series
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{Series, interleave, turns};

    #[test]
    fn each_round_begins_with_another() {
        assert_eq!(turns(3, 2).collect::<Vec<_>>(), [0, 1, 1, 0, 0, 1]);
        assert_eq!(turns(3, 0).count(), 0);
    }

    #[test]
    fn the_first_round_is_not_counted() {
        let clock = Cell::new(0.0);
        let tick = || {
            clock.set(clock.get() + 1.0);
            clock.get()
        };
        let series = interleave(2, &mut [tick, tick]);
        assert_eq!(series, [Series(vec![3.0, 6.0]), Series(vec![4.0, 5.0])]);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let base = Series(vec![1.0, 10.0, 100.0]);
        let own = Series(vec![2.0, 30.0, 400.0]);
        assert_eq!(own.ratios(&base), Series(vec![2.0, 3.0, 4.0]));
        assert_eq!((own.median(), own.spread()), (30.0, (2.0, 400.0)));
    }

    #[test]
    fn the_middle_of_two_is_between_them() {
        assert!((Series(vec![4.0, 2.0]).median() - 3.0).abs() < f64::EPSILON);
        assert!(Series::default().median().is_nan());
    }
}
