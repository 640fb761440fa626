//! The order of lookups of keys.

/// A generator (xorshift) that costs two nanoseconds and repeats for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Returns a generator with this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns a number below this one.
    #[inline]
    pub const fn below(&mut self, bound: usize) -> usize {
        (((self.next() >> 32) * bound as u64) >> 32) as usize
    }

    /// Returns a number from zero to one.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[inline]
    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A distribution of numbers below `keys`: number `n` comes in proportion to `1 / (n +
/// 1)^exponent`.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// The weights of all numbers up to each.
    sums: Vec<f64>,
}

impl Zipf {
    /// Returns the distribution of numbers below `keys`.
    pub fn new(exponent: f64, keys: usize) -> Self {
        let mut sum = 0.0;
        let weights = (1..=keys).map(|rank| (rank as f64).powf(-exponent));
        let add = |weight| {
            sum += weight;
            sum
        };
        Self { sums: weights.map(add).collect() }
    }

    /// Draws this many numbers, the same for the same seed.
    pub fn draw(&self, count: usize, seed: u64) -> Vec<u32> {
        let last = self.sums.len().saturating_sub(1);
        let sum = self.sums.last().copied().unwrap_or(0.0);
        let mut random = Random::new(seed);
        let mut one = || {
            let wanted = random.share() * sum;
            self.sums.partition_point(|sum| *sum < wanted).min(last) as u32
        };
        (0..count).map(|_| one()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, Zipf};

    #[test]
    fn every_number_below_the_bound_comes() {
        let mut random = Random::new(1);
        let mut seen = [false; 100];
        for _ in 0..10_000 {
            seen[random.below(100)] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    #[test]
    fn the_second_number_of_a_zipf_comes_half_as_often_as_the_first() {
        let drawn = Zipf::new(1.0, 1_000).draw(200_000, 1);
        let count = |number| drawn.iter().filter(|drawn| **drawn == number).count() as f64;
        assert!(drawn.iter().all(|number| *number < 1_000));
        for rank in [2.0, 4.0, 10.0] {
            let share = count(rank as u32 - 1) / count(0);
            assert!((share * rank - 1.0).abs() < 0.1, "{rank}: {share}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let zipf = Zipf::new(0.99, 50);
        assert_eq!(zipf.draw(500, 3), zipf.draw(500, 3));
        assert_ne!(zipf.draw(500, 3), zipf.draw(500, 4));
    }
}
