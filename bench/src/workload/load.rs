//! Loads of keys that are there, that are there often, and that are never there.

use std::hint::{black_box, spin_loop};
use std::time::{Duration, Instant};

use super::hits::settings;
use super::zipf::Zipf;
use super::{Flavour, Job, speed};
use crate::contestant::{Loading, Settings, VisitLoading, value, visit_loading};
use crate::key::{Key, numbered};
use crate::random::Random;

struct Hits<'a, K> {
    job: &'a Job,
    keys: Vec<K>,
}

/// Loads this many entries, which are all there.
pub fn hits<K: Key>(job: &Job, entries: u64) -> Option<Vec<f64>> {
    visit_loading(&job.contestant, Hits { job, keys: numbered::<K>(entries) })
}

impl<K: Key> VisitLoading<K> for Hits<'_, K> {
    type Output = Vec<f64>;

    fn visit<C: Loading<K>>(self) -> Vec<f64> {
        let Self { job, keys } = self;
        let entries = keys.iter().cloned().zip((0..).map(value));
        let contestant = C::filled(&settings(job.flavour, keys.len()), entries);
        speed::by_threads(job.is_quick, |span| {
            let mut random = Random::new(span.first + span.thread);
            for _ in 0..span.count {
                let key = &keys[random.below(keys.len())];
                black_box(contestant.get_or_load(key.borrow(), || unreachable!("it is there")));
            }
        })
    }
}

struct Often<'a, K>(Zipf<'a, K>);

/// Loads as in `zipf95`, with a loader for absent keys that only makes a value.
pub fn zipf<K: Key>(job: &Job) -> Option<Vec<f64>> {
    visit_loading(&job.contestant, Often(Zipf::<K>::new(job)))
}

impl<K: Key> VisitLoading<K> for Often<'_, K> {
    type Output = Vec<f64>;

    fn visit<C: Loading<K>>(self) -> Vec<f64> {
        let Self(zipf) = self;
        let contestant: C = zipf.filled();
        speed::by_threads(zipf.job.is_quick, |span| {
            for place in span.ring(zipf.order.len()) {
                let loader = move || value(place as u64);
                black_box(contestant.get_or_load(zipf.key(place).borrow(), loader));
            }
        })
    }
}

struct Misses<'a, K> {
    job: &'a Job,
    keys: Vec<K>,
}

/// Loads keys that are never there. The loader keeps its thread busy for a while.
pub fn misses<K: Key>(job: &Job) -> Option<Vec<f64>> {
    visit_loading(&job.contestant, Misses { job, keys: numbered::<K>(KEYS) })
}

impl<K: Key> VisitLoading<K> for Misses<'_, K> {
    type Output = Vec<f64>;

    fn visit<C: Loading<K>>(self) -> Vec<f64> {
        let Self { job, keys } = self;
        let is_full = job.flavour == Flavour::Full;
        let settings = Settings { ttl: is_full, tag: is_full, ..Settings::plain(CAPACITY) };
        let contestant = C::new(&settings);
        speed::by_threads(job.is_quick, |span| {
            for place in span.ring(keys.len()) {
                let loader = move || work(place);
                black_box(contestant.get_or_load(keys[place].borrow(), loader));
            }
        })
    }
}

fn work(place: usize) -> crate::contestant::Value {
    let begun = Instant::now();
    while begun.elapsed() < WORK {
        spin_loop();
    }
    value(place as u64)
}

const WORK: Duration = Duration::from_micros(10);
const KEYS: u64 = 1_000_000;
const CAPACITY: usize = 10_000;
