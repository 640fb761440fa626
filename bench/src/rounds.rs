//! Rounds in which all contenders run in turn, so that a slow moment of the machine hits them alike.

/// Something that is measured again and again.
pub struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contender<'a> {
    /// One by this name; `run` gives one sample.
    pub fn new(name: impl Into<String>, run: impl FnMut() -> f64 + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One contender's samples, one per round.
#[derive(Clone, Debug)]
pub struct Series {
    /// The contender.
    pub name: String,
    /// In the order of the rounds.
    pub samples: Vec<f64>,
}

/// Runs this many rounds, and one before them that does not count. Each round begins with another
/// contender.
#[must_use]
pub fn interleave(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Vec<Series> {
    let mut series: Vec<Series> = contenders
        .iter()
        .map(|contender| Series { name: contender.name.clone(), samples: Vec::new() })
        .collect();
    let count = contenders.len();
    for round in 0..=rounds {
        for turn in 0..count {
            let place = (round + turn) % count;
            let sample = (contenders[place].run)();
            if round > 0 {
                series[place].samples.push(sample);
            }
        }
    }
    series
}

impl Series {
    /// The middle sample.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(self.samples.iter().copied())
    }

    /// The smallest sample and the largest.
    #[must_use]
    pub fn spread(&self) -> (f64, f64) {
        spread(self.samples.iter().copied())
    }

    /// The median, the smallest and the largest of the ratios to a baseline, round by round.
    #[must_use]
    pub fn ratio(&self, baseline: &Self) -> (f64, f64, f64) {
        let ratios = || self.samples.iter().zip(&baseline.samples).map(|(own, base)| own / base);
        let (smallest, largest) = spread(ratios());
        (median(ratios()), smallest, largest)
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{Contender, Series, interleave};

    #[test]
    fn the_first_round_is_not_counted_and_all_take_turns() {
        let clock = Cell::new(0.0);
        let tick = || {
            clock.set(clock.get() + 1.0);
            clock.get()
        };
        let series = interleave(2, vec![Contender::new("a", tick), Contender::new("b", tick)]);
        assert_eq!(series[0].samples, [4.0, 5.0]);
        assert_eq!(series[1].samples, [3.0, 6.0]);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let series = |samples: &[f64]| Series { name: String::new(), samples: samples.to_vec() };
        let base = series(&[1.0, 10.0, 100.0]);
        let own = series(&[2.0, 30.0, 400.0]);
        assert_eq!(own.ratio(&base), (3.0, 2.0, 4.0));
        assert_eq!((own.median(), own.spread()), (30.0, (2.0, 400.0)));
    }
}
