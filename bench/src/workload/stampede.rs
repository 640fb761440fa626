//! Many callers of one absent key whose load takes ten milliseconds.
//!
//! A caller waits from its own start. Threads wait at a barrier first, so that starting them is not
//! measured; tasks are spawned one after the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::Job;
use crate::contestant::{Loading, RUNTIME, Settings, Value, VisitLoading, value, visit_loading};
use crate::latency::Latencies;

/// The contestants whose callers are tasks.
pub const TASKS: [&str; 4] = ["larder-cache", "quick_cache", "moka-future", "foyer"];
/// The contestants whose callers are threads.
pub const THREADS: [&str; 5] = ["larder-local", "quick_cache", "moka", "cached", "lru"];

/// Returns the number of stampedes and of their loads, and the milliseconds of the middle caller,
/// of the one at 99 %, and of the last.
pub fn tasks(job: &Job, callers: u64) -> Option<Vec<f64>> {
    let _entered = RUNTIME.enter();
    let rounds = rounds(job);
    Some(match job.contestant.as_str() {
        "larder-cache" => {
            let cache = larder::Cache::<u64, Value>::new(1_000).expect("the settings are valid");
            by_tasks(rounds, callers, move |key, loads| {
                let cache = cache.clone();
                async move { cache.get_with(&key, || load(loads)).await.expect("the load succeeds") }
            })
        }
        "quick_cache" => {
            let cache = Arc::new(quick_cache::sync::Cache::<u64, Value>::new(1_000));
            by_tasks(rounds, callers, move |key, loads| {
                let cache = Arc::clone(&cache);
                let load = async move { Ok::<_, ()>(load(loads).await) };
                async move { cache.get_or_insert_async(&key, load).await.expect("it succeeds") }
            })
        }
        "moka-future" => {
            let cache = moka::future::Cache::<u64, Value>::new(1_000);
            by_tasks(rounds, callers, move |key, loads| {
                let cache = cache.clone();
                async move { cache.get_with(key, load(loads)).await }
            })
        }
        "foyer" => {
            let cache: foyer_memory::Cache<u64, Value> =
                foyer_memory::CacheBuilder::new(1_000).build();
            by_tasks(rounds, callers, move |key, loads| {
                let cache = cache.clone();
                let load = move || async move { Ok::<_, std::io::Error>(load(loads).await) };
                async move {
                    let entry = cache.get_or_fetch(&key, load).await.expect("the load succeeds");
                    entry.value().clone()
                }
            })
        }
        _ => return None,
    })
}

/// Like [`tasks`], with threads.
pub fn threads(job: &Job, callers: u64) -> Option<Vec<f64>> {
    visit_loading::<u64, _>(&job.contestant, Threads { rounds: rounds(job), callers })
}

fn rounds(job: &Job) -> u64 {
    if job.is_quick { 3 } else { 10 }
}

async fn load(loads: Arc<AtomicU64>) -> Value {
    loads.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(LOAD).await;
    value(1)
}

fn by_tasks<F: Future<Output = Value> + Send + 'static>(
    rounds: u64,
    callers: u64,
    get: impl Fn(u64, Arc<AtomicU64>) -> F,
) -> Vec<f64> {
    let (loads, mut latencies) = (Arc::new(AtomicU64::new(0)), Latencies::default());
    for key in 0..rounds {
        latencies.extend(RUNTIME.block_on(async {
            let call = |_| {
                let got = get(key, Arc::clone(&loads));
                tokio::spawn(async move {
                    let begun = Instant::now();
                    got.await;
                    begun.elapsed()
                })
            };
            let callers: Vec<_> = (0..callers).map(call).collect();
            let mut times = Vec::new();
            for caller in callers {
                times.push(caller.await.expect("it gets it"));
            }
            times
        }));
    }
    figures(rounds, loads.load(Ordering::Relaxed), latencies)
}

struct Threads {
    rounds: u64,
    callers: u64,
}

impl VisitLoading<u64> for Threads {
    type Output = Vec<f64>;

    fn visit<C: Loading<u64>>(self) -> Vec<f64> {
        let Self { rounds, callers } = self;
        let contestant = C::new(&Settings::plain(1_000));
        let (loads, mut latencies) = (Arc::new(AtomicU64::new(0)), Latencies::default());
        for key in 0..rounds {
            let start = Barrier::new(callers as usize);
            let call = || {
                start.wait();
                let (begun, loads) = (Instant::now(), Arc::clone(&loads));
                contestant.get_or_load(&key, move || {
                    loads.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(LOAD);
                    value(1)
                });
                begun.elapsed()
            };
            latencies.extend(thread::scope(|scope| {
                let callers: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
                let times = callers.into_iter().map(|caller| caller.join().expect("it gets it"));
                times.collect::<Vec<_>>()
            }));
        }
        figures(rounds, loads.load(Ordering::Relaxed), latencies)
    }
}

fn figures(rounds: u64, loads: u64, mut latencies: Latencies) -> Vec<f64> {
    let times = [0.5, 0.99, 1.0].map(|share| latencies.at(share).as_secs_f64() * 1e3);
    [rounds as f64, loads as f64].into_iter().chain(times).collect()
}

const LOAD: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::super::Job;
    use super::{TASKS, THREADS, tasks, threads};

    #[test]
    fn all_but_one_load_once_for_all_callers() {
        let job = |contestant| Job::plain("stampede1k", contestant, true);
        let all = TASKS.map(|name| (name, tasks(&job(name), 10))).into_iter();
        for (name, figures) in all.chain(THREADS.map(|name| (name, threads(&job(name), 4)))) {
            let figures = figures.expect("it takes part");
            let (stampedes, loads) = (figures[0], figures[1]);
            // cached lets each caller run its own loader.
            let most = if name == "cached" { 4.0 * stampedes } else { stampedes };
            assert!((stampedes..=most).contains(&loads), "{name}: {figures:?}");
        }
    }
}
