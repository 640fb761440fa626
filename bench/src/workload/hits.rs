//! Lookups that find their key, in a random order.

use std::hint::black_box;

use super::{Flavour, Job, speed};
use crate::contestant::{Contestant, Settings, VisitAny, value, visit_any};
use crate::key::{Key, numbered};
use crate::random::Random;

struct Hits<'a, K> {
    job: &'a Job,
    keys: Vec<K>,
}

/// Looks up this many entries.
pub fn run<K: Key>(job: &Job, entries: u64) -> Option<Vec<f64>> {
    visit_any(&job.contestant, Hits { job, keys: numbered::<K>(entries) })
}

/// Returns the settings for this many entries, with twice the room, so that none is evicted.
pub fn settings(flavour: Flavour, entries: usize) -> Settings {
    let is_full = flavour == Flavour::Full;
    Settings { ttl: is_full, tag: is_full, ..Settings::plain(2 * entries) }
}

impl<K: Key> VisitAny<K> for Hits<'_, K> {
    type Output = Vec<f64>;

    fn visit<C: Contestant<K>>(self) -> Vec<f64> {
        let Self { job, keys } = self;
        let entries = keys.iter().cloned().zip((0..).map(value));
        let contestant = C::filled(&settings(job.flavour, keys.len()), entries);
        speed::by_threads(job.is_quick, |span| {
            let mut random = Random::new(span.first + span.thread);
            let mut hits = 0;
            for _ in 0..span.count {
                let key = &keys[random.below(keys.len())];
                hits += u64::from(black_box(contestant.get(key.borrow())).is_some());
            }
            assert_eq!(hits, span.count, "{job}: every lookup finds its key");
        })
    }
}
