//! What a hit costs.
//!
//! Every lookup finds its key; the order is random. A sample is the time per lookup that one thread
//! sees, the choice of the key included. *Free* lookups are independent of each other, so that the
//! processor begins the next ones while it waits for memory. *Chained* ones are not: which key is
//! next depends on the value that was found.
//!
//! `--rounds` (21), `--lookups` per sample (200,000), `--only` some engines (names with `|`
//! between, the first is the baseline).

use std::borrow::Borrow;
use std::hash::Hash;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use larder::{Cache, CacheKey, EntryOptions, LocalCache, Lookup};
use larder_bench::{
    Contender, Random, Table, Value, asked, interleave, number, numbers, ratios, strings, value,
};
use tokio::runtime;

fn main() {
    for (entries, threads, pace) in [
        (1_000, 1, Pace::Free),
        (1_000, 1, Pace::Chained),
        (1_000, 2, Pace::Free),
        (100_000, 1, Pace::Free),
        (100_000, 1, Pace::Chained),
        (100_000, 2, Pace::Free),
    ] {
        let keys = numbers(entries);
        let title = format!("{entries} entries, u64 keys, {pace:?} lookups by {threads} threads");
        print(&title, &run(&keys, engines::<u64, u64>(&keys), threads, pace));
    }
    for threads in [1, 2] {
        let keys = strings(1_000);
        let title = format!("1000 entries, 24-byte String keys, Free lookups by {threads} threads");
        print(&title, &run(&keys, engines::<String, str>(&keys), threads, Pace::Free));
    }
}

fn print(title: &str, table: &Table) {
    println!("### {title}\n\n{table}");
}

type Read<K> = dyn Fn(&[K], Random, u64, Pace) -> u64 + Sync;

/// A cache that is full: a name, and this many lookups of these keys, which gives the hits.
struct Engine<K> {
    name: &'static str,
    read: Box<Read<K>>,
}

/// Whether a lookup can begin before the last one has ended.
#[derive(Clone, Copy, Debug)]
enum Pace {
    Free,
    Chained,
}

impl<K: 'static> Engine<K> {
    fn new(name: &'static str, get: impl Fn(&K) -> Option<Value> + Sync + 'static) -> Self {
        let read = move |keys: &[K], mut random: Random, lookups, pace: Pace| {
            let mut hits = 0;
            for _ in 0..lookups {
                let found = get(&keys[random.below(keys.len())]);
                hits += pace.hit(found, &mut random);
            }
            hits
        };
        Self { name, read: Box::new(read) }
    }

    fn asynchronous(
        name: &'static str,
        get: impl AsyncFn(&K) -> Option<Value> + Sync + 'static,
    ) -> Self {
        let read = move |keys: &[K], mut random: Random, lookups, pace: Pace| {
            let runtime = runtime::Builder::new_current_thread().build().expect("it starts");
            runtime.block_on(async {
                let mut hits = 0;
                for _ in 0..lookups {
                    let found = get(&keys[random.below(keys.len())]).await;
                    hits += pace.hit(found, &mut random);
                }
                hits
            })
        };
        Self { name, read: Box::new(read) }
    }
}

impl Pace {
    #[inline]
    fn hit(self, found: Option<Value>, random: &mut Random) -> u64 {
        if let (Self::Chained, Some(value)) = (self, &found) {
            random.stir(value[0]);
        }
        u64::from(black_box(found).is_some())
    }
}

