//! A load of a value that is changed while it is loaded: does the cache keep the old value?
//!
//! Each round has a key of its own. A loader reads the source and is held; the source changes, and
//! the cache is told; then the loader returns what it has read. When both calls have returned, the
//! key is read again. What comes back may be the new value or nothing: the old value is an error
//! that stays until its ttl, if it has one.
//!
//! *In order*: the load has begun, the change has returned, the load returns, the key is read. *At
//! random*: load and change start together, each dawdles for a random time, and the change may come
//! before, amid or after the load. The callers of the load itself may get the old value: they asked
//! before the change was done.
//!
//! `--rounds` of each (10,000).

use std::future::Future;
use std::hint::spin_loop;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use larder::backend::Clock;
use larder::{Cache, EntryOptions, LocalCache, MemoryBackend, Options, SystemClock};
use larder_bench::{Random, Table, number};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

fn main() {
    let rounds = number("rounds", 10_000);
    let columns =
        ["engine", "change", "in order: rounds", "old kept", "at random: rounds", "old kept"];
    let mut table = Table::new(&columns);
    let runtime =
        Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("it starts");
    blocking(&mut table, rounds);
    asynchronous(&mut table, rounds, &runtime);
    println!("### Old values brought back by a load that a change has overtaken\n\n{table}");
}

fn blocking(table: &mut Table, rounds: u64) {
    let larder =
        || LocalCache::builder().capacity(CAPACITY).ttl(HOUR).build().expect("it is valid");
    let read = |cache: &LocalCache<u64, u64>, key| cache.get(&key);
    Blocking {
        name: "larder LocalCache::get_with",
        new: &larder,
        load: &|cache, key, loader| cache.get_with(&key, loader),
        read: &read,
        changes: &LARDER[..],
    }
    .run(table, rounds);
    Blocking {
        name: "larder LocalCache::try_get_with",
        new: &larder,
        load: &|cache, key, loader| {
            cache.try_get_with(&key, || Ok::<_, ()>(loader())).expect("the load succeeds")
        },
        read: &read,
        changes: &LARDER[..],
    }
    .run(table, rounds);
    let tags = || EntryOptions::new().tags(["tag"]);
    Blocking {
        name: "larder LocalCache, with a tag",
        new: &larder,
        load: &|cache, key, loader| {
            let loader = || Ok::<_, ()>(loader());
            cache.try_get_with_options(&key, tags(), loader).expect("the load succeeds")
        },
        read: &read,
        changes: &[
            ("invalidate_tag", &|cache, _, _| cache.invalidate_tag("tag")),
            ("mark_tag_stale", &|cache, _, _| cache.mark_tag_stale("tag")),
            ("invalidate_all", &|cache, _, _| cache.invalidate_all()),
        ],
    }
    .run(table, rounds);
    Blocking {
        name: "moka sync get_with",
        new: &|| moka::sync::Cache::<u64, u64>::new(CAPACITY),
        load: &|cache, key, loader| cache.get_with(key, loader),
        read: &|cache: &moka::sync::Cache<u64, u64>, key| cache.get(&key),
        changes: &[
            ("invalidate", &|cache, key, _| cache.invalidate(&key)),
            ("remove", &|cache, key, _| {
                cache.remove(&key);
            }),
            ("insert", &|cache, key, new| cache.insert(key, new)),
            ("invalidate_all", &|cache, _, _| cache.invalidate_all()),
        ],
    }
    .run(table, rounds);
    Blocking {
        name: "quick_cache get_or_insert_with",
        new: &|| quick_cache::sync::Cache::<u64, u64>::new(CAPACITY as usize),
        load: &|cache, key, loader| {
            cache.get_or_insert_with(&key, || Ok::<_, ()>(loader())).expect("the load succeeds")
        },
        read: &|cache, key| cache.get(&key),
        changes: &[
            ("remove", &|cache, key, _| {
                cache.remove(&key);
            }),
            ("insert", &|cache, key, new| cache.insert(key, new)),
            ("retain", &|cache, key, _| cache.retain(|other, _| *other != key)),
            ("clear", &|cache, _, _| cache.clear()),
        ],
    }
    .run(table, rounds);
}

type Load<'a, C> = dyn Fn(&C, u64, &dyn Fn() -> u64) -> u64 + Sync + 'a;
type Change<'a, C> = (&'static str, &'a (dyn Fn(&C, u64, u64) + Sync));

const LARDER: [Change<'static, LocalCache<u64, u64>>; 6] = [
    ("invalidate", &|cache, key, _| cache.invalidate(&key)),
    ("remove", &|cache, key, _| {
        cache.remove(&key);
    }),
    ("insert", &|cache, key, new| cache.insert(key, new)),
    ("mark_stale", &|cache, key, _| {
        cache.mark_stale(&key);
    }),
    ("invalidate_all", &|cache, _, _| cache.invalidate_all()),
    ("mark_all_stale", &|cache, _, _| cache.mark_all_stale()),
];

