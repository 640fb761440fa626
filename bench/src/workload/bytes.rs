//! The memory of an entry, its key and its value included.
//!
//! *Allocated* are the bytes requested from the allocator, *resident* the growth of the process;
//! both include the memory of the empty contestant.

use std::thread;
use std::time::Duration;

use super::{Flavour, Job};
use crate::contestant::{Changing, Settings, VisitChanging, value, visit_changing};
use crate::key::Key;
use crate::process::resident;
use crate::{Allocated, Count};

struct Bytes<'a> {
    job: &'a Job,
    count: Count,
}

/// Returns the allocated bytes of an entry, the resident ones, the number of kept entries, and the
/// allocated bytes of an empty contestant.
pub fn run<K: Key>(job: &Job, count: Count) -> Option<Vec<f64>> {
    visit_changing::<K, _>(&job.contestant, Bytes { job, count })
}

impl<K: Key> VisitChanging<K> for Bytes<'_> {
    type Output = Vec<f64>;

    fn visit<C: Changing<K>>(self) -> Vec<f64> {
        let Self { job, count } = self;
        let entries = if job.is_quick { 200_000 } else { 1_000_000 };
        // The capacity is more than enough, because the parts of a cache are never filled evenly.
        let settings = Settings {
            ttl: job.flavour != Flavour::Plain,
            tag: job.flavour == Flavour::Full,
            ..Settings::plain(entries + entries / 10)
        };
        let bytes = || {
            let Allocated { bytes, .. } = count();
            bytes
        };
        let (before, before_resident) = (bytes(), resident());
        let contestant = C::new(&settings);
        let empty = bytes();
        for number in 0..entries as u64 {
            contestant.insert(K::numbered(number), value(number));
        }
        let kept = contestant.len();
        // Deferred work may be done now.
        thread::sleep(Duration::from_millis(300));
        let (full, full_resident) = (bytes(), resident());
        let each = |full: u64, before: u64| full.saturating_sub(before) as f64 / kept as f64;
        vec![
            each(full, before),
            each(full_resident, before_resident),
            kept as f64,
            empty.saturating_sub(before) as f64,
        ]
    }
}