/// All engines, filled. `Q` is the form in which a key is looked up.
fn engines<K, Q>(keys: &[K]) -> Vec<Engine<K>>
where
    K: CacheKey + Borrow<Q>,
    Q: ?Sized + Hash + Eq + Lookup<K>,
{
    let capacity = keys.len() * 2;
    let builder = || LocalCache::builder().capacity(capacity as u64);
    let quick = quick_cache::sync::Cache::<K, Value>::new(capacity);
    let sync = moka::sync::Cache::<K, Value>::new(capacity as u64);
    let sync_ttl = moka::sync::Cache::builder().max_capacity(capacity as u64);
    let sync_ttl = sync_ttl.time_to_live(HOUR).build();
    let future = moka::future::Cache::<K, Value>::new(capacity as u64);
    let plain = builder().build().expect("the settings are valid");
    let ttl = builder().ttl(HOUR).build().expect("the settings are valid");
    let tagged = builder().ttl(HOUR).build().expect("the settings are valid");
    let tti = builder().tti(HOUR).build().expect("the settings are valid");
    let cache = Cache::<K, Value>::builder().capacity(capacity as u64).ttl(HOUR);
    let cache = cache.build().expect("the settings are valid");
    let runtime = runtime::Builder::new_current_thread().build().expect("it starts");
    // One after the other, so that what belongs to one cache lies together.
    fill(keys, |key, value| quick.insert(key, value));
    fill(keys, |key, value| plain.insert(key, value));
    fill(keys, |key, value| ttl.insert(key, value));
    fill(keys, |key, value| tagged.insert_with(key, value, EntryOptions::new().tags(["tag"])));
    fill(keys, |key, value| tti.insert(key, value));
    fill(keys, |key, value| drop(runtime.block_on(cache.insert(key, value))));
    fill(keys, |key, value| sync.insert(key, value));
    fill(keys, |key, value| sync_ttl.insert(key, value));
    fill(keys, |key, value| runtime.block_on(future.insert(key, value)));
    let (loading, loading_cache) = (ttl.clone(), cache.clone());
    vec![
        Engine::new("quick_cache", move |key| quick.get(<K as Borrow<Q>>::borrow(key))),
        Engine::new("larder LocalCache", move |key| plain.get(<K as Borrow<Q>>::borrow(key))),
        Engine::new("larder LocalCache, ttl", move |key| ttl.get(<K as Borrow<Q>>::borrow(key))),
        Engine::new("larder LocalCache, ttl, tag", move |key| {
            tagged.get(<K as Borrow<Q>>::borrow(key))
        }),
        Engine::new("larder LocalCache, tti", move |key| tti.get(<K as Borrow<Q>>::borrow(key))),
        Engine::new("larder LocalCache, ttl, get_with", move |key| {
            Some(loading.get_with(<K as Borrow<Q>>::borrow(key), || {
                unreachable!("every lookup finds its key")
            }))
        }),
        Engine::asynchronous("larder Cache, ttl", async move |key| {
            cache.get(<K as Borrow<Q>>::borrow(key)).await.expect("it is open")
        }),
        Engine::asynchronous("larder Cache, ttl, get_with", async move |key| {
            let loader = || async { unreachable!("every lookup finds its key") };
            loading_cache.get_with(<K as Borrow<Q>>::borrow(key), loader).await.ok()
        }),
        Engine::new("moka sync", move |key| sync.get(<K as Borrow<Q>>::borrow(key))),
        Engine::new("moka sync, ttl", move |key| sync_ttl.get(<K as Borrow<Q>>::borrow(key))),
        Engine::asynchronous("moka future", async move |key| {
            future.get(<K as Borrow<Q>>::borrow(key)).await
        }),
    ]
}

fn fill<K: Clone>(keys: &[K], insert: impl Fn(K, Value)) {
    for (key, number) in keys.iter().zip(0..) {
        insert(key.clone(), value(number));
    }
}

fn run<K: Sync>(keys: &[K], mut engines: Vec<Engine<K>>, threads: u64, pace: Pace) -> Table {
    if let Some(only) = asked("only") {
        engines.retain(|engine| only.split('|').any(|name| name == engine.name));
    }
    let (rounds, lookups) = (number("rounds", 21) as usize, number("lookups", 200_000));
    let contenders = engines.iter().map(|engine| {
        let mut seed = 0;
        Contender::new(engine.name, move || {
            seed += threads;
            sample(engine.name, threads, lookups, |thread| {
                (engine.read)(keys, Random::new(seed + thread), lookups, pace)
            })
        })
    });
    ratios("ns/op", &interleave(rounds, contenders.collect()))
}

/// Nanoseconds per lookup, the mean of the threads.
fn sample(name: &str, threads: u64, lookups: u64, read: impl Fn(u64) -> u64 + Sync) -> f64 {
    let start = Barrier::new(threads as usize);
    let one = |thread| {
        start.wait();
        let begun = Instant::now();
        let hits = read(thread);
        let time = begun.elapsed();
        assert_eq!(hits, lookups, "{name}: every lookup finds its key");
        time
    };
    let sum: Duration = std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no lookup panics")).sum()
    });
    sum.as_nanos() as f64 / (threads * lookups) as f64
}

const HOUR: Duration = Duration::from_hours(1);
