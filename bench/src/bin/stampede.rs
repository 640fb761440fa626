//! A thousand callers want one absent key whose load takes ten milliseconds.
//!
//! How many loads that makes, and how long a caller waits from its own start. Threads are kept
//! waiting at a barrier first, so that their start is not measured.
//!
//! `--rounds` (20), `--callers` (1,000).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use larder::LocalCache;
use larder_bench::{Latencies, Table, Value, number, value};
use tokio::runtime::{Builder, Runtime};

fn main() {
    let (rounds, callers) = (number("rounds", 20), number("callers", 1_000));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let table = all(Bench { rounds, callers, table: table() }, &runtime.expect("it starts"));
    println!("### {callers} callers of one key, a load takes {LOAD:?}\n\n{table}");
}

fn all(mut bench: Bench, runtime: &Runtime) -> Table {
    let cache = LocalCache::<u64, Value>::new(1_000);
    bench.threads("larder LocalCache::get_with, threads", |key, loader| {
        cache.get_with(&key, loader)
    });
    let cache = moka::sync::Cache::<u64, Value>::new(1_000);
    bench.threads("moka sync get_with, threads", |key, loader| cache.get_with(key, loader));
    let cache = quick_cache::sync::Cache::<u64, Value>::new(1_000);
    bench.threads("quick_cache get_or_insert_with, threads", |key, loader| {
        cache.get_or_insert_with(&key, || Ok::<_, ()>(loader())).expect("the load succeeds")
    });

    let cache = moka::future::Cache::<u64, Value>::new(1_000);
    bench.tasks(runtime, "moka future get_with, tasks", move |key, loads| {
        let cache = cache.clone();
        async move { cache.get_with(key, load(loads)).await }
    });
    let cache = Arc::new(quick_cache::sync::Cache::<u64, Value>::new(1_000));
    bench.tasks(runtime, "quick_cache get_or_insert_async, tasks", move |key, loads| {
        let cache = Arc::clone(&cache);
        let load = async move { Ok::<_, ()>(load(loads).await) };
        async move { cache.get_or_insert_async(&key, load).await.expect("the load succeeds") }
    });
    let cache: foyer_memory::Cache<u64, Value> = foyer_memory::CacheBuilder::new(1_000).build();
    bench.tasks(runtime, "foyer memory get_or_fetch, tasks", move |key, loads| {
        let cache = cache.clone();
        let load = move || async move { Ok::<_, std::io::Error>(load(loads).await) };
        async move { cache.get_or_fetch(&key, load).await.expect("it succeeds").value().clone() }
    });
    bench.table
}

struct Bench {
    rounds: u64,
    callers: u64,
    table: Table,
}

impl Bench {
    fn threads(&mut self, name: &str, get: impl Fn(u64, &dyn Fn() -> Value) -> Value + Sync) {
        let (loads, mut latencies) = (AtomicU64::new(0), Latencies::default());
        let loader = || {
            loads.fetch_add(1, Ordering::Relaxed);
            thread::sleep(LOAD);
            value(1)
        };
        for key in 0..self.rounds {
            let start = Barrier::new(self.callers as usize);
            let call = || {
                start.wait();
                let begun = Instant::now();
                get(key, &loader);
                begun.elapsed()
            };
            latencies.extend(thread::scope(|scope| {
                let callers: Vec<_> = (0..self.callers).map(|_| scope.spawn(call)).collect();
                let times = callers.into_iter().map(|caller| caller.join().expect("it gets it"));
                times.collect::<Vec<_>>()
            }));
        }
        self.row(name, loads.into_inner(), latencies);
    }

    fn tasks<F: Future<Output = Value> + Send + 'static>(
        &mut self,
        runtime: &Runtime,
        name: &str,
        get: impl Fn(u64, Arc<AtomicU64>) -> F,
    ) {
        let (loads, mut latencies) = (Arc::new(AtomicU64::new(0)), Latencies::default());
        for key in 0..self.rounds {
            latencies.extend(runtime.block_on(async {
                let call = |_| {
                    let got = get(key, Arc::clone(&loads));
                    tokio::spawn(async move {
                        let begun = Instant::now();
                        got.await;
                        begun.elapsed()
                    })
                };
                let callers: Vec<_> = (0..self.callers).map(call).collect();
                let mut times = Vec::new();
                for caller in callers {
                    times.push(caller.await.expect("it gets it"));
                }
                times
            }));
        }
        self.row(name, loads.load(Ordering::Relaxed), latencies);
    }

    fn row(&mut self, name: &str, loads: u64, mut latencies: Latencies) {
        let times = [0.5, 0.99, 1.0].map(|share| latencies.at(share).as_secs_f64() * 1e3);
        let cells = [name.to_owned(), self.rounds.to_string(), loads.to_string()];
        self.table.row(cells.into_iter().chain(times.map(|time| format!("{time:.1} ms"))));
    }
}

fn table() -> Table {
    Table::new(&["engine", "rounds", "loads", "p50", "p99", "max"])
}

async fn load(loads: Arc<AtomicU64>) -> Value {
    loads.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(LOAD).await;
    value(1)
}

const LOAD: Duration = Duration::from_millis(10);
