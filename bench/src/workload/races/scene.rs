//! The scene of a round: the source, and the progress of load and change.

use std::future::Future;
use std::hint::spin_loop;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::yield_now;

use crate::random::Random;

/// A loader that runs in a task.
pub type Loader = Pin<Box<dyn Future<Output = u64> + Send>>;

/// The moment of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The change comes while the loader runs.
    Fixed,
    /// The change comes before, amid or after the load.
    Random,
}

impl Order {
    /// Spends a random time, if the order is random.
    pub fn dawdle(self, turns: usize) {
        if self == Self::Random {
            (0..turns).for_each(|_| spin_loop());
        }
    }
}

/// The source, and the progress of a round.
#[derive(Debug, Default)]
pub struct Scene {
    source: AtomicU64,
    /// True if the loading thread is awake.
    pub is_ready: AtomicBool,
    has_begun: AtomicBool,
    is_changed: AtomicBool,
    has_waited: AtomicBool,
}

impl Scene {
    /// Sets the scene for a round: the source gets the value that will be the old one.
    pub fn raise(&self) {
        self.source.fetch_add(1, Ordering::SeqCst);
        self.is_ready.store(false, Ordering::SeqCst);
        self.has_begun.store(false, Ordering::SeqCst);
        self.is_changed.store(false, Ordering::SeqCst);
        self.has_waited.store(false, Ordering::SeqCst);
    }

    /// Runs a loader on a thread.
    pub fn load(&self, order: Order, dawdle: usize) -> u64 {
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

    /// Like [`load`](Self::load), in a task.
    pub fn loader(self: &Arc<Self>, order: Order, dawdle: usize) -> Loader {
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
    pub fn change(&self, order: Order, key: u64, apply: impl FnOnce(u64)) {
        while !self.may_change(order) {
            thread::yield_now();
        }
        order.dawdle(Random::new(!key).below(2 * DAWDLE));
        apply(self.source.fetch_add(1, Ordering::SeqCst) + 1);
        self.after_change();
    }

    /// Changes the source when it is time, in a task. Returns the new value.
    pub async fn before_change(&self, order: Order, key: u64) -> u64 {
        while !self.may_change(order) {
            yield_now().await;
        }
        order.dawdle(Random::new(!key).below(2 * DAWDLE));
        self.source.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// True if the load has begun, or its thread is awake and about to begin it.
    fn may_change(&self, order: Order) -> bool {
        let sign = if order == Order::Fixed { &self.has_begun } else { &self.is_ready };
        sign.load(Ordering::SeqCst)
    }

    /// Lets the loader return.
    pub fn after_change(&self) {
        self.is_changed.store(true, Ordering::SeqCst);
    }
}

/// The results of the rounds.
#[derive(Debug, Default)]
pub struct Tally {
    /// The number of rounds.
    pub rounds: u64,
    /// The number of rounds after which the old value was there.
    pub old: u64,
    waited: u64,
}

impl Tally {
    /// Judges the value that is read after a round.
    pub fn judge(&mut self, read: Option<u64>, scene: &Scene) {
        let newest = scene.source.load(Ordering::SeqCst);
        self.rounds += 1;
        self.old += u64::from(read.is_some_and(|value| value != newest));
        self.waited += u64::from(scene.has_waited.load(Ordering::SeqCst));
    }

    /// True if the change waits for the load, so that it cannot be overtaken: more rounds take long
    /// and show nothing new.
    pub const fn is_told(&self) -> bool {
        self.waited >= ENOUGH
    }
}

/// The most steps of an empty loop: some microseconds.
pub const DAWDLE: usize = 400;
/// The time after which a change that has not returned counts as one that waits for the load.
const PATIENCE: Duration = Duration::from_millis(500);
/// The number of such rounds after which no more are run.
const ENOUGH: u64 = 3;
