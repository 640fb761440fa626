//! Contestants that are called from threads.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use larder::{EntryOptions, LocalCache};

use super::scene::{DAWDLE, Order, Scene, Tally};
use super::{CAPACITY, Case, HOUR};
use crate::random::Random;

type Load<'a, C> = dyn Fn(&C, u64, &dyn Fn() -> u64) -> u64 + Sync + 'a;
type Change<'a, C> = (&'static str, &'a (dyn Fn(&C, u64, u64) + Sync));

/// `larder::LocalCache`, also with a tag on the loaded value.
pub fn larder_local(rounds: u64) -> Vec<Case> {
    type Local = LocalCache<u64, u64>;
    let new = || LocalCache::builder().capacity(CAPACITY).ttl(HOUR).build().expect("it is valid");
    let read = |cache: &Local, key| cache.get(&key);
    let plain = Blocking {
        new: &new,
        load: &|cache, key, loader| cache.get_with(&key, loader),
        read: &read,
        changes: &[
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
        ],
    };
    let tags = || EntryOptions::new().tags(["tag"]);
    let tagged = Blocking {
        new: &new,
        load: &|cache: &Local, key, loader| {
            let loader = || Ok::<_, ()>(loader());
            cache.try_get_with_options(&key, tags(), loader).expect("the load succeeds")
        },
        read: &read,
        changes: &[
            ("invalidate_tag", &|cache, _, _| cache.invalidate_tag("tag")),
            ("mark_tag_stale", &|cache, _, _| cache.mark_tag_stale("tag")),
        ],
    };
    [plain.run(rounds), tagged.run(rounds)].concat()
}

/// `moka::sync::Cache`.
pub fn moka(rounds: u64) -> Vec<Case> {
    let moka = Blocking {
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
    };
    moka.run(rounds)
}

/// quick_cache. Its `retain` judges the entries that are there and leaves loads alone.
pub fn quick_cache(rounds: u64) -> Vec<Case> {
    let quick_cache = Blocking {
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
    };
    quick_cache.run(rounds)
}

/// A contestant that is called from threads, with all its ways to change an entry.
pub struct Blocking<'a, C> {
    pub new: &'a dyn Fn() -> C,
    pub load: &'a Load<'a, C>,
    pub read: &'a dyn Fn(&C, u64) -> Option<u64>,
    pub changes: &'a [Change<'a, C>],
}

impl<C: Sync> Blocking<'_, C> {
    /// Runs this many rounds of each change in each order.
    pub fn run(&self, rounds: u64) -> Vec<Case> {
        let mut cases = Vec::new();
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
                        if tally.is_told() {
                            break;
                        }
                    }
                });
                tally
            });
            cases.extend(Case::both(change, orders));
        }
        cases
    }
}
