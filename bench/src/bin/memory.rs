//! What an entry costs in memory, its value included.
//!
//! Each engine has a process of its own. *Allocated* is what was asked of the allocator, *resident*
//! what the process grew by; both without what the engine takes when it is empty.
//!
//! `--entries` (1,000,000).

use std::alloc::System;
use std::time::Duration;

use larder::{EntryOptions, LocalCache};
use larder_bench::{Table, Value, again, asked, number, resident, value};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let entries = number("entries", 1_000_000);
    if let Some(name) = asked("engine") {
        let (_, measure) = ENGINES.iter().find(|(known, _)| *known == name).expect("it is known");
        println!("{}", measure(entries).join("\t"));
        return;
    }
    let mut table = Table::new(&[
        "engine",
        "allocated bytes/entry",
        "resident bytes/entry",
        "entries kept",
        "allocated empty, KiB",
    ]);
    for (name, _) in ENGINES {
        let line = again(&["--engine", name, "--entries", &entries.to_string()]);
        let cells = line.trim().split('\t').map(str::to_owned);
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    println!("### {entries} entries, u64 keys, 100-byte values\n\n{table}");
}

type Measure = fn(u64) -> Vec<String>;

const ENGINES: [(&str, Measure); 8] = [
    ("quick_cache", |entries| {
        let new = || quick_cache::sync::Cache::<u64, Value>::new(room(entries) as usize);
        let put = |cache: &quick_cache::sync::Cache<_, _>, key| cache.insert(key, value(key));
        measure(entries, new, put, |cache| cache.len() as u64)
    }),
    ("larder LocalCache", |entries| {
        let new = || LocalCache::builder().capacity(room(entries)).build().expect("it is valid");
        let put = |cache: &LocalCache<u64, Value>, key| cache.insert(key, value(key));
        measure(entries, new, put, |cache| cache.len() as u64)
    }),
    ("larder LocalCache, ttl", |entries| {
        let put = |cache: &LocalCache<u64, Value>, key| cache.insert(key, value(key));
        measure(entries, || with_ttl(entries), put, |cache| cache.len() as u64)
    }),
    ("larder LocalCache, ttl, tag", |entries| {
        let put = |cache: &LocalCache<u64, Value>, key| {
            cache.insert_with(key, value(key), EntryOptions::new().tags(["tag"]));
        };
        measure(entries, || with_ttl(entries), put, |cache| cache.len() as u64)
    }),
    ("larder LocalCache, tti", |entries| {
        let builder = || LocalCache::builder().capacity(room(entries)).tti(HOUR);
        let put = |cache: &LocalCache<u64, Value>, key| cache.insert(key, value(key));
        let new = || builder().build().expect("it is valid");
        measure(entries, new, put, |cache| cache.len() as u64)
    }),
    ("moka sync", |entries| {
        let new = || moka::sync::Cache::<u64, Value>::new(room(entries));
        measure(entries, new, |cache, key| cache.insert(key, value(key)), moka_len)
    }),
    ("moka sync, ttl", |entries| {
        let builder = || moka::sync::Cache::builder().max_capacity(room(entries));
        let new = || builder().time_to_live(HOUR).build();
        measure(entries, new, |cache, key| cache.insert(key, value(key)), moka_len)
    }),
    ("foyer memory", |entries| {
        let new = || foyer_memory::CacheBuilder::new(room(entries) as usize).build();
        let put = |cache: &foyer_memory::Cache<u64, Value>, key| {
            drop(cache.insert(key, value(key)));
        };
        measure(entries, new, put, |cache| cache.entries() as u64)
    }),
];

/// More than enough: the parts of a cache are never filled evenly.
const fn room(entries: u64) -> u64 {
    entries + entries / 10
}

fn with_ttl(entries: u64) -> LocalCache<u64, Value> {
    LocalCache::builder().capacity(room(entries)).ttl(HOUR).build().expect("it is valid")
}

fn moka_len(cache: &moka::sync::Cache<u64, Value>) -> u64 {
    cache.run_pending_tasks();
    cache.entry_count()
}

fn measure<C>(
    entries: u64,
    new: impl FnOnce() -> C,
    put: impl Fn(&C, u64),
    len: impl Fn(&C) -> u64,
) -> Vec<String> {
    let before = allocated();
    let cache = new();
    let (empty, empty_resident) = (allocated(), resident());
    for key in 0..entries {
        put(&cache, key);
    }
    let kept = len(&cache);
    // What the engine puts off it may do now.
    std::thread::sleep(Duration::from_millis(300));
    let (full, full_resident) = (allocated(), resident());
    let per_entry = |bytes: u64| format!("{:.0}", bytes as f64 / kept as f64);
    vec![
        per_entry(full.saturating_sub(empty)),
        per_entry(full_resident.saturating_sub(empty_resident)),
        kept.to_string(),
        format!("{}", empty.saturating_sub(before) / 1024),
    ]
}

fn allocated() -> u64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated) as u64
}

const HOUR: Duration = Duration::from_hours(1);
