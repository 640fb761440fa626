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

/// An open database. When it goes or another takes its place, another `Store` does, too.
#[derive(Debug)]
pub(crate) struct Store {
    folder: Folder,
    path: PathBuf,
    log: PathBuf,
    identity: Identity,
    /// Of the database's file, when somebody last looked whether it is current.
    length: AtomicU64,
    pub(crate) incarnation: Incarnation,
    pub(crate) clock: StoreClock,
    /// The bound when it was opened.
    pub(crate) bound: Bound,
    lock: File,
    /// Of those who wait for others that write.
    pub(crate) queue: Queue,
    /// The connection that opened it, for the first who reads.
    first: Mutex<Option<Connection>>,
}

/// An opening waits so long for others, if calls do not wait longer.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);

impl Store {
    /// Opens the database, creates it if there is none, and replaces it if it is damaged.
    ///
    /// # Errors
    /// Those of an unsafe folder, of another program's or a newer database, and the system's own.
    pub(crate) fn open(config: &DiskConfig) -> Result<Self> {
        let until = Until::after(config.busy_timeout.max(OPEN_PATIENCE));
        let mut last = None;
        for _ in 0..TRIES {
            let opened = until.wait_for(|| match Self::try_open(config, until) {
                // Others that open and close hold it for moments only.
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

    /// None if what kept it from being opened has been put out of the way.
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
            // Without a byte of room a database cannot be opened.
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
            // A database gets its name when it has its tables.
            SchemaState::Older(0) => return Err(Failure::Damage(damage())),
            SchemaState::Older(_) => {
                let _alone = lock::alone(folder, until)?;
                let connection = connection::open(&path, Role::writer(config, Bound::DEFAULT))?;
                schema::migrate(&connection, until)?;
            }
        }
        schema::verify(&first)?;
        // The file was opened for writing, and says that nobody may write it.
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
        // A copy of the files, as a restored backup is, is another life of the store.
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

    /// Whether the database is still the one in the folder. Notes its length, too.
    pub(crate) fn is_current(&self) -> bool {
        let Ok(found) = self.path.symlink_metadata() else { return false };
        self.length.store(found.len(), Ordering::Relaxed);
        Identity::of_file(&found) == self.identity
    }

    /// A connection to read through.
    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(first) = first {
            return Ok(first);
        }
        let connection = connection::open(&self.path, Role::Reader)?;
        // Another database in its place has another time.
        if self.is_current() { Ok(connection) } else { Err(of_code(SQLITE_BUSY)) }
    }

    pub(crate) fn writer(&self, config: &DiskConfig, bound: Bound) -> rusqlite::Result<Connection> {
        connection::open(&self.path, Role::writer(config, bound))
    }

    /// Moves what the log holds into the database, as far as no reader needs it where it is.
    pub(crate) fn empty_log(&self, config: &DiskConfig, bound: Bound) -> Result<()> {
        // A lock of its own: the writing thread's ends with each of its transactions.
        let lock = self.folder.lock_file().map_err(|error| of_files("checkpoint", error))?;
        // The writing thread may wait for this, so it waits for nobody.
        let hold = Hold::try_new(&lock)?;
        if hold.is_some() && self.is_current() {
            let failed = |error| of_sqlite("checkpoint", error);
            let connection = self.writer(config, bound).map_err(failed)?;
            empty_log(&connection).map_err(failed)?;
        }
        Ok(())
    }

    /// Keeps the database from being replaced until the guard goes; none if another is alone with it.
    pub(crate) fn try_hold(&self) -> Result<Option<Hold<'_>>> {
        Hold::try_new(&self.lock)
    }

    /// Begins a transaction, as [`begin`], in a database that is not replaced while the guard lives;
    /// none if it has been replaced. Nothing is held while it waits, so that whoever replaces the
    /// database need not wait for all who write.
    ///
    /// # Errors
    /// As of [`begin`]; the outer ones are of the folder's lock.
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

    /// The bytes of the database's file and of its log.
    pub(crate) fn files(&self) -> Files {
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        Files { database: size(&self.path), log: size(&self.log) }
    }

    /// The run of the log that is there now.
    pub(crate) fn log_run(&self) -> LogRun {
        LogRun::of(&self.log)
    }

    /// The same for a transaction, which has just found the database to be current. A file that has
    /// grown since has grown to pages that were within the bound. Where the log is emptied before
    /// each change, it counts as empty, whatever its length.
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

    /// What the file system has left for us; none if it does not tell.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// Why a database could not be opened.
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
    // What was written last is not of the future.
    let written = folder.last_written().map_err(|error| of_files("open", error))?;
    let last = last_stamp(connection)?.as_micros().max(written - origin.created);
    let now = folder.file_system_now().map_err(|error| of_files("open", error))?;
    origin.anchor = Anchor::renewed(origin.created, now, last);
    origin.write(connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(origin)
}

/// Changes the bound, for all that use the store.
fn set_bound(connection: &Connection, bound: Bound, until: Until) -> rusqlite::Result<Origin> {
    transact(connection, until, |connection| {
        let mut origin = Origin::read(connection)?;
        origin.bound = bound;
        origin.write(connection)?;
        Ok(origin)
    })
}

const TRIES: usize = 4;
