//! What is measured: caches behind one small trait, one file for each.
//!
//! A contestant that is asynchronous is polled on the measuring thread. A hit is ready at the first
//! poll, so what is measured is the future and nothing else; what is not ready is driven by the
//! runtime.

pub use self::table::{KNOWN, Known, known, visit_any, visit_changing, visit_loading};
pub use self::table::{Role, VisitAny, VisitChanging, VisitLoading};

mod cached;
mod dashmap;
mod foyer;
mod frozen;
mod larder_cache;
mod larder_local;
mod lru;
mod mini_moka;
mod moka_future;
mod moka_sync;
mod papaya;
mod quick_cache;
mod table;

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::key::Key;

/// What is cached: shared, so that a hit copies a pointer.
pub type Value = Arc<[u8; 100]>;

/// A value that is its own allocation.
pub fn value(seed: u64) -> Value {
    Arc::new([seed as u8; 100])
}

/// How a contestant is set up. One that has no such thing leaves it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many entries it holds.
    pub capacity: usize,
    /// Whether entries have a ttl, of an hour.
    pub ttl: bool,
    /// Whether each entry has a tag.
    pub tag: bool,
    /// Whether somebody is told of what leaves.
    pub listener: bool,
}

impl Settings {
    /// Nothing but a capacity.
    pub const fn plain(capacity: usize) -> Self {
        Self { capacity, ttl: false, tag: false, listener: false }
    }
}

/// What can be asked.
pub trait Contestant<K: Key>: Send + Sync + Sized {
    /// One that holds these.
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self;

    /// The value of a key.
    fn get(&self, key: &K::Asked) -> Option<Value>;
}

/// What can be written to while others read.
pub trait Changing<K: Key>: Contestant<K> {
    /// An empty one.
    fn new(settings: &Settings) -> Self;

    /// Puts an entry.
    fn insert(&self, key: K, value: Value);

    /// How many entries there are, with everything done that was put off.
    fn len(&self) -> usize;
}

/// What runs a loader for a key that is not there.
pub trait Loading<K: Key>: Changing<K> {
    /// The value of a key; the loader's if there was none.
    fn get_or_load(&self, key: &K::Asked, loader: impl FnOnce() -> Value + Send + 'static)
    -> Value;
}

/// A new one with these entries.
fn fill<K: Key, C: Changing<K>>(
    settings: &Settings,
    entries: impl Iterator<Item = (K, Value)>,
) -> C {
    let contestant = C::new(settings);
    entries.for_each(|(key, value)| contestant.insert(key, value));
    contestant
}

/// What those that need a runtime run on.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_time().build().expect("the runtime starts")
});

/// What a future comes to: at once if it is ready, else driven by the runtime.
#[inline]
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => RUNTIME.block_on(future),
    }
}

const HOUR: Duration = Duration::from_hours(1);
