//! Lookups of few keys that are popular and many that are not, in a cache for a tenth of them.
//!
//! One of twenty operations is an insert. A lookup that finds nothing does nothing more.

use std::hint::black_box;

use super::{Flavour, Job, speed};
use crate::contestant::{Changing, Settings, VisitChanging, value, visit_changing};
use crate::key::{Key, numbered};
use crate::random::Zipf as Numbers;

/// The keys, and the order in which they are asked for.
pub struct Zipf<'a, K> {
    pub job: &'a Job,
    pub keys: Vec<K>,
    pub order: Vec<u32>,
    /// The keys that are asked for before the measurement.
    before: Vec<u32>,
}

impl<'a, K: Key> Zipf<'a, K> {
    pub fn new(job: &'a Job) -> Self {
        let accesses = if job.is_quick { 1 << 18 } else { 1 << 20 };
        let numbers = Numbers::new(EXPONENT, KEYS);
        let (order, before) = (numbers.draw(accesses, 1), numbers.draw(2 * CAPACITY, 2));
        Self { job, keys: numbered(KEYS as u64), order, before }
    }

    /// Returns a contestant that has had enough of them to be full.
    pub fn filled<C: Changing<K>>(&self) -> C {
        let is_full = self.job.flavour == Flavour::Full;
        let contestant =
            C::new(&Settings { ttl: is_full, tag: is_full, ..Settings::plain(CAPACITY) });
        for number in 0..CAPACITY {
            contestant.insert(self.keys[number].clone(), value(number as u64));
        }
        for &number in &self.before {
            let key = &self.keys[number as usize];
            if contestant.get(key.borrow()).is_none() {
                contestant.insert(key.clone(), value(u64::from(number)));
            }
        }
        contestant
    }

    #[inline]
    pub fn key(&self, place: usize) -> &K {
        &self.keys[self.order[place] as usize]
    }
}

pub fn run<K: Key>(job: &Job) -> Option<Vec<f64>> {
    visit_changing(&job.contestant, Zipf::<K>::new(job))
}

impl<K: Key> VisitChanging<K> for Zipf<'_, K> {
    type Output = Vec<f64>;

    fn visit<C: Changing<K>>(self) -> Vec<f64> {
        let contestant: C = self.filled();
        speed::by_threads(self.job.is_quick, |span| {
            for (turn, place) in span.ring(self.order.len()).enumerate() {
                let key = self.key(place);
                if turn % 20 == 0 {
                    contestant.insert(key.clone(), value(place as u64));
                } else {
                    black_box(contestant.get(key.borrow()));
                }
            }
        })
    }
}

const EXPONENT: f64 = 0.99;
const KEYS: usize = 1_000_000;
const CAPACITY: usize = KEYS / 10;
