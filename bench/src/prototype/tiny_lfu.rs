//! W-TinyLFU whose window finds its size.

use super::Eviction;
use super::body::{Admission, Body, Entries, Rules};
use super::shadow::one_in;

/// A window and a main queue that is entered by frequency (Einziger et al., "TinyLFU", 2015), with a
/// window that grows or shrinks as long as that makes for more hits, as Caffeine's does.
#[derive(Clone, Debug)]
pub struct TinyLfu {
    body: Body,
    climber: Climber,
    one_in: u64,
}

impl Eviction for TinyLfu {
    fn new(capacity: usize) -> Self {
        let climber = Climber::new(capacity as u64 / one_in(capacity));
        let body = Body::new(capacity, climber.rules());
        Self { body, climber, one_in: one_in(capacity) }
    }

    fn insert(&mut self, hash: u64, entries: &mut impl Entries) {
        self.body.insert(hash, entries);
    }

    fn sample(&mut self, _: u64, was_there: bool) {
        if self.climber.count(was_there) {
            self.body.obey(self.climber.rules());
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

/// Climbs the hill of hit ratios: a step the same way if the last one did good, else back. Steps
/// grow smaller until the ratio changes as a whole.
#[derive(Clone, Debug)]
struct Climber {
    window: f64,
    step: f64,
    /// Lookups between two steps.
    stay: u64,
    asked: u64,
    hits: u64,
    ratio: f64,
}

impl Climber {
    fn new(entries: u64) -> Self {
        let stay = (TURNS * entries).max(SHORTEST);
        Self { window: SMALLEST, step: STEP, stay, asked: 0, hits: 0, ratio: 0.0 }
    }

    const fn rules(&self) -> Rules {
        Rules { window: self.window, admission: Admission::Frequency }
    }

    /// Counts a lookup; whether that led to a step.
    fn count(&mut self, was_there: bool) -> bool {
        self.asked += 1;
        self.hits += u64::from(was_there);
        if self.asked < self.stay {
            return false;
        }
        let ratio = self.hits as f64 / self.asked as f64;
        let change = ratio - self.ratio;
        (self.asked, self.hits, self.ratio) = (0, 0, ratio);
        if change.abs() >= RESTART {
            self.step = STEP.copysign(self.step);
        }
        if change < 0.0 {
            self.step = -self.step;
        }
        self.window = (self.window + self.step).clamp(SMALLEST, 1.0);
        self.step *= DECAY;
        true
    }
}

const SMALLEST: f64 = 0.01;
const STEP: f64 = 0.0625;
const DECAY: f64 = 0.98;
/// A change of the hit ratio as large as this begins the climb anew.
const RESTART: f64 = 0.05;
/// A stay lasts as many sampled lookups as there are sampled entries, times this.
const TURNS: u64 = 5;
const SHORTEST: u64 = 100;

#[cfg(test)]
mod tests {
    use super::Climber;

    #[test]
    fn the_window_ends_where_the_hits_are() {
        for best in [0.05, 0.4, 0.9] {
            let mut climber = Climber::new(20);
            let mut random = crate::random::Random::new(1);
            for _ in 0..40_000 {
                let ratio = 900.0 - 800.0 * (climber.window - best).abs();
                climber.count((random.below(1_000) as f64) < ratio);
            }
            assert!((climber.window - best).abs() < 0.25, "{} {best}", climber.window);
        }
    }
}
