//! The database in its folder: opened, created, migrated, or set aside when it is damaged.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use larder_core::{Error, ErrorKind, Incarnation, Result, Version};
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::{Anchor, StoreClock};
use crate::config::{DiskConfig, OnCorrupt};
use crate::connection::{self, Role};
use crate::error::{is_damage, of_files, of_sqlite};
use crate::event::DiskEvent;
use crate::folder::{COMPANIONS, Folder, SET_ASIDE, UNFINISHED, unique};
use crate::room::wal_bytes;
use crate::schema::{self, Standing};

/// An open database. When it goes or another takes its place, another `Store` does, too.
#[derive(Debug)]
pub(crate) struct Store {
    folder: Folder,
    path: PathBuf,
    identity: Identity,
    pub(crate) incarnation: Incarnation,
    pub(crate) clock: StoreClock,
    lock: File,
    /// The connection that opened it, for the first who reads.
    first: Mutex<Option<Connection>>,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Store {
    /// Opens the database, creates it if there is none, and replaces it if it is damaged.
    ///
    /// # Errors
    /// Those of an unsafe folder, of another program's or a newer database, and the system's own.
    pub(crate) fn open(config: &DiskConfig) -> Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            let folder = Folder::open(&config.folder)?;
            create(&folder, config)?;
            let path = folder.database();
            let Some(identity) = identity(&path) else { continue };
            match Self::open_present(&folder, identity, config) {
                Ok(store) => {
                    folder.mark().map_err(|error| of_files("open", error))?;
                    return Ok(store);
                }
                Err(Failure::Damage(error)) => {
                    set_aside(&folder, identity, config, error)?;
                }
                Err(Failure::Other(error)) if error.is_retryable() => last = Some(error),
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        let gone = || Error::new(ErrorKind::Unavailable, "open", "the database does not stay");
        Err(last.unwrap_or_else(gone))
    }

    fn open_present(
        folder: &Folder,
        identity: Identity,
        config: &DiskConfig,
    ) -> Result<Self, Failure> {
        let path = folder.database();
        let first = connection::open(&path, Role::Reader)?;
        if let Standing::Older(_) = schema::standing(&first)?? {
            let _alone = lock_alone(folder, config.busy_timeout)?;
            schema::migrate(&connection::open(&path, writer(config))?)?;
        }
        let (incarnation, created, mut anchor) = store_row(&first)?;
        let clock = if let Some(clock) = &config.clock {
            StoreClock::Injected(clock.clone())
        } else {
            if !anchor.is_current() {
                let writer = connection::open(&path, writer(config))?;
                anchor = renew_anchor(&writer, folder, created)?;
            }
            StoreClock::Host { offset: anchor.offset }
        };
        // A copy of the files, as a restored backup is, is another life of the store.
        let file = u128::from(identity.device) << 64 | u128::from(identity.inode);
        let incarnation = Incarnation::new(incarnation ^ file);
        let lock = folder.lock_file().map_err(|error| of_files("open", error))?;
        let first = Mutex::new(Some(first));
        Ok(Self { folder: folder.clone(), path, identity, incarnation, clock, lock, first })
    }

    /// Whether the database is still the one in the folder.
    pub(crate) fn is_current(&self) -> bool {
        identity(&self.path) == Some(self.identity)
    }

    /// A connection to read through.
    pub(crate) fn reader(&self) -> rusqlite::Result<Connection> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map_or_else(|| connection::open(&self.path, Role::Reader), Ok)
    }

    pub(crate) fn writer(&self, config: &DiskConfig) -> rusqlite::Result<Connection> {
        connection::open(&self.path, writer(config))
    }

    /// Keeps the database from being replaced until the guard goes.
    pub(crate) fn hold(&self) -> std::io::Result<Hold<'_>> {
        self.lock.lock_shared()?;
        Ok(Hold(&self.lock))
    }

    /// Replaces the database, if nobody has done so yet.
    ///
    /// # Errors
    /// This damage, if the configuration says so; and whatever keeps it from being renamed.
    pub(crate) fn set_aside(&self, config: &DiskConfig, error: rusqlite::Error) -> Result<()> {
        set_aside(&self.folder, self.identity, config, error)
    }

    /// The bytes of the database's file and of its log.
    pub(crate) fn file_bytes(&self) -> (u64, u64) {
        let size = |path: PathBuf| fs::metadata(path).map_or(0, |found| found.len());
        let log = format!("{}-wal", crate::folder::DATABASE);
        (size(self.path.clone()), size(self.folder.join(&log)))
    }
}

/// While it lives, the database is not replaced.
pub(crate) struct Hold<'a>(&'a File);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        // It goes with the file at the latest.
        let _ = self.0.unlock();
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

fn writer(config: &DiskConfig) -> Role {
    Role::Writer {
        durability: config.durability,
        wal_bytes: wal_bytes(config.max_bytes),
        busy_timeout: config.busy_timeout,
    }
}

