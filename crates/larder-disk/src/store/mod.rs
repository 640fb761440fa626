//! The store: a database in its folder, opened, created, migrated, or replaced when it is damaged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use larder_core::{Error, ErrorKind, Incarnation, Result};
use rusqlite::Connection;
use rusqlite::ffi::SQLITE_BUSY;

use crate::bound::Bound;
use crate::bound::claim::Files;
use crate::config::DiskConfig;
use crate::error::{
    damage, has_code, is_busy, is_damage, is_maybe_full, of_code, of_files, of_sqlite,
};
use crate::folder::Folder;
use crate::folder::identity::Identity;
use crate::folder::lock::{self, Hold, Queue};
use crate::store::connection::Role;
use crate::store::origin::{Origin, last_stamp};
use crate::store::replace::{create, on_damage};
use crate::store::schema::SchemaState;
use crate::store::transaction::{begin, roll_back, transact, try_begin};
use crate::store::wal::{LogRun, empty_log};
use crate::time::clock::{Anchor, StoreClock};
use crate::time::wait::Until;

mod blank;
pub(crate) mod connection;
pub(crate) mod origin;
pub(crate) mod replace;
pub(crate) mod schema;
pub(crate) mod transaction;
pub(crate) mod wal;

/// An open database. If the database is removed or replaced, another `Store` takes this one's
/// place.
#[derive(Debug)]
pub(crate) struct Store {
    folder: Folder,
    path: PathBuf,
    log: PathBuf,
    identity: Identity,
    /// The length of the database's file at the last check whether it is current.
    length: AtomicU64,
    pub(crate) incarnation: Incarnation,
    pub(crate) clock: StoreClock,
    /// The bound at the time of opening.
    pub(crate) bound: Bound,
    lock: File,
    /// The queue of processes that wait for a writer.
    pub(crate) queue: Queue,
    /// The connection that opened the database, for the first reader.
    first: Mutex<Option<Connection>>,
}

/// The least time that an opening waits for others. A longer wait for calls counts here, too.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);

