//! The contract over a database: small reads where the caller stands, all else on two threads.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use larder_core::{
    Backend, Capabilities, Delete, Error, ErrorKind, Incarnation, Key, Outcome, Page, Record,
    Result, Retime, Scope, StoreTime, Write,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::change::Change;
use crate::clock::coarse;
use crate::config::DiskConfig;
use crate::error::{closed, is_busy, is_damage, of_sqlite};
use crate::event::DiskEvent;
use crate::queue::{Queue, Taken};
use crate::read::{self, Read, SMALL_BYTES};
use crate::readers::Readers;
use crate::room::{self, DiskUsage};
use crate::store::Store;
use crate::writer::{Job, Writer};

/// Records in a folder, shared by the processes of one host.
///
/// Clones share everything, and closing one closes them all. Two threads are started when they are
/// first needed, one that writes and one that reads what is large; they end with the last clone. No
/// runtime is needed.
///
/// # Cancel safety
/// A change whose future is dropped is applied or not, key by key, never in half.
#[derive(Clone)]
pub struct DiskBackend(Arc<Handle>);

/// Ends the threads with the last clone.
struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
    /// Held while threads are waited for. Never taken by them.
    closing: Mutex<()>,
}

#[derive(Default)]
struct Threads {
    writer: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<()>>,
    is_closed: bool,
}

type Errand = Box<dyn FnOnce() + Send>;

/// What callers and threads share.
pub(crate) struct Shared {
    pub(crate) config: DiskConfig,
    capabilities: Capabilities,
    /// None when closed.
    store: Mutex<Option<Arc<Store>>>,
    /// Changes with `store`, and after it.
    generation: AtomicU64,
    readers: Readers,
    /// When somebody last looked whether the store is still the one in the folder.
    looked: AtomicI64,
    pub(crate) writes: Queue<Job>,
    reads: Queue<Errand>,
    pub(crate) marks: Marks,
}

impl DiskBackend {
    /// Opens the store in the configured folder, and creates what is missing.
    ///
    /// It reads a few pages and blocks for about a millisecond.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a setting is out of its range, the folder is
    /// unsafe (others can write into it, it is a link, it belongs to somebody else) or holds another
    /// program's files; [`Unsupported`](ErrorKind::Unsupported) if a newer version wrote the store;
    /// [`Unavailable`](ErrorKind::Unavailable) or [`NoSpace`](ErrorKind::NoSpace) if the system
    /// refuses. None of them changes what is there.
    pub fn open(config: DiskConfig) -> Result<Self> {
        config.check()?;
        let store = Store::open(&config)?;
        let mut capabilities =
            Capabilities::new(Scope::Host).with_max_value_bytes(max_value(&config));
        if config.max_bytes.is_some() {
            capabilities = capabilities.with_eviction();
        }
        let marks = Marks::default();
        if let Some(max) = config.max_bytes {
            let (file, _) = store.file_bytes();
            marks.set_wanted(file > max / 2);
        }
        let shared = Shared {
            config,
            capabilities,
            store: Mutex::new(Some(Arc::new(store))),
            generation: AtomicU64::new(0),
            readers: Readers::default(),
            looked: AtomicI64::new(coarse()),
            writes: Queue::new(),
            reads: Queue::new(),
            marks,
        };
        let threads = Mutex::default();
        let closing = Mutex::default();
        Ok(Self(Arc::new(Handle { shared: Arc::new(shared), threads, closing })))
    }

    /// How much the store holds. Counts the records, which takes a while where there are many.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed), and the database's own.
    pub fn usage(&self) -> Result<DiskUsage> {
        let read = self.0.shared.read("usage", |connection, _| {
            let sql = "SELECT count(*) FROM entries";
            let records: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            Ok((u64::try_from(records).unwrap_or(0), room::pages(connection)?.0))
        })?;
        let (records, used) = read.map_err(|error| of_sqlite("usage", error))?;
        let (file_bytes, log_bytes) = self.0.shared.present("usage")?.file_bytes();
        let max_bytes = self.0.shared.config.max_bytes;
        Ok(DiskUsage { records, used_bytes: used, file_bytes, log_bytes, max_bytes })
    }