/// Puts a complete database into the folder, unless there is one.
fn create(folder: &Folder, config: &DiskConfig) -> Result<()> {
    if identity(&folder.database()).is_some() {
        return Ok(());
    }
    let _alone = lock_alone(folder, config.busy_timeout)?;
    if identity(&folder.database()).is_some() {
        return Ok(());
    }
    let files = |error| of_files("open", error);
    folder.remove_unfinished().map_err(files)?;
    let name = format!("{UNFINISHED}{}", unique());
    drop(folder.create_file(&name).map_err(files)?);
    let created = folder.file_system_now().map_err(files)?;
    fill(&folder.join(&name), config, created)?;
    fs::rename(folder.join(&name), folder.database()).map_err(files)
}

fn fill(path: &std::path::Path, config: &DiskConfig, created: i64) -> Result<()> {
    let failed = |error| of_sqlite("open", error);
    let connection = connection::open(path, writer(config)).map_err(failed)?;
    let first = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;";
    connection.execute_batch(first).map_err(failed)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(failed)?;
    schema::migrate(&connection)?;
    let anchor = Anchor::renewed(created, created, 0);
    let sql = "INSERT INTO store VALUES (1, ?1, ?2, ?3, ?4, 0)";
    let values = params![Version::next().to_bytes(), created, anchor.start, anchor.offset];
    connection.execute(sql, values).map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}

/// The id of the store's life, its creation by the file system's clock, its anchor.
fn store_row(connection: &Connection) -> rusqlite::Result<(u128, i64, Anchor)> {
    let sql = "SELECT incarnation, created, start, start_offset FROM store";
    connection.query_row(sql, [], |row| {
        let id = u128::from_be_bytes(row.get(0)?);
        Ok((id, row.get(1)?, Anchor { start: row.get(2)?, offset: row.get(3)? }))
    })
}

/// Ties the store's time to this start of the machine, unless another process just has.
fn renew_anchor(connection: &Connection, folder: &Folder, created: i64) -> Result<Anchor, Failure> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let (_, _, present) = store_row(connection)?;
    if present.is_current() {
        connection.execute_batch("ROLLBACK")?;
        return Ok(present);
    }
    // What was written last is not of the future.
    let newest = "SELECT stamp FROM entries ORDER BY id DESC LIMIT 1";
    let last = connection.query_row(newest, [], |row| row.get(0)).optional()?;
    let now = folder.file_system_now().map_err(|error| of_files("open", error))?;
    let anchor = Anchor::renewed(created, now, last.unwrap_or(0));
    let sql = "UPDATE store SET start = ?1, start_offset = ?2";
    connection.execute(sql, params![anchor.start, anchor.offset])?;
    connection.execute_batch("COMMIT")?;
    Ok(anchor)
}

fn set_aside(
    folder: &Folder,
    damaged: Identity,
    config: &DiskConfig,
    error: rusqlite::Error,
) -> Result<()> {
    if config.on_corrupt == OnCorrupt::Fail {
        return Err(of_sqlite("open", error));
    }
    let _alone = lock_alone(folder, config.busy_timeout)?;
    if identity(&folder.database()) != Some(damaged) {
        return Ok(());
    }
    let files = |error| of_files("open", error);
    let name = set_aside_name(folder).map_err(files)?;
    for companion in COMPANIONS {
        let from = folder.join(&format!("{}{companion}", crate::folder::DATABASE));
        match fs::rename(from, folder.join(&format!("{name}{companion}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(files(error)),
            _ => {}
        }
    }
    fs::rename(folder.database(), folder.join(&name)).map_err(files)?;
    config.observer.tell(&DiskEvent::SetAside { path: folder.join(&name), saved: 0 });
    Ok(())
}

fn set_aside_name(folder: &Folder) -> std::io::Result<String> {
    let seconds = folder.file_system_now()?.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let time = format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z");
    Ok(format!("{SET_ASIDE}{time}-{}", unique()))
}

/// Year, month and day of a day counted from 1970, by the rule of 400 years of 146,097 days that
/// begin on the first of March.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, turn) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + turn, month, day)
}

/// The folder's lock, with nobody writing and nobody else replacing.
fn lock_alone(folder: &Folder, timeout: Duration) -> Result<File> {
    let file = folder.lock_file().map_err(|error| of_files("open", error))?;
    let mut left = timeout.as_millis() / LOCK_STEP.as_millis();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if left > 0 => pause(LOCK_STEP),
            Err(TryLockError::WouldBlock) => {
                let message = "another process keeps the store locked";
                return Err(Error::new(ErrorKind::Unavailable, "open", message));
            }
            Err(TryLockError::Error(error)) => return Err(of_files("open", error)),
        }
        left -= 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for another process's lock, not for a clock")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

fn identity(path: &std::path::Path) -> Option<Identity> {
    let found = path.symlink_metadata().ok()?;
    Some(Identity { device: found.dev(), inode: found.ino() })
}

const TRIES: usize = 4;
const LOCK_STEP: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(-1), (1969, 12, 31));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_778), (2026, 11, 21));
    }
}
