//! The memory backend, the reference implementation of the contract.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Backend, Capabilities, Clock, Delete, Error, ErrorKind, Incarnation, Key, Outcome, Page,
    Record, Result, Retime, Scope, StoreTime, Timestamp, Version, Write,
};

use crate::memory::shelf::Shelf;
use crate::memory::store::Store;
use crate::support::clock::SystemClock;
use crate::support::sync::{Arc, MutexGuard, lock};

mod shelf;
mod store;

/// Records in this process's memory: the reference implementation of [`Backend`].
///
/// Every rule of the contract is kept exactly: lives end to the nanosecond, and a batch is one
/// step. Clones share the store, so two caches over clones see each other's records, and closing
/// one closes them all. Dead records leave memory within a second without being asked for: values
/// and leases, and so locks that have run out.
#[derive(Clone)]
pub struct MemoryBackend {
    incarnation: Incarnation,
    shelf: Arc<Shelf>,
}

/// An empty store whose lives are judged by the system's clock.
impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl MemoryBackend {
    /// An empty store whose lives are judged by this clock, without a bound.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        // A version is unique per process and instance. An incarnation needs no more.
        let id = u128::from_be_bytes(Version::next().to_bytes());
        Self { incarnation: Incarnation::new(id), shelf: Shelf::new(clock) }
    }

    /// Bounds the store to this many bytes of payload. Keys and headers are not counted.
    ///
    /// A write beyond it frees dead records and, if that is not enough, fails with
    /// [`NoSpace`](ErrorKind::NoSpace). Deletes always work.
    #[must_use]
    pub fn with_max_bytes(self, bytes: usize) -> Self {
        lock(&self.shelf.store).max_bytes = Some(bytes);
        self
    }

    fn open(&self, operation: &'static str) -> Result<MutexGuard<'_, Store>> {
        let store = lock(&self.shelf.store);
        if store.is_closed {
            return Err(Error::new(ErrorKind::Closed, operation, "the backend has been closed"));
        }
        Ok(store)
    }

    fn change<C>(
        &self,
        operation: &'static str,
        changes: &[C],
        apply: impl Fn(&mut Store, Timestamp, &C) -> Outcome,
    ) -> Vec<Outcome> {
        match self.open(operation) {
            Ok(mut store) => {
                let now = self.shelf.clock.now();
                let outcomes =
                    changes.iter().map(|change| apply(&mut store, now, change)).collect();
                let has_deaths = !store.deaths.is_empty();
                drop(store);
                if has_deaths {
                    self.shelf.keep_swept();
                }
                outcomes
            }
            Err(error) => changes.iter().map(|_| Outcome::Failed(error.clone())).collect(),
        }
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = lock(&self.shelf.store);
        f.debug_struct("MemoryBackend")
            .field("records", &store.records.len())
            .field("payload_bytes", &store.bytes)
            .field("max_bytes", &store.max_bytes)
            .field("is_closed", &store.is_closed)
            .finish_non_exhaustive()
    }
}

impl Backend for MemoryBackend {
    fn capabilities(&self) -> Capabilities {
        // Records die exactly when their life ends, and are freed soon after.
        Capabilities::new(Scope::Process)
            .with_max_key_bytes(usize::MAX)
            .with_native_ttl(Duration::ZERO)
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        match self.open("read") {
            Ok(store) => {
                let now = self.shelf.clock.now();
                keys.iter().map(|key| store.read(now, key)).collect()
            }
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Record>> {
        let store = self.open("read")?;
        store.read(self.shelf.clock.now(), key)
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        self.change("write", writes, Store::write)
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        self.change("retime", retimes, Store::retime)
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        self.change("delete", deletes, Store::delete)
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        let store = self.open("scan")?;
        Ok(store.scan(self.shelf.clock.now(), prefix, cursor.as_ref(), limit))
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        let mut store = self.open("purge")?;
        Ok(store.purge(self.shelf.clock.now(), limit))
    }

    async fn clock(&self) -> Result<StoreTime> {
        drop(self.open("clock")?);
        let micros = self.shelf.clock.now().as_nanos() / 1_000;
        Ok(StoreTime::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)))
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        drop(self.open("incarnation")?);
        Ok(self.incarnation)
    }

    async fn close(&self) -> Result<()> {
        let mut store = lock(&self.shelf.store);
        let emptied = std::mem::take(&mut *store);
        store.is_closed = true;
        // The payloads may be many: they are dropped without the lock.
        drop(store);
        drop(emptied);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use larder_core::{Class, Expect, NEVER, Namespace, Times};
    use larder_testkit::{ManualClock, block_on};

    use super::*;

    fn bounded(max_bytes: usize) -> (ManualClock, MemoryBackend) {
        let clock = ManualClock::new();
        let backend = MemoryBackend::new(Arc::new(clock.clone())).with_max_bytes(max_bytes);
        (clock, backend)
    }

    fn write(backend: &MemoryBackend, text: &str, bytes: usize, life: Duration) -> Outcome {
        let record = Record::value(Bytes::from(vec![7; bytes]), Times::new(life, life));
        let write = Write { key: key(text), record, expect: Expect::Any };
        block_on(backend.write(&[write])).remove(0)
    }

    fn key(text: &str) -> Key {
        Key::new(&Namespace::new("shop").unwrap(), Class::Entry, text.as_bytes())
    }

    fn is_full(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Failed(error) if error.kind() == ErrorKind::NoSpace)
    }

    #[test]
    fn a_full_store_refuses_writes_and_takes_deletes() {
        let (_clock, backend) = bounded(10);
        assert!(write(&backend, "a", 6, NEVER).is_done());
        assert!(is_full(&write(&backend, "b", 5, NEVER)));
        assert!(write(&backend, "a", 10, NEVER).is_done(), "what it replaces gives its room");
        assert!(is_full(&write(&backend, "a", 11, NEVER)));
        let kept = block_on(backend.read_one(&key("a"))).unwrap().unwrap();
        assert_eq!(kept.payload.len(), 10, "a failed write changes nothing");
        let delete = Delete { key: key("a"), expect: Expect::Any };
        assert!(block_on(backend.delete(&[delete])).remove(0).is_done());
        assert!(write(&backend, "b", 10, NEVER).is_done());
    }

    #[test]
    fn a_full_store_frees_the_dead_before_it_refuses() {
        let (clock, backend) = bounded(10);
        assert!(write(&backend, "a", 10, Duration::from_secs(1)).is_done());
        assert!(is_full(&write(&backend, "b", 1, NEVER)));
        clock.advance(Duration::from_secs(1));
        assert!(write(&backend, "b", 10, NEVER).is_done());
    }

    #[test]
    fn the_sum_of_bytes_follows_every_change() {
        let (clock, backend) = bounded(100);
        for round in 0..50_usize {
            let life = Duration::from_secs(1 + round as u64 % 3);
            assert!(write(&backend, &format!("k{}", round % 5), round % 20, life).is_done());
            clock.advance(Duration::from_millis(300));
            assert!(block_on(backend.purge(1)).unwrap() <= 1);
            let store = lock(&backend.shelf.store);
            let sum: usize = store.records.values().map(|stored| stored.record.payload.len()).sum();
            assert_eq!(store.bytes, sum);
            assert_eq!(store.deaths.len(), store.records.len());
        }
    }
}
