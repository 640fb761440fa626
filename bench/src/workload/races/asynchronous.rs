//! Contestants that are called from tasks.

use std::sync::Arc;

use larder::backend::Clock;
use larder::{Cache, MemoryBackend, Options, SystemClock};

use super::tasks::Asynchronous;
use super::{CAPACITY, Case, HOUR};

type Moka = moka::future::Cache<u64, u64>;
type Foyer = foyer_memory::Cache<u64, u64>;
type Quick = Arc<quick_cache::sync::Cache<u64, u64>>;

/// `larder::Cache`, alone and over a shared backend.
pub fn larder_cache(rounds: u64) -> Vec<Case> {
    let over_a_backend = larder(true, rounds).into_iter();
    let over_a_backend =
        over_a_backend.map(|case| Case { name: format!("{}, over a backend", case.name), ..case });
    larder(false, rounds).into_iter().chain(over_a_backend).collect()
}

fn larder(has_backend: bool, rounds: u64) -> Vec<Case> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Asynchronous::<Cache<u64, u64>> {
        new: &|| {
            let builder = Cache::builder().capacity(CAPACITY).ttl(HOUR);
            let builder = builder.defaults(Options::new().ttl(HOUR).tags(["tag"]));
            let builder = if has_backend {
                builder.backend(MemoryBackend::new(Arc::clone(&clock)))
            } else {
                builder
            };
            builder.build().expect("it is valid")
        },
        load: |cache, key, loader| {
            Box::pin(async move { cache.get_with(&key, || loader).await.expect("it loads") })
        },
        read: |cache, key| Box::pin(async move { cache.get(&key).await.expect("it reads") }),
        changes: &[
            ("invalidate", |cache, key, _| {
                Box::pin(async move { drop(cache.invalidate(&key).await) })
            }),
            ("remove", |cache, key, _| Box::pin(async move { drop(cache.remove(&key).await) })),
            ("insert", |cache, key, new| {
                Box::pin(async move { drop(cache.insert(key, new).await) })
            }),
            ("mark_stale", |cache, key, _| {
                Box::pin(async move { drop(cache.mark_stale(&key).await) })
            }),
            ("invalidate_tag", |cache, _, _| {
                Box::pin(async move { drop(cache.invalidate_tag("tag").await) })
            }),
            ("invalidate_all", |cache, _, _| {
                Box::pin(async move { drop(cache.invalidate_all().await) })
            }),
        ],
    }
    .run(rounds)
}

/// `moka::future::Cache`.
pub fn moka_future(rounds: u64) -> Vec<Case> {
    Asynchronous::<Moka> {
        new: &|| Moka::new(CAPACITY),
        load: |cache, key, loader| Box::pin(async move { cache.get_with(key, loader).await }),
        read: |cache, key| Box::pin(async move { cache.get(&key).await }),
        changes: &[
            ("invalidate", |cache, key, _| Box::pin(async move { cache.invalidate(&key).await })),
            ("remove", |cache, key, _| {
                Box::pin(async move {
                    cache.remove(&key).await;
                })
            }),
            ("insert", |cache, key, new| Box::pin(async move { cache.insert(key, new).await })),
            ("invalidate_all", |cache, _, _| Box::pin(async move { cache.invalidate_all() })),
        ],
    }
    .run(rounds)
}

/// foyer's memory tier.
pub fn foyer(rounds: u64) -> Vec<Case> {
    Asynchronous::<Foyer> {
        new: &|| foyer_memory::CacheBuilder::new(CAPACITY as usize).build(),
        load: |cache, key, loader| {
            Box::pin(async move {
                let fetch = || async move { Ok::<_, std::io::Error>(loader.await) };
                *cache.get_or_fetch(&key, fetch).await.expect("the load succeeds").value()
            })
        },
        read: |cache, key| Box::pin(async move { cache.get(&key).map(|entry| *entry.value()) }),
        changes: &[
            ("remove", |cache, key, _| {
                Box::pin(async move {
                    cache.remove(&key);
                })
            }),
            ("insert", |cache, key, new| Box::pin(async move { drop(cache.insert(key, new)) })),
            ("clear", |cache, _, _| Box::pin(async move { cache.clear() })),
        ],
    }
    .run(rounds)
}

/// quick_cache from tasks.
pub fn quick_cache(rounds: u64) -> Vec<Case> {
    Asynchronous::<Quick> {
        new: &|| Arc::new(quick_cache::sync::Cache::new(CAPACITY as usize)),
        load: |cache, key, loader| {
            Box::pin(async move {
                let loader = async { Ok::<_, ()>(loader.await) };
                cache.get_or_insert_async(&key, loader).await.expect("the load succeeds")
            })
        },
        read: |cache, key| Box::pin(async move { cache.get(&key) }),
        changes: &[
            ("remove", |cache, key, _| {
                Box::pin(async move {
                    cache.remove(&key);
                })
            }),
            ("insert", |cache, key, new| Box::pin(async move { cache.insert(key, new) })),
            ("clear", |cache, _, _| Box::pin(async move { cache.clear() })),
        ],
    }
    .run(rounds)
}