    async fn change(&self, operation: &'static str, changes: Vec<Change>) -> Vec<Outcome> {
        let count = changes.len();
        let all = |outcome: Outcome| vec![outcome; count];
        if changes.is_empty() {
            return Vec::new();
        }
        let asked = match self.0.shared.present(operation) {
            Ok(store) => store.clock.now(),
            Err(error) => return all(Outcome::Failed(error)),
        };
        let bytes = changes.iter().map(Change::bytes).sum();
        let answered = self.ask(operation, bytes, |answer| Job::Changes(changes, asked, answer));
        match answered.await {
            Ok(outcomes) => outcomes,
            Err(error) if error.kind() == ErrorKind::Closed => all(Outcome::Failed(error)),
            Err(error) => all(Outcome::Unknown(error)),
        }
    }

    /// Has the writing thread do a job, and waits for its answer.
    async fn ask<T>(
        &self,
        operation: &'static str,
        bytes: usize,
        job: impl FnOnce(oneshot::Sender<T>) -> Job,
    ) -> Result<T> {
        self.0.start_writer(operation)?;
        let (answer, answered) = oneshot::channel();
        if !self.0.shared.writes.push(job(answer), bytes).await {
            return Err(closed(operation));
        }
        answered.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, operation, "the thread that writes has ended")
        })
    }

    /// Reads where the caller stands; elsewhere what may have to wait there, for a recovery or for
    /// another process.
    async fn read_here<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl Fn(&Connection, StoreTime) -> rusqlite::Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        self.0.look(operation).await?;
        match self.0.shared.read(operation, &run)? {
            Ok(answer) => Ok(answer),
            Err(_) => self.read_there(operation, run).await,
        }
    }

    /// Reads on the thread for it; once more, in what takes its place, if the database is damaged.
    async fn read_there<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl Fn(&Connection, StoreTime) -> rusqlite::Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let run = Arc::new(run);
        self.0.look(operation).await?;
        let store = self.0.shared.present(operation)?;
        match self.errand(operation, Arc::clone(&run)).await? {
            Err(error) if is_damage(&error) => {
                self.ask(operation, 0, |answer| Job::Check(store, Some(error), answer)).await??;
                let read = self.errand(operation, run).await?;
                read.map_err(|error| of_sqlite(operation, error))
            }
            read => read.map_err(|error| of_sqlite(operation, error)),
        }
    }

    async fn errand<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: Arc<impl Fn(&Connection, StoreTime) -> rusqlite::Result<T> + Send + Sync + 'static>,
    ) -> Result<rusqlite::Result<T>> {
        self.0.start_reader(operation)?;
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.0.shared);
        let errand = Box::new(move || {
            let read = || shared.read(operation, &*run);
            let mut answered = read();
            for _ in 1..READ_TRIES {
                if !answered.as_ref().is_ok_and(|read| read.as_ref().is_err_and(is_busy)) {
                    break;
                }
                answered = read();
            }
            // Whoever asked may have gone.
            let _ = answer.send(answered);
        });
        if !self.0.shared.reads.push(errand, 0).await {
            return Err(closed(operation));
        }
        answered.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, operation, "the thread that reads has ended")
        })?
    }

    /// What a read came to, with its damage and its use noted.
    fn settle(&self, key: &Key, read: Read) -> Option<Result<Option<Record>>> {
        match read {
            Read::Answer(answer, unused) => {
                let is_time = unused.is_some_and(|id| self.0.shared.marks.add(id));
                if is_time && self.0.start_writer("read").is_ok() {
                    self.0.shared.writes.push_now(Job::Marks);
                }
                Some(answer)
            }
            Read::Damaged(damaged) => {
                if self.0.start_writer("read").is_ok() {
                    self.0.shared.writes.push_now(Job::DropDamaged(damaged.id, key.clone()));
                }
                Some(Err(crate::row::Unreadable::Damaged(damaged).error()))
            }
            Read::Large => None,
        }
    }
}

