//! The contestants: caches behind one small trait, one file for each.
//!
//! A contestant that is asynchronous is polled on the measuring thread. A hit is ready at the first
//! poll, so the sample is that of the future alone; a future that is not ready is driven by the
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

/// The cached value. It is shared, so that a hit copies a pointer.
pub type Value = Arc<[u8; 100]>;

/// Returns a value with an allocation of its own.
pub fn value(seed: u64) -> Value {
    Arc::new([seed as u8; 100])
}

/// The set-up of a contestant. A contestant ignores a setting that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The number of entries that it holds.
    pub capacity: usize,
    /// True if entries have a ttl, of an hour.
    pub ttl: bool,
    /// True if each entry has a tag.
    pub tag: bool,
    /// True if a listener is called for evicted entries.
    pub listener: bool,
}

impl Settings {
    /// Returns settings with only a capacity.
    pub const fn plain(capacity: usize) -> Self {
        Self { capacity, ttl: false, tag: false, listener: false }
    }
}

/// A cache that can be read.
pub trait Contestant<K: Key>: Send + Sync + Sized {
    /// Returns a cache that holds these entries.
    fn filled(settings: &Settings, entries: impl Iterator<Item = (K, Value)>) -> Self;

    /// Returns the value of a key.
    fn get(&self, key: &K::Asked) -> Option<Value>;
}

/// A cache that can be written to while others read.
pub trait Changing<K: Key>: Contestant<K> {
    /// Returns an empty cache.
    fn new(settings: &Settings) -> Self;

    /// Puts an entry.
    fn insert(&self, key: K, value: Value);

    /// Returns the number of entries, after all deferred work is done.
    fn len(&self) -> usize;
}

/// A cache that runs a loader for an absent key.
pub trait Loading<K: Key>: Changing<K> {
    /// Returns the value of a key, or the loader's if there was none.
    fn get_or_load(&self, key: &K::Asked, loader: impl FnOnce() -> Value + Send + 'static)
    -> Value;
}

/// Returns a new cache with these entries.
fn fill<K: Key, C: Changing<K>>(
    settings: &Settings,
    entries: impl Iterator<Item = (K, Value)>,
) -> C {
    let contestant = C::new(settings);
    entries.for_each(|(key, value)| contestant.insert(key, value));
    contestant
}

/// The runtime for contestants that need one.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_time().build().expect("the runtime starts")
});

/// Returns the output of a future: at once if it is ready, else driven by the runtime.
#[inline]
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => RUNTIME.block_on(future),
    }
}

const HOUR: Duration = Duration::from_hours(1);
