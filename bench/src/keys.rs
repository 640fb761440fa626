//! Keys and the order in which they are asked for.

/// The keys 0, 1, 2, ….
#[must_use]
pub fn numbers(count: u64) -> Vec<u64> {
    (0..count).collect()
}

/// As many strings of 24 bytes, which differ in their last ones.
#[must_use]
pub fn strings(count: u64) -> Vec<String> {
    (0..count).map(|number| format!("customer:{number:015}")).collect()
}

/// A generator (xorshift) that costs two nanoseconds and repeats for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// One that starts here.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below this one.
    #[inline]
    pub const fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * bound as u64) >> 32) as usize
    }

    /// Makes all that follows depend on this.
    #[inline]
    pub const fn stir(&mut self, byte: u8) {
        self.0 = self.0.wrapping_add(byte as u64) | 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, strings};

    #[test]
    fn strings_have_24_bytes() {
        assert!(strings(1_000).iter().all(|key| key.len() == 24));
    }

    #[test]
    fn every_number_below_the_bound_comes() {
        let mut random = Random::new(1);
        let mut seen = [false; 100];
        for _ in 0..10_000 {
            seen[random.below(100)] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
