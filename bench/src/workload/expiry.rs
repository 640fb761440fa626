//! Many entries that expire in one millisecond.
//!
//! The results are the time until the entries are gone with nobody asking for them, and the time of
//! single lookups of other keys, which stay, meanwhile. The baseline is the same lookups a second
//! before, in the same cache. A lookup's time contains two readings of the clock. *Preempted* says
//! how often the thread of the lookups had to leave its processor to others, which takes
//! milliseconds each time: where it is near the number of lookups over a millisecond, these show
//! the load of the machine and not the cache.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder::{EntryOptions, LocalCache, Ttl};
use serde::{Deserialize, Serialize};

use super::Job;
use crate::contestant::{Value, value};
use crate::latency::Latencies;
use crate::process::preemptions;
use crate::random::Random;

/// The answer of the job.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The number of entries that expired.
    pub entries: u64,
    /// The time until they were gone, in milliseconds.
    pub gone_ms: f64,
    /// The lookups before.
    pub before: Lookups,
    /// The lookups while the entries are dropped.
    pub during: Lookups,
}

/// The lookups, and their times.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lookups {
    /// The number of lookups.
    pub count: u64,
    /// Microseconds at 50, 99, 99.9, 99.99 and 100 %.
    pub micros: [f64; 5],
    /// The number of lookups that took longer than a millisecond.
    pub over_1_ms: u64,
    /// The number of times that the thread had to leave its processor.
    pub preempted: u64,
}

/// Fills a cache, waits, and looks keys up.
pub fn run(job: &Job) -> Answer {
    let entries = if job.is_quick { 100_000 } else { 1_000_000 };
    let filling = Duration::from_secs(if job.is_quick { 2 } else { 5 });
    let builder = LocalCache::<u64, Value>::builder().capacity((entries + LIVE) * 11 / 10);
    let cache = builder.build().expect("the settings are valid");
    for key in 0..LIVE {
        cache.insert_with(key, value(key), EntryOptions::new().ttl(Ttl::Never));
    }
    let deadline = Instant::now() + filling;
    for key in LIVE..LIVE + entries {
        cache.insert_with(key, value(key), deadline.saturating_duration_since(Instant::now()));
    }
    let full = cache.len() as u64;
    assert_eq!(full, entries + LIVE, "nothing is evicted and nothing leaves early");

    thread::sleep(deadline.saturating_duration_since(Instant::now() + BASELINE + MARGIN));
    let begun = Instant::now();
    assert!(begun + BASELINE < deadline, "the filling took too long");
    let before = lookups(&cache, || begun.elapsed() >= BASELINE);
    thread::sleep(deadline.saturating_duration_since(Instant::now()));
    let (gone, during) = leaving(&cache, deadline);
    Answer { entries, gone_ms: gone.as_secs_f64() * 1e3, before, during }
}

/// Returns the time until only the entries that stay are there, and the lookups meanwhile.
fn leaving(cache: &LocalCache<u64, Value>, deadline: Instant) -> (Duration, Lookups) {
    let are_gone = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while cache.len() as u64 > LIVE && deadline.elapsed() < GIVING_UP {
                thread::sleep(Duration::from_millis(1));
            }
            are_gone.store(true, Ordering::Relaxed);
            deadline.elapsed()
        });
        let during = lookups(cache, || are_gone.load(Ordering::Relaxed));
        (watch.join().expect("it only looks"), during)
    })
}

/// Looks up keys that stay, until it is time to stop.
fn lookups(cache: &LocalCache<u64, Value>, mut is_over: impl FnMut() -> bool) -> Lookups {
    let preempted_before = preemptions();
    let mut latencies = Latencies::with_capacity(1 << 25);
    let mut random = Random::new(1);
    while !is_over() {
        for _ in 0..64 {
            let key = random.below(LIVE as usize) as u64;
            let begun = Instant::now();
            let found = black_box(cache.get(&key));
            let time = begun.elapsed();
            assert!(found.is_some(), "what lives is found");
            latencies.add(time);
        }
    }
    let shares = [0.5, 0.99, 0.999, 0.9999, 1.0];
    Lookups {
        count: latencies.count() as u64,
        micros: shares.map(|share| latencies.at(share).as_secs_f64() * 1e6),
        over_1_ms: latencies.longer_than(Duration::from_millis(1)) as u64,
        preempted: preemptions() - preempted_before,
    }
}

const LIVE: u64 = 10_000;
const BASELINE: Duration = Duration::from_secs(1);
const MARGIN: Duration = Duration::from_millis(200);
const GIVING_UP: Duration = Duration::from_secs(30);