fn asynchronous(table: &mut Table, rounds: u64, runtime: &Runtime) {
    larder("larder Cache::get_with, memory", &|_| None, table, rounds, runtime);
    let backend = |clock: &Arc<dyn Clock>| Some(MemoryBackend::new(Arc::clone(clock)));
    larder("larder Cache::get_with, over a backend", &backend, table, rounds, runtime);
    Asynchronous::<Moka> {
        name: "moka future get_with",
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
    .run(table, rounds, runtime);
    Asynchronous::<Foyer> {
        name: "foyer memory get_or_fetch",
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
    .run(table, rounds, runtime);
    Asynchronous::<Quick> {
        name: "quick_cache get_or_insert_async",
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
    .run(table, rounds, runtime);
}

/// Larder's asynchronous cache, alone or over a shared backend.
fn larder(
    name: &'static str,
    backend: &dyn Fn(&Arc<dyn Clock>) -> Option<MemoryBackend>,
    table: &mut Table,
    rounds: u64,
    runtime: &Runtime,
) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Asynchronous::<Cache<u64, u64>> {
        name,
        new: &|| {
            let builder = Cache::builder().capacity(CAPACITY).ttl(HOUR);
            let builder = builder.defaults(Options::new().ttl(HOUR).tags(["tag"]));
            let builder = match backend(&clock) {
                Some(backend) => builder.backend(backend),
                None => builder,
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
    .run(table, rounds, runtime);
}

type Moka = moka::future::Cache<u64, u64>;
type Foyer = foyer_memory::Cache<u64, u64>;
type Quick = Arc<quick_cache::sync::Cache<u64, u64>>;

/// One engine that is called from threads, with all its ways to tell it of a change.
struct Blocking<'a, C> {
    name: &'static str,
    new: &'a dyn Fn() -> C,
    load: &'a Load<'a, C>,
    read: &'a dyn Fn(&C, u64) -> Option<u64>,
    changes: &'a [Change<'a, C>],
}

impl<C: Sync> Blocking<'_, C> {
    fn run(&self, table: &mut Table, rounds: u64) {
        for (change, apply) in self.changes {
            let orders = [Order::Fixed, Order::Random].map(|order| {
                let cache = (self.new)();
                let scene = Scene::default();
                let mut tally = Tally::default();
                thread::scope(|scope| {
                    let (start, keys) = mpsc::channel();
                    let (finish, finished) = mpsc::channel();
                    let (cache, scene, load) = (&cache, &scene, self.load);
                    scope.spawn(move || {
                        for key in keys {
                            let mut random = Random::new(key + 1);
                            scene.is_ready.store(true, Ordering::SeqCst);
                            order.dawdle(random.below(DAWDLE));
                            let dawdle = random.below(DAWDLE);
                            load(cache, key, &|| scene.load(order, dawdle));
                            finish.send(()).expect("the round waits for it");
                        }
                    });
                    for key in 0..rounds {
                        scene.raise();
                        start.send(key).expect("the loading thread is there");
                        scene.change(order, key, |new| apply(cache, key, new));
                        finished.recv().expect("the loading thread is there");
                        tally.judge((self.read)(cache, key), scene);
                        if tally.waited == ENOUGH {
                            break;
                        }
                    }
                });
                tally
            });
            row(table, self.name, change, orders);
        }
    }
}

type Loader = Pin<Box<dyn Future<Output = u64> + Send>>;
type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type ChangeTask<C> = (&'static str, fn(C, u64, u64) -> Task<()>);

/// One engine that is called from tasks, with all its ways to tell it of a change.
struct Asynchronous<'a, C> {
    name: &'static str,
    new: &'a dyn Fn() -> C,
    load: fn(C, u64, Loader) -> Task<u64>,
    read: fn(C, u64) -> Task<Option<u64>>,
    changes: &'a [ChangeTask<C>],
}

impl<C: Clone + Send + 'static> Asynchronous<'_, C> {
    fn run(&self, table: &mut Table, rounds: u64, runtime: &Runtime) {
        for (change, apply) in self.changes {
            let orders = [Order::Fixed, Order::Random].map(|order| {
                let cache = (self.new)();
                let scene = Arc::new(Scene::default());
                let mut tally = Tally::default();
                for key in 0..rounds {
                    scene.raise();
                    let read = runtime.block_on(async {
                        let mut random = Random::new(key + 1);
                        let (first, second) = (random.below(DAWDLE), random.below(DAWDLE));
                        let loading = (self.load)(cache.clone(), key, scene.loader(order, second));
                        let ready = Arc::clone(&scene);
                        let loading = tokio::spawn(async move {
                            ready.is_ready.store(true, Ordering::SeqCst);
                            order.dawdle(first);
                            loading.await
                        });
                        let changed = {
                            let (cache, scene, apply) = (cache.clone(), scene.clone(), *apply);
                            tokio::spawn(async move {
                                let new = scene.before_change(order, key).await;
                                apply(cache, key, new).await;
                                scene.after_change();
                            })
                        };
                        changed.await.expect("the change succeeds");
                        loading.await.expect("the load succeeds");
                        (self.read)(cache.clone(), key).await
                    });
                    tally.judge(read, &scene);
                    if tally.waited == ENOUGH {
                        break;
                    }
                }
                tally
            });
            row(table, self.name, change, orders);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    Fixed,
    Random,
}

impl Order {
    fn dawdle(self, turns: usize) {
        if self == Self::Random {
            (0..turns).for_each(|_| spin_loop());
        }
    }
}

/// The source, and how far a round has come.
#[derive(Default)]
struct Scene {
    source: AtomicU64,
    is_ready: AtomicBool,
    has_begun: AtomicBool,
    is_changed: AtomicBool,
    has_waited: AtomicBool,
}

impl Scene {
    /// Sets the scene for a round: the source gets the value that will be the old one.
    fn raise(&self) {
        self.source.fetch_add(1, Ordering::SeqCst);
        self.is_ready.store(false, Ordering::SeqCst);
        self.has_begun.store(false, Ordering::SeqCst);
        self.is_changed.store(false, Ordering::SeqCst);
        self.has_waited.store(false, Ordering::SeqCst);
    }

    /// What a loader does on a thread.
    fn load(&self, order: Order, dawdle: usize) -> u64 {
        let value = self.source.load(Ordering::SeqCst);
        self.has_begun.store(true, Ordering::SeqCst);
        order.dawdle(dawdle);
        if order == Order::Random && dawdle.is_multiple_of(2) {
            thread::yield_now();
        }
        let since = Instant::now();
        while order == Order::Fixed && !self.is_changed.load(Ordering::SeqCst) {
            if since.elapsed() > PATIENCE {
                self.has_waited.store(true, Ordering::SeqCst);
                break;
            }
            thread::yield_now();
        }
        value
    }

    /// The same in a task.
    fn loader(self: &Arc<Self>, order: Order, dawdle: usize) -> Loader {
        let scene = Arc::clone(self);
        Box::pin(async move {
            let value = scene.source.load(Ordering::SeqCst);
            scene.has_begun.store(true, Ordering::SeqCst);
            order.dawdle(dawdle);
            if order == Order::Random && dawdle.is_multiple_of(2) {
                yield_now().await;
            }
            let since = Instant::now();
            while order == Order::Fixed && !scene.is_changed.load(Ordering::SeqCst) {
                if since.elapsed() > PATIENCE {
                    scene.has_waited.store(true, Ordering::SeqCst);
                    break;
                }
                yield_now().await;
            }
            value
        })
    }

    /// Changes the source, then the cache, on this thread.
    fn change(&self, order: Order, key: u64, apply: impl FnOnce(u64)) {
        while !self.may_change(order) {
            thread::yield_now();
        }
        order.dawdle(Random::new(!key).below(2 * DAWDLE));
        apply(self.source.fetch_add(1, Ordering::SeqCst) + 1);
        self.after_change();
    }

    /// Changes the source when it is time, in a task; gives the new value.
    async fn before_change(&self, order: Order, key: u64) -> u64 {
        while !self.may_change(order) {
            yield_now().await;
        }
        order.dawdle(Random::new(!key).below(2 * DAWDLE));
        self.source.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether the load has begun, or its thread is awake and about to begin it.
    fn may_change(&self, order: Order) -> bool {
        let sign = if order == Order::Fixed { &self.has_begun } else { &self.is_ready };
        sign.load(Ordering::SeqCst)
    }

    fn after_change(&self) {
        self.is_changed.store(true, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Tally {
    rounds: u64,
    old: u64,
    waited: u64,
}

impl Tally {
    fn judge(&mut self, read: Option<u64>, scene: &Scene) {
        let newest = scene.source.load(Ordering::SeqCst);
        self.rounds += 1;
        self.old += u64::from(read.is_some_and(|value| value != newest));
        self.waited += u64::from(scene.has_waited.load(Ordering::SeqCst));
    }
}

fn row(table: &mut Table, engine: &str, change: &str, orders: [Tally; 2]) {
    let cells = orders.into_iter().flat_map(|tally| {
        // A change that waits for the load cannot be overtaken in this order.
        let waited =
            if tally.waited > 0 { format!(" ({} waited)", tally.waited) } else { String::new() };
        [tally.rounds.to_string(), format!("{}{waited}", tally.old)]
    });
    table.row([engine.to_owned(), change.to_owned()].into_iter().chain(cells));
}

/// More than there are rounds, so that nothing is evicted.
const CAPACITY: u64 = 1 << 20;
/// The most turns of an empty loop: some microseconds.
const DAWDLE: usize = 400;
/// After this a change that has not returned counts as one that waits for the load.
const PATIENCE: Duration = Duration::from_millis(500);
/// After this many of them no more rounds are run.
const ENOUGH: u64 = 3;
const HOUR: Duration = Duration::from_hours(1);
