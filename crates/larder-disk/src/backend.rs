//! The contract over a database: quick reads on the caller's thread, all other calls on threads.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use larder_core::{
    Backend, Capabilities, Delete, Error, ErrorKind, Incarnation, Key, Outcome, Page, Record,
    Result, Retime, Scope, StoreTime, Write,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::bound::Bound;
use crate::bound::room::{self, DiskUsage};
use crate::config::DiskConfig;
use crate::error::{closed, of_sqlite};
use crate::read::pace::Length;
use crate::read::query::{self, Read, SMALL_BYTES};
use crate::record::change::Change;
use crate::record::row::Unreadable;
use crate::shared::Shared;
use crate::shared::job::Job;
use crate::store::Store;
use crate::store::origin::Origin;
use crate::thread::handle::{Handle, spawn, thread_ended};

/// Records in a folder, shared by the processes of one host.
///
/// Clones share everything, and closing one closes them all. Three threads are started when they
/// are first needed, one that writes and two that read; they end with the last clone. No runtime is
/// needed. A small read is made on the caller's thread while such reads take microseconds.
///
/// # Cancel safety
/// A change whose future is dropped is applied or not, key by key, never in half.
#[derive(Clone)]
pub struct DiskBackend(Arc<Handle>);

impl DiskBackend {
    /// Opens the store in the configured folder, and creates what is missing.
    ///
    /// The call reads a few pages and blocks for about a millisecond.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a setting is out of its range, the folder is
    /// unsafe (others can write into it, it is a link, it belongs to somebody else) or holds
    /// another program's files; [`Unsupported`](ErrorKind::Unsupported) if a newer version wrote
    /// the store; [`Unavailable`](ErrorKind::Unavailable) or [`NoSpace`](ErrorKind::NoSpace) if the
    /// system refuses. None of these errors changes existing files.
    pub fn open(config: DiskConfig) -> Result<Self> {
        config.check()?;
        let store = Store::open(&config)?;
        let handle = Handle::new(Shared::new(config, store));
        if handle.shared.is_over_bound() {
            // The store has to shrink even if no process writes for long.
            handle.start_writer("open")?;
            handle.shared.writes.push_now(Job::Tidy);
        }
        Ok(Self(Arc::new(handle)))
    }

    /// Returns the room that the store takes. Counts the records, which takes a while where there
    /// are many.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed), and the database's own.
    pub fn usage(&self) -> Result<DiskUsage> {
        let read = self.0.shared.read("usage", |connection, _| {
            let bound = Origin::read(connection)?.bound;
            Ok((room::records(connection)?, room::pages(connection)?.0, bound))
        })?;
        let (records, used, bound) = read.map_err(|error| of_sqlite("usage", error))?;
        let files = self.0.shared.present("usage")?.files();
        Ok(DiskUsage {
            records,
            used_bytes: used,
            file_bytes: files.database,
            log_bytes: files.log,
            max_bytes: bound.0,
        })
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
        if let Err(error) = self.0.start_writer(operation) {
            return all(Outcome::Failed(error));
        }
        let bytes = changes.iter().map(Change::bytes).sum();
        let answered = self.ask(operation, bytes, |answer| Job::Changes(changes, asked, answer));
        match answered.await {
            Ok(outcomes) => outcomes,
            Err(error) if error.kind() == ErrorKind::Closed => all(Outcome::Failed(error)),
            Err(error) => all(Outcome::Unknown(error)),
        }
    }

    /// Gives the writing thread, which has been started, a job, and waits for the answer.
    async fn ask<T>(
        &self,
        operation: &'static str,
        bytes: usize,
        job: impl FnOnce(oneshot::Sender<T>) -> Job,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        if !self.0.shared.writes.push(job(answer), bytes).await {
            return Err(closed(operation));
        }
        answered.await.map_err(|_| thread_ended(operation))
    }

    /// Turns a read into its answer, and has its damage and its use noted. None for a large
    /// payload.
    fn settle(&self, key: &Key, read: Read) -> Option<Result<Option<Record>>> {
        match read {
            Read::Answer(answer, unused) => {
                let is_time = unused.is_some_and(|id| self.0.shared.marks.add(id));
                if is_time && self.0.start_writer("read").is_ok() {
                    self.0.shared.writes.push_now(Job::Uses);
                }
                Some(answer)
            }
            Read::Damaged(damaged) => {
                if self.0.start_writer("read").is_ok() {
                    self.0.shared.writes.push_now(Job::DropDamaged(damaged.id, key.clone()));
                }
                Some(Err(Unreadable::Damaged(damaged).error()))
            }
            Read::Large => None,
        }
    }
}

impl Backend for DiskBackend {
    fn capabilities(&self) -> Capabilities {
        capabilities(self.0.shared.bound.get())
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        if let [key] = keys {
            return vec![self.read_one(key).await];
        }
        if keys.is_empty() {
            return Vec::new();
        }
        let asked = keys.to_vec();
        let reads = self.0.read_apart("read", Length::Any, move |connection, now| {
            let one = |key| query::one(connection, key, now, i64::MAX);
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
            move |connection: &Connection, now| query::one(connection, &asked, now, SMALL_BYTES);
        if let Some(answer) = self.settle(key, self.0.read_short("read", small).await?) {
            return answer;
        }
        let asked = key.clone();
        let large =
            move |connection: &Connection, now| query::one(connection, &asked, now, i64::MAX);
        self.settle(key, self.0.read_apart("read", Length::Any, large).await?).unwrap_or(Ok(None))
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        let max = max_value(self.0.shared.bound.get());
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
        self.0
            .read_apart("scan", Length::Any, move |connection, now| {
                query::page(connection, &prefix, cursor.as_deref(), limit, now)
            })
            .await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.0.shared.present("purge")?;
        self.0.start_writer("purge")?;
        self.ask("purge", 0, |answer| Job::Purge(limit, answer)).await?
    }

    async fn clock(&self) -> Result<StoreTime> {
        Ok(self.0.shared.present("clock")?.clock.now())
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        // The incarnation is known only after a look into the folder.
        self.0.read_apart("incarnation", Length::Short, |_, _| Ok(())).await?;
        Ok(self.0.shared.present("incarnation")?.incarnation)
    }

    async fn close(&self) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        let handle = Arc::clone(&self.0);
        let close = move || {
            handle.close();
            let _ = done.send(());
        };
        // Tasks must not block, so another thread waits for the threads to end.
        if spawn("larder-disk-close", "close", close).is_err() || is_done.await.is_err() {
            self.0.close();
        }
        Ok(())
    }
}

impl fmt::Debug for DiskBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskBackend").field("config", &self.0.shared.config).finish_non_exhaustive()
    }
}

/// Makes many reads of one state of the database, for the price of one lock.
fn in_snapshot<T>(
    connection: &Connection,
    run: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.execute_batch("BEGIN")?;
    let answer = run()?;
    connection.execute_batch("COMMIT")?;
    Ok(answer)
}

/// Returns the capabilities of a store with this bound.
pub(crate) fn capabilities(bound: Bound) -> Capabilities {
    let capabilities = Capabilities::new(Scope::Host).with_max_value_bytes(max_value(bound));
    if bound.0.is_some() { capabilities.with_eviction() } else { capabilities }
}

fn max_value(bound: Bound) -> usize {
    usize::try_from(bound.max_value_bytes()).unwrap_or(usize::MAX)
}
