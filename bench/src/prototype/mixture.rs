//! The mixture: the rules that do best on a sample of the keys.

use super::Eviction;
use super::body::{Admission, Body, Entries, Rules};
use super::shadow::{Shadow, one_in};

/// Queues that obey the rules under which small shadows of them have had the most hits lately.
///
/// TinyLFU and S3-FIFO differ in the size of the window and the way out of it, and in nothing else
/// here: the queues, the sketch and the ghost are the same, so that another rule holds from one
/// insert to the next and nothing has to be moved.
#[derive(Clone, Debug)]
pub struct Mixture {
    body: Body,
    shadows: [Shadow; CANDIDATES.len()],
    one_in: u64,
    period: u64,
    sampled: u64,
}

impl Eviction for Mixture {
    fn new(capacity: usize) -> Self {
        let one_in = one_in(capacity);
        let share = capacity.div_ceil(one_in as usize);
        Self {
            body: Body::new(capacity, FIRST),
            shadows: CANDIDATES.map(|rules| Shadow::new(share, rules)),
            one_in,
            period: share.max(SHORTEST) as u64,
            sampled: 0,
        }
    }

    fn insert(&mut self, hash: u64, entries: &mut impl Entries) {
        self.body.insert(hash, entries);
    }

    fn sample(&mut self, hash: u64, _: bool) {
        for shadow in &mut self.shadows {
            shadow.play(hash);
        }
        self.sampled += 1;
        if self.sampled.is_multiple_of(self.period) {
            self.judge();
        }
    }

    fn one_in(&self) -> Option<u64> {
        Some(self.one_in)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.body.len()
    }
}

impl Mixture {
    /// Follows the best, if it is better than what is followed by more than chance: a hundredth and
    /// the square root of the hits.
    fn judge(&mut self) {
        let followed = self.body.rules();
        let score = |rules| self.shadows.iter().find(|shadow| shadow.rules() == rules);
        let score = score(followed).map_or(0.0, Shadow::score);
        let best = self.shadows.iter().max_by(|one, two| one.score().total_cmp(&two.score()));
        if let Some(best) = best
            && best.score() > score * MARGIN + score.sqrt()
        {
            self.body.obey(best.rules());
        }
        for shadow in &mut self.shadows {
            shadow.fade(LEFT);
        }
    }
}

/// From a TinyLFU that keeps what is frequent to an LRU that keeps what is recent, and S3-FIFO with
/// a small queue and a large one.
const CANDIDATES: [Rules; 6] = [
    Rules { window: 0.01, admission: Admission::Frequency },
    Rules { window: 0.2, admission: Admission::Frequency },
    FIRST,
    Rules { window: 1.0, admission: Admission::Frequency },
    Rules { window: 0.1, admission: Admission::Reuse },
    Rules { window: 0.4, admission: Admission::Reuse },
];
/// What holds until something is known: nearly LRU, which is never much behind.
const FIRST: Rules = Rules { window: 0.6, admission: Admission::Frequency };
const MARGIN: f64 = 1.01;
/// What a score is worth one period later.
const LEFT: f64 = 0.9;
/// A period is as many sampled lookups as a shadow has entries, and no fewer than these.
const SHORTEST: usize = 50;

#[cfg(test)]
mod tests {
    use super::{CANDIDATES, FIRST, Mixture};
    use crate::prototype::body::Body;
    use crate::prototype::marks::Marks;
    use crate::prototype::{Eviction, is_sampled, mix};

    fn play(mixture: &mut Mixture, marks: &mut Marks, keys: impl Iterator<Item = u64>) {
        for hash in keys.map(mix) {
            let was_there = marks.hit(hash);
            if is_sampled(hash, mixture.one_in) {
                mixture.sample(hash, was_there);
            }
            if !was_there {
                marks.put(hash);
                mixture.insert(hash, marks);
            }
        }
    }

    #[test]
    fn the_rules_follow_what_is_played() {
        let (mut mixture, mut marks) = (Mixture::new(1_000), Marks::default());
        play(&mut mixture, &mut marks, (0..40_000).map(|step| step % 2_000));
        let rules = mixture.body.rules();
        assert!(rules.window < 0.2, "{rules:?}");
        // Each key comes twice, with 300 others in between, and never again.
        let recent = (10_000..80_000).flat_map(|key| [key, key - 300]);
        play(&mut mixture, &mut marks, recent);
        let rules = mixture.body.rules();
        assert!(rules.window >= 0.4, "{rules:?}");
    }

    #[test]
    fn all_that_it_keeps_is_bounded() {
        let (mut mixture, mut marks) = (Mixture::new(2_048), Marks::default());
        play(&mut mixture, &mut marks, 0..50_000);
        assert_eq!(mixture.len(), 2_048);
        assert_eq!(marks.len(), 2_048);
        assert!(mixture.shadows.iter().all(|shadow| shadow.len() <= 128));
    }

    #[test]
    fn what_holds_first_is_one_of_the_candidates() {
        assert!(CANDIDATES.contains(&FIRST));
        assert_eq!(Body::new(1, FIRST).rules(), FIRST);
    }
}
