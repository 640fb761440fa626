//! The hot paths whose instructions are counted: `larder-paths PATH TIMES` walks one so many times.
//!
//! `cargo xtask check --perf` runs it under callgrind with two numbers of times. The difference is
//! what the walks cost, and nothing of what comes before them.

use std::hint::black_box;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder::backend::{Class, Key, NEVER, Namespace, Record, StoreTime, Times, layout};
use larder::{Cache, EntryOptions, LocalCache, LocalCacheBuilder};

type Value = Arc<[u8; 100]>;

/// A path by its name: what it is walked on is made first.
type Path = (&'static str, fn(u64));

const PATHS: [Path; 10] = [
    ("local_get", |times| get(times, &filled(local()))),
    ("local_get_ttl_tag", |times| get(times, &filled_with(local().ttl(HOUR), &tagged()))),
    ("local_get_str", |times| {
        let keys = strings();
        let cache = LocalCache::<String, Value>::builder().capacity(2_000).ttl(HOUR);
        let cache = cache.build().expect("the settings are valid");
        for key in &keys {
            cache.insert(key.clone(), value());
        }
        walk(times, |time| black_box(cache.get(asked(&keys, time))).is_some());
    }),
    ("local_get_with", |times| {
        let cache = filled(local().ttl(HOUR));
        walk(times, |time| {
            black_box(cache.get_with(&(time % KEYS), || unreachable!())).len() == 100
        });
    }),
    ("local_insert_evicting", |times| {
        let cache = filled(local().capacity(KEYS));
        walk(times, |time| {
            cache.insert(KEYS + time, value());
            true
        });
    }),
    ("local_insert_evicting_ttl_listener", |times| {
        let listener = |_: &u64, value: &Value, _| assert_eq!(black_box(value.len()), 100);
        let cache = filled(local().capacity(KEYS).ttl(HOUR).listener(listener));
        walk(times, |time| {
            cache.insert(KEYS + time, value());
            true
        });
    }),
    ("cache_get", |times| {
        let cache = cache();
        walk(times, |time| ready(cache.get(&(time % KEYS))).expect("it is open").is_some());
    }),
    ("cache_get_with", |times| {
        let cache = cache();
        walk(times, |time| {
            let loader = || async { unreachable!() };
            ready(cache.get_with(&(time % KEYS), loader)).is_ok()
        });
    }),
    ("record_encode", |times| {
        let (key, record) = record();
        walk(times, |_| black_box(layout::encode(&key, &record, NOW)).is_ok());
    }),
    ("record_decode", |times| {
        let (key, record) = record();
        let bytes = layout::encode(&key, &record, NOW).expect("it has a form");
        walk(times, |_| black_box(layout::decode(&key, &bytes, NOW)).is_ok());
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, times) = match arguments.as_slice() {
        [name, times] => (name.as_str(), times.parse().ok()),
        _ => ("", None),
    };
    let path = PATHS.iter().find(|(known, _)| *known == name);
    let (Some((_, run)), Some(times)) = (path, times) else {
        let names: Vec<_> = PATHS.iter().map(|(name, _)| *name).collect();
        println!("{}", names.join("\n"));
        return ExitCode::from(u8::from(!arguments.is_empty()) * 2);
    };
    run(times);
    ExitCode::SUCCESS
}

#[inline]
fn walk(times: u64, mut step: impl FnMut(u64) -> bool) {
    let done = (0..times).filter(|time| step(black_box(*time))).count();
    assert_eq!(done as u64, times, "each step finds what it asks for");
}

fn get(times: u64, cache: &LocalCache<u64, Value>) {
    walk(times, |time| black_box(cache.get(&(time % KEYS))).is_some());
}

fn local() -> LocalCacheBuilder<u64, Value> {
    LocalCache::builder().capacity(2 * KEYS)
}

fn filled(builder: LocalCacheBuilder<u64, Value>) -> LocalCache<u64, Value> {
    filled_with(builder, &EntryOptions::new())
}

fn filled_with(
    builder: LocalCacheBuilder<u64, Value>,
    options: &EntryOptions,
) -> LocalCache<u64, Value> {
    let cache = builder.build().expect("the settings are valid");
    (0..KEYS).for_each(|key| cache.insert_with(key, value(), options.clone()));
    cache
}

fn cache() -> Cache<u64, Value> {
    let cache = Cache::builder().capacity(2 * KEYS).ttl(HOUR).build();
    let cache = cache.expect("the settings are valid");
    for key in 0..KEYS {
        ready(cache.insert(key, value())).expect("it is open");
    }
    cache
}

fn tagged() -> EntryOptions {
    EntryOptions::new().tags(["tag"])
}

fn record() -> (Key, Record) {
    let namespace = Namespace::new("shop").expect("it is valid");
    let key = Key::new(&namespace, Class::Entry, b"customer:000000000000007");
    (key, Record::value(bytes::Bytes::from_static(&[7; 100]), Times::new(HOUR, NEVER)))
}

fn strings() -> Vec<String> {
    (0..KEYS).map(|number| format!("customer:{number:015}")).collect()
}

fn asked(keys: &[String], time: u64) -> &str {
    &keys[(time % KEYS) as usize]
}

/// What a future that waits for nothing gives.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it has to wait"),
    }
}

fn value() -> Value {
    Arc::new([7; 100])
}

const NOW: StoreTime = StoreTime::from_micros(1_800_000_000_000_000);
const KEYS: u64 = 1_000;
const HOUR: Duration = Duration::from_hours(1);
