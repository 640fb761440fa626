//! What happens when a million entries expire in one millisecond.
//!
//! How long it takes until they are gone with nobody asking for them, and what single lookups of
//! other keys, which stay, take meanwhile. The baseline is the same lookups a second before, in the
//! same cache. A lookup's time contains two readings of the clock. *Preempted* says how often the thread
//! that looks up had to leave its processor to others, which takes milliseconds each time: where it
//! is near the number of lookups over a millisecond, these tell of the machine and not of the cache.
//!
//! `--entries` (1,000,000), `--runs` (5).

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder::{EntryOptions, LocalCache, Ttl};
use larder_bench::{Latencies, Random, Table, Value, number, preemptions, value};

fn main() {
    let (entries, runs) = (number("entries", 1_000_000), number("runs", 5));
    let mut table = Table::new(&[
        "lookups",
        "gone after",
        "count",
        "p50",
        "p99",
        "p99.9",
        "p99.99",
        "max",
        "over 1 ms",
        "preempted",
    ]);
    for run in 1..=runs {
        let (before, during, time) = measure(entries);
        row(&mut table, format!("run {run}, before"), "-".to_owned(), before);
        row(&mut table, format!("run {run}, while they leave"), milliseconds(time), during);
    }
    println!("### {entries} entries expire at once, {LIVE} others stay\n\n{table}");
}

fn measure(entries: u64) -> (Lookups, Lookups, Duration) {
    let builder = LocalCache::<u64, Value>::builder().capacity((entries + LIVE) * 11 / 10);
    let cache = builder.build().expect("the settings are valid");
    for key in 0..LIVE {
        cache.insert_with(key, value(key), EntryOptions::new().ttl(Ttl::Never));
    }
    let deadline = Instant::now() + FILLING;
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

    let are_gone = AtomicBool::new(false);
    let (time, during) = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while cache.len() as u64 > LIVE && deadline.elapsed() < GIVING_UP {
                thread::sleep(Duration::from_millis(1));
            }
            are_gone.store(true, Ordering::Relaxed);
            deadline.elapsed()
        });
        let during = lookups(&cache, || are_gone.load(Ordering::Relaxed));
        (watch.join().expect("it only looks"), during)
    });
    (before, during, time)
}

/// Looks up keys that stay until it is time to stop.
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
    Lookups { latencies, preempted: preemptions() - preempted_before }
}

struct Lookups {
    latencies: Latencies,
    preempted: u64,
}

fn row(table: &mut Table, name: String, gone: String, lookups: Lookups) {
    let Lookups { mut latencies, preempted } = lookups;
    let shares = [0.5, 0.99, 0.999, 0.9999, 1.0];
    let times = shares.map(|share| microseconds(latencies.at(share)));
    let long = latencies.longer_than(Duration::from_millis(1)).to_string();
    let count = latencies.count().to_string();
    table.row([name, gone, count].into_iter().chain(times).chain([long, preempted.to_string()]));
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn microseconds(time: Duration) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6)
}

const LIVE: u64 = 10_000;
const FILLING: Duration = Duration::from_secs(5);
const BASELINE: Duration = Duration::from_secs(1);
const MARGIN: Duration = Duration::from_millis(200);
const GIVING_UP: Duration = Duration::from_secs(30);