impl Store {
    /// Opens the database, creates it if there is none, and replaces it if it is damaged.
    ///
    /// # Errors
    /// Errors of an unsafe folder, of another program's or a newer database, and of the system.
    pub(crate) fn open(config: &DiskConfig) -> Result<Self> {
        let until = Until::after(config.busy_timeout.max(OPEN_PATIENCE));
        let mut last = None;
        for _ in 0..TRIES {
            let opened = until.wait_for(|| match Self::try_open(config, until) {
                // Another process that opens or closes the database locks it for a moment only.
                Err(error) if has_code(&error, is_busy) => {
                    last = Some(error);
                    None
                }
                opened => Some(opened),
            });
            match opened {
                Some(Ok(Some(store))) => return Ok(store),
                Some(Ok(None)) => {}
                Some(Err(error)) if error.is_retryable() => last = Some(error),
                Some(Err(error)) => return Err(error),
                None => break,
            }
        }
        let message = "the database was replaced again and again while it was opened";
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Unavailable, "open", message)))
    }

    /// Tries once. None if the obstacle to opening has been removed, so that the next try may work.
    fn try_open(config: &DiskConfig, until: Until) -> Result<Option<Self>> {
        let folder = Folder::open(&config.folder)?;
        create(&folder, config, until)?;
        let Some(identity) = Identity::of(&folder.database()) else { return Ok(None) };
        match Self::open_present(&folder, identity, config, until) {
            Ok(store) => {
                folder.mark().map_err(|error| of_files("open", error))?;
                Ok(Some(store))
            }
            Err(Failure::Damage(error)) => {
                on_damage(&folder, identity, config, error)?;
                Ok(None)
            }
            // A database cannot be opened on a disk without a byte of room.
            Err(Failure::Other(error))
                if error.kind() == ErrorKind::NoSpace || has_code(&error, is_maybe_full) =>
            {
                if folder.give_up_reserve() {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
            Err(Failure::Other(error)) => Err(error),
        }
    }

    fn open_present(
        folder: &Folder,
        identity: Identity,
        config: &DiskConfig,
        until: Until,
    ) -> Result<Self, Failure> {
        let path = folder.database();
        let first = connection::open(&path, Role::Reader)?;
        match schema::standing(&first)?? {
            SchemaState::Current => {}
            // A database gets its name only after it has its tables.
            SchemaState::Older(0) => return Err(Failure::Damage(damage())),
            SchemaState::Older(_) => {
                let _alone = lock::alone(folder, until)?;
                let connection = connection::open(&path, Role::writer(config, Bound::DEFAULT))?;
                schema::migrate(&connection, until)?;
            }
        }
        schema::verify(&first)?;
        // The file was opened for writing, but its content says that it must not be written.
        if first.is_readonly("main")? {
            return Err(Failure::Damage(damage()));
        }
        let mut origin = Origin::read(&first)?;
        if config.clock.is_none() && !origin.anchor.is_current() {
            let connection = connection::open(&path, Role::writer(config, origin.bound))?;
            origin = renew_anchor(&connection, folder, until)?;
        }
        if let Some(bound) = config.bound.filter(|bound| *bound != origin.bound) {
            let lock = folder.lock_file().map_err(|error| of_files("open", error))?;
            let _hold = Hold::new(&lock, until)?;
            origin =
                set_bound(&connection::open(&path, Role::writer(config, bound))?, bound, until)?;
        }
        let clock = StoreClock::of(&origin.anchor, config.clock.as_ref());
        // A copy of the files, such as a restored backup, is another life of the store.
        let life = u128::from_be_bytes(origin.incarnation.to_bytes());
        let incarnation = Incarnation::new(life ^ identity.number());
        let lock = folder.lock_file().map_err(|error| of_files("open", error))?;
        let queue = Queue::open(folder)?;
        let first = Mutex::new(Some(first));
        let (folder, log) = (folder.clone(), folder.log());
        let bound = origin.bound;
        let length = AtomicU64::new(0);
        Ok(Self {
            folder,
            path,
            log,
            identity,
            length,
            incarnation,
            clock,
            bound,
            lock,
            queue,
            first,
        })
    }

    /// True if the database is still the one in the folder. Notes its length, too.
    pub(crate) fn is_current(&self) -> bool {
        let Ok(found) = self.path.symlink_metadata() else { return false };
        self.length.store(found.len(), Ordering::Relaxed);
        Identity::of_file(&found) == self.identity
    }

    /// Returns a connection to read through.
    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(first) = first {
            return Ok(first);
        }
        let connection = connection::open(&self.path, Role::Reader)?;
        // The store time of another database in its place is different.
        if self.is_current() { Ok(connection) } else { Err(of_code(SQLITE_BUSY)) }
    }

    pub(crate) fn writer(&self, config: &DiskConfig, bound: Bound) -> rusqlite::Result<Connection> {
        connection::open(&self.path, Role::writer(config, bound))
    }

    /// Moves the log's content into the database, except for the part that readers still need.
    pub(crate) fn empty_log(&self, config: &DiskConfig, bound: Bound) -> Result<()> {
        // The lock needs a file of its own: the writing thread's lock ends with each transaction.
        let lock = self.folder.lock_file().map_err(|error| of_files("checkpoint", error))?;
        // The writing thread may wait for this call, so the call waits for nobody.
        let hold = Hold::try_new(&lock)?;
        if hold.is_some() && self.is_current() {
            let failed = |error| of_sqlite("checkpoint", error);
            let connection = self.writer(config, bound).map_err(failed)?;
            empty_log(&connection).map_err(failed)?;
        }
        Ok(())
    }

    /// Keeps the database from being replaced until the guard goes; none if another process has the
    /// lock alone.
    pub(crate) fn try_hold(&self) -> Result<Option<Hold<'_>>> {
        Hold::try_new(&self.lock)
    }

    /// Begins a transaction, as [`begin`], in a database that is not replaced while the guard
    /// lives; none if it has been replaced. No lock is held during the wait, so that a process that
    /// replaces the database need not wait for all writers.
    ///
    /// # Errors
    /// Errors as of [`begin`]; the outer ones are of the folder's lock.
    pub(crate) fn begin(
        &self,
        connection: &Connection,
        until: Until,
    ) -> Result<rusqlite::Result<Option<Hold<'_>>>> {
        let mut place = None;
        let begun = until.wait_for(|| {
            let Some(begun) = try_begin(connection) else {
                place = place.take().or_else(|| self.queue.join());
                return None;
            };
            if let Err(error) = begun {
                return Some(Ok(Err(error)));
            }
            let came = match self.try_hold() {
                Ok(Some(hold)) if self.is_current() => return Some(Ok(Ok(Some(hold)))),
                Ok(Some(_)) => Some(Ok(Ok(None))),
                Ok(None) => None,
                Err(error) => Some(Err(error)),
            };
            roll_back(connection);
            came
        });
        begun.unwrap_or_else(|| Ok(Err(of_code(SQLITE_BUSY))))
    }

    /// Replaces the database, which this error has shown to be damaged. See [`on_damage`].
    pub(crate) fn on_damage(&self, config: &DiskConfig, error: rusqlite::Error) -> Result<()> {
        on_damage(&self.folder, self.identity, config, error)
    }

    /// Returns the sizes of the database's file and of its log.
    pub(crate) fn files(&self) -> Files {
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        Files { database: size(&self.path), log: size(&self.log) }
    }

    /// Returns the present run of the log.
    pub(crate) fn log_run(&self) -> LogRun {
        LogRun::of(&self.log)
    }

    /// Like [`files`](Self::files), in a transaction that has just found the database to be
    /// current. A file that has grown since has grown to pages that were within the bound. A log
    /// that is emptied before each change counts as empty, whatever its length.
    pub(crate) fn files_in_transaction(&self, is_emptied: bool) -> Files {
        let log = if is_emptied { 0 } else { fs::metadata(&self.log).map_or(0, |log| log.len()) };
        Files { database: self.length.load(Ordering::Relaxed), log }
    }

    /// See [`Folder::reserved_bytes`].
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.folder.reserved_bytes()
    }

    /// See [`Folder::keep_reserve`].
    pub(crate) fn keep_reserve(&self) {
        self.folder.keep_reserve();
    }

    /// See [`Folder::give_up_reserve`].
    pub(crate) fn give_up_reserve(&self) -> bool {
        self.folder.give_up_reserve()
    }

    /// Returns the bytes that the file system has left for us; none if it does not tell.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// The reason why a database could not be opened.
enum Failure {
    Damage(rusqlite::Error),
    Other(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damage(error) } else { Self::Other(of_sqlite("open", error)) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Ties the store's time to this start of the machine, unless another process just has.
fn renew_anchor(connection: &Connection, folder: &Folder, until: Until) -> Result<Origin, Failure> {
    begin(connection, until)?;
    let mut origin = Origin::read(connection)?;
    if origin.anchor.is_current() {
        connection.execute_batch("ROLLBACK")?;
        return Ok(origin);
    }
    // The last write lies in the past, so the new time begins after it.
    let written = folder.last_written().map_err(|error| of_files("open", error))?;
    let last = last_stamp(connection)?.as_micros().max(written - origin.created);
    let now = folder.file_system_now().map_err(|error| of_files("open", error))?;
    origin.anchor = Anchor::renewed(origin.created, now, last);
    origin.write(connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(origin)
}

/// Changes the bound for all processes that use the store.
fn set_bound(connection: &Connection, bound: Bound, until: Until) -> rusqlite::Result<Origin> {
    transact(connection, until, |connection| {
        let mut origin = Origin::read(connection)?;
        origin.bound = bound;
        origin.write(connection)?;
        Ok(origin)
    })
}

const TRIES: usize = 4;
