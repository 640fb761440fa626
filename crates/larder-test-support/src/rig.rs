//! Caches over memory alone and over memory and a store, on one clock that tests move.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::{AnyBackend, Backend, Class, Key, Namespace, Record};
use larder::{Cache, CacheBuilder, CacheKey, Event, MemoryBackend};
use larder_disk::{DiskBackend, DiskConfig};
use larder_testkit::{Faulty, ManualClock, block_on};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::folder::Folder;
use self::prompt::Prompt;

pub(crate) mod folder;
mod prompt;

/// A set-up: a clock, and a store if there is one beside the memory.
#[derive(Clone)]
pub(crate) struct Rig {
    /// Its name.
    pub(crate) name: &'static str,
    pub(crate) clock: ManualClock,
    pub(crate) store: Option<Faulty<AnyBackend>>,
    /// The shortest time that the set-up tells apart.
    pub(crate) tick: Duration,
    /// That of the store on disk, removed with the last clone.
    folder: Option<Arc<Folder>>,
}

impl Rig {
    /// Memory alone.
    pub(crate) fn memory() -> Self {
        let tick = Duration::from_nanos(1);
        Self { name: "memory", clock: ManualClock::new(), store: None, tick, folder: None }
    }

    /// Memory and a store in memory.
    pub(crate) fn shared() -> Self {
        let rig = Self { name: "memory over memory", ..Self::memory() };
        let memory = MemoryBackend::new(Arc::new(rig.clock.clone()));
        rig.over(memory)
    }

    /// Memory and a store on disk.
    pub(crate) fn disk() -> Self {
        let (mut rig, folder) = (Self::memory(), Folder::new());
        // What a test leaks would make its folder anew to purge it.
        let config = DiskConfig::new(folder.path()).purge_every(None);
        let disk = DiskBackend::open(config.clock(Arc::new(rig.clock.clone()))).unwrap();
        rig.name = "memory over SQLite";
        rig.tick = Duration::from_micros(1);
        rig.folder = Some(Arc::new(folder));
        rig.over(Prompt::new(disk))
    }

    /// All set-ups.
    pub(crate) fn all() -> [Self; 3] {
        [Self::memory(), Self::shared(), Self::disk()]
    }

    /// Those with a store.
    pub(crate) fn with_store() -> [Self; 2] {
        [Self::shared(), Self::disk()]
    }

    fn over(self, backend: impl Backend) -> Self {
        let clock = Arc::new(self.clock.clone());
        Self { store: Some(Faulty::new(AnyBackend::new(backend), clock)), ..self }
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

    pub(crate) fn store(&self) -> &Faulty<AnyBackend> {
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

/// Runs a body over memory alone, then over memory and each store.
pub(crate) fn on_all(body: impl AsyncFn(Rig)) {
    for rig in Rig::all() {
        on(rig, &body);
    }
}

/// Runs a body over memory and each store.
pub(crate) fn on_shared(body: impl AsyncFn(Rig)) {
    for rig in Rig::with_store() {
        on(rig, &body);
    }
}

/// Runs a body over one set-up.
#[expect(clippy::print_stdout, reason = "what is printed is the answer to who asks for it")]
pub(crate) fn on(rig: Rig, body: &impl AsyncFn(Rig)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let name = rig.name;
    runtime.block_on(in_time(body(rig)));
    if std::env::var_os("LARDER_CONTRACT").is_some() {
        // For `cargo xtask test contract`, which shows where each row has run.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        println!("contract: {test} on {name}");
    }
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
