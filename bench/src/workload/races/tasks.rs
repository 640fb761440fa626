//! The calls of a contestant from tasks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Case;
use super::scene::{DAWDLE, Loader, Order, Scene, Tally};
use crate::contestant::RUNTIME;
use crate::random::Random;

/// The work of a task.
pub type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// A change by its name.
pub type ChangeTask<C> = (&'static str, fn(C, u64, u64) -> Task<()>);

/// A contestant that is called from tasks, with all its ways to change an entry.
pub struct Asynchronous<'a, C> {
    pub new: &'a dyn Fn() -> C,
    pub load: fn(C, u64, Loader) -> Task<u64>,
    pub read: fn(C, u64) -> Task<Option<u64>>,
    pub changes: &'a [ChangeTask<C>],
}

impl<C: Clone + Send + 'static> Asynchronous<'_, C> {
    /// Runs this many rounds of each change in each order.
    pub fn run(&self, rounds: u64) -> Vec<Case> {
        let mut cases = Vec::new();
        for (change, apply) in self.changes {
            let orders = [Order::Fixed, Order::Random].map(|order| {
                let cache = (self.new)();
                let scene = Arc::new(Scene::default());
                let mut tally = Tally::default();
                for key in 0..rounds {
                    scene.raise();
                    let read = RUNTIME.block_on(async {
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
                    if tally.is_told() {
                        break;
                    }
                }
                tally
            });
            cases.extend(Case::both(change, orders));
        }
        cases
    }
}
