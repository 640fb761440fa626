//! Caches over memory alone and over memory and a store, on one clock that tests move.

use std::sync::Arc;
use std::time::Duration;

use larder::backend::{AnyBackend, Backend, Class, Key, Namespace, Record};
use larder::{Cache, CacheBuilder, CacheKey, MemoryBackend};
use larder_disk::DiskBackend;
use larder_testkit::{Faulty, ManualClock, block_on};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::folder::Folder;
use crate::prompt::Prompt;
use crate::time::{in_time, secs};

/// A set-up: a clock, and a store if there is one beside the memory.
#[derive(Clone, Debug)]
pub struct Rig {
    /// The name of the set-up.
    pub name: &'static str,
    /// The clock of the caches and of the store.
    pub clock: ManualClock,
    /// The store, which can be made to fail.
    pub store: Option<Faulty<AnyBackend>>,
    /// The shortest time that the set-up can tell apart.
    pub tick: Duration,
    /// The folder of the store on disk, removed with the last clone.
    folder: Option<Arc<Folder>>,
}

impl Rig {
    /// Returns memory alone.
    pub fn memory() -> Self {
        let tick = Duration::from_nanos(1);
        Self { name: "memory", clock: ManualClock::new(), store: None, tick, folder: None }
    }

    /// Returns memory over a store in memory.
    pub fn shared() -> Self {
        let rig = Self { name: "memory over memory", ..Self::memory() };
        let memory = MemoryBackend::new(Arc::new(rig.clock.clone()));
        rig.over(memory)
    }

    /// Returns memory over a store on disk.
    pub fn disk() -> Self {
        let (mut rig, folder) = (Self::memory(), Folder::new());
        // A store that a test leaks would create its folder again to purge it.
        let config = folder.config().purge_every(None);
        let disk = DiskBackend::open(config.clock(Arc::new(rig.clock.clone()))).unwrap();
        rig.name = "memory over SQLite";
        rig.tick = Duration::from_micros(1);
        rig.folder = Some(Arc::new(folder));
        rig.over(Prompt::new(disk))
    }

    /// Returns all set-ups.
    pub fn all() -> [Self; 3] {
        [Self::memory(), Self::shared(), Self::disk()]
    }

    /// Returns the set-ups with a store.
    pub fn with_store() -> [Self; 2] {
        [Self::shared(), Self::disk()]
    }

    fn over(self, backend: impl Backend) -> Self {
        let clock = Arc::new(self.clock.clone());
        Self { store: Some(Faulty::new(AnyBackend::new(backend), clock)), ..self }
    }

    /// Returns the builder of a cache of this set-up. Each cache is like another process to the
    /// others.
    pub fn builder<K, V>(&self) -> CacheBuilder<K, V>
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

    /// Returns the store; panics over memory alone.
    pub fn store(&self) -> &Faulty<AnyBackend> {
        self.store.as_ref().unwrap()
    }

    /// Returns the record in the store under the key, of any kind.
    pub fn record(&self, key: &str) -> Option<Record> {
        block_on(self.store().inner().read_one(&entry(key))).unwrap()
    }

    /// Moves the clock.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(secs(seconds));
    }
}

/// Returns the name of a user's key in the default namespace.
pub fn entry(key: &str) -> Key {
    Key::new(&Namespace::new("larder").unwrap(), Class::Entry, key.as_bytes())
}

/// Runs a body over memory alone, then over memory and each store.
pub fn on_all(body: impl AsyncFn(Rig)) {
    for rig in Rig::all() {
        on(rig, &body);
    }
}

/// Runs a body over memory and each store.
pub fn on_shared(body: impl AsyncFn(Rig)) {
    for rig in Rig::with_store() {
        on(rig, &body);
    }
}

/// Runs a body over one set-up.
#[expect(clippy::print_stdout, reason = "what is printed is the answer to who asks for it")]
pub fn on(rig: Rig, body: &impl AsyncFn(Rig)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let name = rig.name;
    runtime.block_on(in_time(body(rig)));
    if std::env::var_os("LARDER_CONTRACT").is_some() {
        // The line is for `cargo xtask test contract`, which shows where each row has run.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        println!("contract: {test} on {name}");
    }
}