impl Backend for DiskBackend {
    fn capabilities(&self) -> Capabilities {
        self.0.shared.capabilities
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        if let [key] = keys {
            return vec![self.read_one(key).await];
        }
        if keys.is_empty() {
            return Vec::new();
        }
        let asked = keys.to_vec();
        let reads = self.read_there("read", move |connection, now| {
            let one = |key| read::one(connection, key, now, i64::MAX);
            in_snapshot(connection, || asked.iter().map(one).collect::<rusqlite::Result<Vec<_>>>())
        });
        match reads.await {
            Ok(reads) => {
                let settled = keys.iter().zip(reads).map(|(key, read)| self.settle(key, read));
                settled.map(|answer| answer.unwrap_or(Ok(None))).collect()
            }
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Record>> {
        let asked = key.clone();
        let small =
            move |connection: &Connection, now| read::one(connection, &asked, now, SMALL_BYTES);
        if let Some(answer) = self.settle(key, self.read_here("read", small).await?) {
            return answer;
        }
        let asked = key.clone();
        let large =
            move |connection: &Connection, now| read::one(connection, &asked, now, i64::MAX);
        self.settle(key, self.read_there("read", large).await?).unwrap_or(Ok(None))
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        let max = self.0.shared.capabilities.max_value_bytes.unwrap_or(usize::MAX);
        if writes.iter().all(|write| write.record.payload.len() <= max) {
            return self.change("write", writes.iter().cloned().map(Change::Write).collect()).await;
        }
        let is_small = |write: &&Write| write.record.payload.len() <= max;
        let small = writes.iter().filter(is_small).cloned().map(Change::Write).collect();
        let mut outcomes = self.change("write", small).await.into_iter();
        let too_large = || {
            let message = "the value is larger than the store takes";
            Outcome::Failed(Error::new(ErrorKind::NoSpace, "write", message))
        };
        let outcome = |write| is_small(&write).then(|| outcomes.next()).flatten();
        writes.iter().map(outcome).map(|outcome| outcome.unwrap_or_else(too_large)).collect()
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        self.change("retime", retimes.iter().cloned().map(Change::Retime).collect()).await
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        self.change("delete", deletes.iter().cloned().map(Change::Delete).collect()).await
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        let prefix = prefix.to_vec();
        self.read_there("scan", move |connection, now| {
            read::page(connection, &prefix, cursor.as_deref(), limit, now)
        })
        .await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.0.shared.present("purge")?;
        self.ask("purge", 0, |answer| Job::Purge(limit, answer)).await?
    }

    async fn clock(&self) -> Result<StoreTime> {
        Ok(self.0.shared.present("clock")?.clock.now())
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        self.0.look("incarnation").await?;
        Ok(self.0.shared.present("incarnation")?.incarnation)
    }

    async fn close(&self) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        let handle = Arc::clone(&self.0);
        let close = move || {
            handle.close();
            let _ = done.send(());
        };
        // Threads are waited for elsewhere than where tasks run.
        if spawn("larder-disk-close", "close", close).is_err() || is_done.await.is_err() {
            self.0.close();
        }
        Ok(())
    }
}

impl Handle {
    /// Looks whether the store is still the one in the folder, if that is due.
    async fn look(&self, operation: &'static str) -> Result<()> {
        if !self.shared.is_look_due() {
            return Ok(());
        }
        let store = self.shared.present(operation)?;
        if store.is_current() {
            return Ok(());
        }
        // All look, and wait, until it is replaced: nobody reads what others have given up.
        self.shared.look_again();
        self.start_writer(operation)?;
        let (answer, answered) = oneshot::channel();
        self.shared.writes.push_now(Job::Check(store, None, answer));
        match answered.await {
            Ok(checked) => checked,
            Err(_) => Err(closed(operation)),
        }
    }

    fn start_writer(&self, operation: &'static str) -> Result<()> {
        let mut threads = self.lock_threads();
        if threads.is_closed {
            return Err(closed(operation));
        }
        if threads.writer.is_none() {
            let writer = Writer::new(Arc::clone(&self.shared));
            threads.writer = Some(spawn("larder-disk-write", operation, || writer.run())?);
        }
        Ok(())
    }

    fn start_reader(&self, operation: &'static str) -> Result<()> {
        let mut threads = self.lock_threads();
        if threads.is_closed {
            return Err(closed(operation));
        }
        if threads.reader.is_none() {
            let shared = Arc::clone(&self.shared);
            let run = move || {
                while let Taken::Jobs(errands, weight) = shared.reads.take(None) {
                    for errand in errands {
                        // Its caller finds that the answer will not come.
                        let _ = catch_unwind(AssertUnwindSafe(errand));
                    }
                    shared.reads.done(weight);
                }
            };
            threads.reader = Some(spawn("larder-disk-read", operation, run)?);
        }
        Ok(())
    }

