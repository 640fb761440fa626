//! What other rules would do, seen on few of the keys.

use super::body::{Body, Rules};
use super::marks::Marks;

/// A cache of marks that plays the sampled keys under rules of its own, as many times smaller as
/// there are keys to one that is sampled.
#[derive(Clone, Debug)]
pub struct Shadow {
    body: Body,
    marks: Marks,
    score: f64,
}

impl Shadow {
    /// An empty one for so many of the sampled keys.
    pub fn new(capacity: usize, rules: Rules) -> Self {
        Self { body: Body::new(capacity, rules), marks: Marks::default(), score: 0.0 }
    }

    /// Plays a lookup.
    pub fn play(&mut self, hash: u64) {
        if self.marks.hit(hash) {
            self.score += 1.0;
        } else {
            self.marks.put(hash);
            self.body.insert(hash, &mut self.marks);
        }
    }

    /// Its rules.
    pub const fn rules(&self) -> Rules {
        self.body.rules()
    }

    /// Its hits, those of long ago counting less.
    pub const fn score(&self) -> f64 {
        self.score
    }

    /// How many entries it holds.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Lets what was count less than what comes.
    pub fn fade(&mut self, left: f64) {
        self.score *= left;
    }
}

/// Of how many keys one is sampled: as few as give a shadow of [`ROOM`] entries, and no fewer than
/// one of [`FEWEST`].
pub const fn one_in(capacity: usize) -> u64 {
    let times = capacity / ROOM;
    if times == 0 {
        return 1;
    }
    let power = 1 << times.ilog2();
    if power < FEWEST { power } else { FEWEST }
}

const ROOM: usize = 128;
const FEWEST: u64 = 64;

#[cfg(test)]
mod tests {
    use super::one_in;

    #[test]
    fn large_caches_sample_fewer_keys() {
        let sampled = [1, 255, 512, 1_000, 2_048, 100_000].map(one_in);
        assert_eq!(sampled, [1, 1, 4, 4, 16, 64]);
    }
}
