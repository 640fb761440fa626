//! Inserts that each evict an entry.

use super::{Flavour, Job, speed};
use crate::contestant::{Changing, Settings, VisitChanging, value, visit_changing};
use crate::key::{Key, numbered};

struct Churn<'a, K> {
    job: &'a Job,
    keys: Vec<K>,
}

/// Inserts keys that return only long after they have been evicted.
pub fn run<K: Key>(job: &Job) -> Option<Vec<f64>> {
    visit_changing(&job.contestant, Churn { job, keys: numbered::<K>(KEYS) })
}

impl<K: Key> VisitChanging<K> for Churn<'_, K> {
    type Output = Vec<f64>;

    fn visit<C: Changing<K>>(self) -> Vec<f64> {
        let Self { job, keys } = self;
        let is_full = job.flavour == Flavour::Full;
        let settings = Settings { ttl: is_full, listener: is_full, ..Settings::plain(CAPACITY) };
        let last = keys[keys.len() - CAPACITY..].iter().cloned();
        let contestant = C::filled(&settings, last.zip((0..).map(value)));
        speed::by_threads(job.is_quick, |span| {
            for place in span.ring(keys.len()) {
                contestant.insert(keys[place].clone(), value(place as u64));
            }
        })
    }
}

const KEYS: u64 = 1_000_000;
const CAPACITY: usize = 100_000;
