//! Caches over memory alone and over memory and a shared store, on one clock that tests move.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::{Backend, Class, Key, Namespace, Record};
use larder::{Cache, CacheBuilder, CacheKey, Event, MemoryBackend};
use larder_testkit::{Faulty, ManualClock, block_on};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A set-up: a clock, and a store if there is one beside the memory.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) clock: ManualClock,
    pub(crate) store: Option<Faulty<MemoryBackend>>,
}

impl Rig {
    pub(crate) fn memory() -> Self {
        Self { clock: ManualClock::new(), store: None }
    }

    pub(crate) fn shared() -> Self {
        let clock = ManualClock::new();
        let memory = MemoryBackend::new(Arc::new(clock.clone()));
        let store = Faulty::new(memory, Arc::new(clock.clone()));
        Self { clock, store: Some(store) }
    }

    /// A cache of this set-up. Each is another process to the others.
    pub(crate) fn builder<K, V>(&self) -> CacheBuilder<K, V>
    where
        K: CacheKey,
        V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
    {
        let builder = Cache::builder().clock(Arc::new(self.clock.clone()));
        match &self.store {
            Some(store) => builder.backend(store.clone()),
            None => builder,
        }
    }

    pub(crate) fn store(&self) -> &Faulty<MemoryBackend> {
        self.store.as_ref().unwrap()
    }

    /// What the store has under the key, of any kind.
    pub(crate) fn record(&self, key: &str) -> Option<Record> {
        block_on(self.store().inner().read_one(&entry(key))).unwrap()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(secs(seconds));
    }
}

/// The name of a user's key in the default namespace.
pub(crate) fn entry(key: &str) -> Key {
    Key::new(&Namespace::new("larder").unwrap(), Class::Entry, key.as_bytes())
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Runs a body over memory alone, then over memory and a shared store.
pub(crate) fn on_both(body: impl AsyncFn(Rig)) {
    for rig in [Rig::memory(), Rig::shared()] {
        on(rig, &body);
    }
}

/// Runs a body over memory and a shared store.
pub(crate) fn on_shared(body: impl AsyncFn(Rig)) {
    on(Rig::shared(), &body);
}

fn on(rig: Rig, body: &impl AsyncFn(Rig)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(in_time(body(rig)));
}

/// Turns a hang into a failure.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(secs(60), future).await.expect("it hangs")
}

/// Lets every other task of a current-thread runtime run until it waits for something.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// What a cache has told its observer.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    pub(crate) fn observer(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let told = self.clone();
        move |event| told.0.lock().unwrap().push(event.clone())
    }

    /// How many events there were for which this holds.
    pub(crate) fn count(&self, is_meant: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| is_meant(event)).count()
    }
}