    /// Does what was asked for, and no more. Waits for the threads.
    fn close(&self) {
        // Who closes second waits for the first.
        let _one = lock(&self.closing);
        if !self.shared.marks.is_empty() {
            // What was used is worth a moment; without a thread it is lost, and harms nobody.
            let _ = self.start_writer("close");
        }
        let (writer, reader) = {
            let mut threads = self.lock_threads();
            threads.is_closed = true;
            (threads.writer.take(), threads.reader.take())
        };
        self.shared.writes.close();
        self.shared.reads.close();
        for thread in [reader, writer].into_iter().flatten() {
            if thread.thread().id() != thread::current().id() {
                // One that panicked has told so itself.
                let _ = thread.join();
            }
        }
        *lock(&self.shared.store) = None;
        self.shared.generation.fetch_add(1, Ordering::Release);
        self.shared.readers.close();
    }

    fn lock_threads(&self) -> MutexGuard<'_, Threads> {
        lock(&self.threads)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// The store as it was when somebody last looked.
    pub(crate) fn present(&self, operation: &'static str) -> Result<Arc<Store>> {
        lock(&self.store).clone().ok_or_else(|| closed(operation))
    }

    /// Reads on the caller's thread. The inner error is the database's.
    fn read<T>(
        &self,
        operation: &'static str,
        run: impl FnOnce(&Connection, StoreTime) -> rusqlite::Result<T>,
    ) -> Result<rusqlite::Result<T>> {
        let generation = self.generation.load(Ordering::Acquire);
        let present = || self.present(operation);
        self.readers
            .read(generation, present, |store, connection| run(connection, store.clock.now()))
    }

    /// The store in the folder: this one, or what has taken its place. For the writing thread.
    pub(crate) fn replace(&self, operation: &'static str, old: &Arc<Store>) -> Result<Arc<Store>> {
        let present = self.present(operation)?;
        if !Arc::ptr_eq(&present, old) || present.is_current() {
            return Ok(present);
        }
        let store = Arc::new(Store::open(&self.config)?);
        match &mut *lock(&self.store) {
            Some(present) => *present = Arc::clone(&store),
            None => return Err(closed(operation)),
        }
        self.generation.fetch_add(1, Ordering::Release);
        self.config.observer.tell(&DiskEvent::Reopened);
        Ok(store)
    }

    /// Whether nobody has looked for a while. Whoever is told so looks.
    fn is_look_due(&self) -> bool {
        let now = coarse();
        let last = self.looked.load(Ordering::Relaxed);
        now - last > LOOK_MICROS
            && self.looked.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn look_again(&self) {
        self.looked.store(i64::MIN / 2, Ordering::Relaxed);
    }
}

/// Records that were read and that eviction takes for unused, until the writing thread notes them.
#[derive(Default)]
pub(crate) struct Marks {
    is_wanted: AtomicBool,
    ids: Mutex<HashSet<i64>>,
}

impl Marks {
    /// Whether uses matter: not while there is room for as much again.
    pub(crate) fn set_wanted(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Relaxed);
    }

    /// Whether there are as many now as should be noted at once.
    fn add(&self, id: i64) -> bool {
        if !self.is_wanted.load(Ordering::Relaxed) {
            return false;
        }
        let mut ids = lock(&self.ids);
        ids.len() < MAX_MARKS && ids.insert(id) && ids.len() == MAX_MARKS
    }

    fn is_empty(&self) -> bool {
        lock(&self.ids).is_empty()
    }

    pub(crate) fn take(&self) -> Vec<i64> {
        std::mem::take(&mut *lock(&self.ids)).into_iter().collect()
    }
}

impl fmt::Debug for DiskBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskBackend").field("config", &self.0.shared.config).finish_non_exhaustive()
    }
}

/// Many reads of one state of the database, for the price of one lock.
fn in_snapshot<T>(
    connection: &Connection,
    run: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.execute_batch("BEGIN")?;
    let answer = run()?;
    connection.execute_batch("COMMIT")?;
    Ok(answer)
}

fn spawn(
    name: &str,
    operation: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let spawned = thread::Builder::new().name(name.into()).spawn(run);
    spawned.map_err(|error| Error::with_source(ErrorKind::Unavailable, operation, error))
}

fn max_value(config: &DiskConfig) -> usize {
    let share = config.max_bytes.map_or(MAX_VALUE_BYTES, |bytes| bytes / 4);
    usize::try_from(share.min(MAX_VALUE_BYTES)).unwrap_or(usize::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SQLite takes no longer rows.
const MAX_VALUE_BYTES: u64 = 999_000_000;
const MAX_MARKS: usize = 1_024;
const READ_TRIES: usize = 100;
/// How long a database that has been replaced may go unnoticed by a reader.
const LOOK_MICROS: i64 = 50_000;
