//! Synthetic traces. The same arguments make the same trace.

use fastrand::Rng;

use crate::trace::Trace;

/// Makes keys in a circle. A cache that drops the oldest has no hit while one key is too many.
#[must_use]
pub fn cycle(keys: u32, accesses: usize) -> Trace {
    Trace::from_keys((0..keys).cycle().take(accesses))
}

/// Draws keys by Zipf's law: the n-th is asked for in proportion to `n` to the power `-exponent`.
///
/// Web and database traces have exponents of 0.6 to 1.1; 0 is even. An exponent that is not finite
/// counts as 0.
#[must_use]
pub fn zipf(exponent: f64, keys: u32, accesses: usize, seed: u64) -> Trace {
    let mut ranks = Ranks::new(exponent, keys, seed);
    Trace::from_keys((0..accesses).map_while(|_| ranks.draw()))
}

/// Like [`zipf`], but every second stretch of `stretch` accesses is a scan over keys that never
/// return.
#[must_use]
pub fn scans(exponent: f64, keys: u32, stretch: usize, accesses: usize, seed: u64) -> Trace {
    let mut ranks = Ranks::new(exponent, keys, seed);
    let mut once = u64::from(keys)..;
    let access = |number: usize| {
        if (number / stretch.max(1)).is_multiple_of(2) { ranks.draw() } else { once.next() }
    };
    Trace::from_keys((0..accesses).map_while(access))
}

/// Like [`zipf`], but after every `stretch` accesses half of the keys are replaced by new ones.
///
/// The new ones come behind those that stay: the keys that were asked for most are then gone.
#[must_use]
pub fn shifting(exponent: f64, keys: u32, stretch: usize, accesses: usize, seed: u64) -> Trace {
    let mut ranks = Ranks::new(exponent, keys, seed);
    let gone = |number: usize| (number / stretch.max(1)) as u64 * u64::from(keys / 2);
    let access = |number: usize| Some(ranks.draw()? + gone(number));
    Trace::from_keys((0..accesses).map_while(access))
}

/// A generator of ranks by Zipf's law.
struct Ranks {
    /// The sum of the weights up to each rank.
    sums: Vec<f64>,
    random: Rng,
}

impl Ranks {
    fn new(exponent: f64, keys: u32, seed: u64) -> Self {
        let exponent = if exponent.is_finite() { exponent } else { 0.0 };
        let add = |sum: &mut f64, rank: u32| {
            *sum += f64::from(rank).powf(-exponent);
            Some(*sum)
        };
        Self { sums: (1..=keys).scan(0.0, add).collect(), random: Rng::with_seed(seed) }
    }

    /// Draws a rank; none if there is no key.
    fn draw(&mut self) -> Option<u64> {
        let last = self.sums.len().checked_sub(1)?;
        let point = self.random.f64() * self.sums.last()?;
        Some(self.sums.partition_point(|sum| *sum <= point).min(last) as u64)
    }
}
