//! State that callers and threads share: the present store, its connections, and the queues.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_core::{Result, StoreTime};
use rusqlite::Connection;

use crate::bound::SharedBound;
use crate::config::DiskConfig;
use crate::error::closed;
use crate::event::DiskEvent;
use crate::read::pace::{Length, Pace};
use crate::read::pool::Readers;
use crate::read::uses::Uses;
use crate::shared::job::Job;
use crate::shared::queue::Queue;
use crate::store::Store;
use crate::time::clock::coarse;

pub(crate) mod job;
pub(crate) mod queue;

/// A read for another thread than the caller's.
pub(crate) type Errand = Box<dyn FnOnce() + Send>;

/// The state that callers and threads share.
pub(crate) struct Shared {
    pub(crate) config: DiskConfig,
    /// None after the store is closed.
    store: Mutex<Option<Arc<Store>>>,
    /// Changes after each change of `store`.
    generation: AtomicU64,
    readers: Readers,
    /// The time at which the store was last found to be the one in the folder.
    found: AtomicI64,
    pub(crate) writes: Queue<Job>,
    short_reads: Queue<Errand>,
    long_reads: Queue<Errand>,
    pub(crate) pace: Pace,
    pub(crate) marks: Uses,
    /// The store's bound, as it was last read.
    pub(crate) bound: SharedBound,
}

impl Shared {
    pub(crate) fn new(config: DiskConfig, store: Store) -> Self {
        let marks = Uses::default();
        let bound = store.bound;
        marks.set_wanted(bound.0.is_some_and(|max| store.files().database > max / 2));
        Self {
            config,
            store: Mutex::new(Some(Arc::new(store))),
            generation: AtomicU64::new(0),
            readers: Readers::default(),
            found: AtomicI64::new(coarse()),
            writes: Queue::new(),
            short_reads: Queue::new(),
            long_reads: Queue::new(),
            pace: Pace::default(),
            marks,
            bound: SharedBound::new(bound),
        }
    }

    /// Returns the reads that wait for one of the reading threads.
    pub(crate) const fn reads(&self, length: Length) -> &Queue<Errand> {
        match length {
            Length::Short => &self.short_reads,
            Length::Any => &self.long_reads,
        }
    }

    /// True if the store exceeds its bound, which may have been made smaller.
    pub(crate) fn is_over_bound(&self) -> bool {
        let store = self.lock_store().clone();
        store.zip(self.bound.get().0).is_some_and(|(store, max)| {
            let files = store.files();
            files.database + files.log > max
        })
    }

    /// Gives up the store and its connections.
    pub(crate) fn close(&self) {
        *self.lock_store() = None;
        self.generation.fetch_add(1, Ordering::Release);
        self.readers.close();
    }

    /// Returns the store that was present at the last check.
    pub(crate) fn present(&self, operation: &'static str) -> Result<Arc<Store>> {
        self.lock_store().clone().ok_or_else(|| closed(operation))
    }

    /// Reads on this thread. The inner error is the database's.
    pub(crate) fn read<T>(
        &self,
        operation: &'static str,
        run: impl FnOnce(&Connection, StoreTime) -> rusqlite::Result<T>,
    ) -> Result<rusqlite::Result<T>> {
        let generation = self.generation.load(Ordering::Acquire);
        let present = || self.present(operation);
        self.readers
            .read(generation, present, |store, connection| run(connection, store.clock.now()))
    }

    /// Returns the store in the folder: this one, or its replacement. For the writing thread.
    pub(crate) fn replace(&self, operation: &'static str, old: &Arc<Store>) -> Result<Arc<Store>> {
        let present = self.present(operation)?;
        if !Arc::ptr_eq(&present, old) || present.is_current() {
            return Ok(present);
        }
        // Opening the store again must not change its bound.
        let store = Arc::new(Store::open(&self.config.again(self.bound.get()))?);
        self.bound.set(store.bound);
        match &mut *self.lock_store() {
            Some(present) => *present = Arc::clone(&store),
            None => return Err(closed(operation)),
        }
        self.generation.fetch_add(1, Ordering::Release);
        self.config.observer.tell(&DiskEvent::Reopened);
        Ok(store)
    }

    /// True if the present store is still the one in the folder. The folder is checked now and
    /// then.
    pub(crate) fn is_present_current(&self, operation: &'static str) -> Result<bool> {
        if !self.is_look_due() {
            return Ok(true);
        }
        let store = self.present(operation)?;
        Ok(self.is_current(&store))
    }

    /// True if this store is still the one in the folder. The folder is checked now and then.
    pub(crate) fn is_current(&self, store: &Store) -> bool {
        if !self.is_look_due() {
            return true;
        }
        let is_current = store.is_current();
        if is_current {
            self.found.store(coarse(), Ordering::Relaxed);
        }
        is_current
    }

    fn is_look_due(&self) -> bool {
        coarse() - self.found.load(Ordering::Relaxed) > LOOK_MICROS
    }

    fn lock_store(&self) -> MutexGuard<'_, Option<Arc<Store>>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest time for which a reader may not notice that the database was replaced.
const LOOK_MICROS: i64 = 50_000;
