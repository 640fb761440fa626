//! What can be saved of a damaged database.
//!
//! Its records are walked in the order of their ids; where a page cannot be read, the next id beyond
//! it is searched for. A record is taken if its checks match and if whoever asked for its key would
//! have found it, or have found the damage: one that had become unreachable may have been deleted
//! since, as far as its user knows. Leases go: the loads that hold them are refused, and load again.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use larder_core::{Key, Kind, Life, Result, StoreTime};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::clock::{StoreClock, coarse};
use crate::config::DiskConfig;
use crate::connection::{self, PAGE_BYTES, Role};
use crate::create;
use crate::error::{of_files, of_sqlite};
use crate::folder::Folder;
use crate::origin::{Origin, last_stamp};
use crate::row::{self, Found, ROW_COLUMNS, UPSERT, select_row};

/// Copies what can be read of a damaged database into empty tables; the origin to go on from, and
/// how many records there are. None if nothing can be read.
///
/// # Errors
/// The fresh database's own.
pub(crate) fn copy(
    folder: &Folder,
    config: &DiskConfig,
    damaged: &Path,
    fresh: &Connection,
) -> Result<Option<(Origin, u64)>> {
    // Others wait for the store meanwhile: they must not wait in vain.
    let patience = i64::try_from(config.busy_timeout.as_micros() * 4 / 5).unwrap_or(MAX_MICROS);
    let deadline = coarse() + patience.min(MAX_MICROS);
    let walked = Walk::all(folder, config, damaged, fresh, deadline);
    if let saved @ Some((_, 1..)) = walked.map_err(failed)? {
        return Ok(saved);
    }
    // The first page tells where the others begin, and it is the same in all stores.
    let Some(patched) = with_first_page(folder, config, damaged)? else { return Ok(None) };
    let path = folder.join(&patched);
    let walked = Walk::all(folder, config, &path, fresh, deadline).map_err(failed);
    folder.remove_database(&patched).map_err(|error| of_files("open", error))?;
    walked
}

struct Walk<'a> {
    damaged: &'a Connection,
    fresh: &'a Connection,
    now: StoreTime,
    deadline: i64,
    /// Saved since the last commit.
    uncommitted: usize,
}

/// Why a walk does not go on.
enum Stop {
    /// The damaged database cannot be read here.
    Damaged,
    /// The fresh one cannot be written.
    Fresh(rusqlite::Error),
    TimeUp,
}

impl Walk<'_> {
    /// The errors are the fresh database's.
    fn all(
        folder: &Folder,
        config: &DiskConfig,
        damaged: &Path,
        fresh: &Connection,
        deadline: i64,
    ) -> rusqlite::Result<Option<(Origin, u64)>> {
        let Ok(damaged) = open(damaged) else { return Ok(None) };
        let Ok(origin) = origin(folder, &damaged) else { return Ok(None) };
        let now = StoreClock::of(&origin.anchor, config.clock.as_ref()).now();
        fresh.execute_batch("BEGIN")?;
        let mut walk = Walk { damaged: &damaged, fresh, now, deadline, uncommitted: 0 };
        let mut after = 0;
        while let Err(stop) = walk.on_from(&mut after) {
            match stop {
                Stop::Damaged => {}
                Stop::TimeUp => break,
                Stop::Fresh(error) => return Err(error),
            }
            let Some(beyond) = walk.beyond(after) else { break };
            after = beyond;
        }
        fresh.execute_batch("COMMIT")?;
        let count = "SELECT count(*) FROM entries";
        let saved: i64 = fresh.query_row(count, [], |row| row.get(0))?;
        Ok(Some((origin, u64::try_from(saved).unwrap_or(0))))
    }

    /// Saves the records after this id, until there are no more or one cannot be read. `after` is
    /// the last that could.
    fn on_from(&mut self, after: &mut i64) -> Result<(), Stop> {
        let sql = select_row!("name, payload FROM entries NOT INDEXED WHERE id > ?1 ORDER BY id");
        let unreadable = |_| Stop::Damaged;
        let mut statement = self.damaged.prepare_cached(sql).map_err(unreadable)?;
        let mut rows = statement.query([*after]).map_err(unreadable)?;
        while let Some(row) = rows.next().map_err(unreadable)? {
            if coarse() > self.deadline {
                return Err(Stop::TimeUp);
            }
            *after = row.get(0).map_err(unreadable)?;
            self.save(row)?;
        }
        Ok(())
    }

    fn save(&mut self, row: &Row<'_>) -> Result<(), Stop> {
        let unreadable = |_| Stop::Damaged;
        let Ok(found) = Found::of(row, self.now).map_err(unreadable)? else { return Ok(()) };
        let bytes =
            |index| row.get_ref(index).ok().and_then(row::as_bytes).map(Bytes::copy_from_slice);
        let (Some(name), Some(payload)) = (bytes(ROW_COLUMNS), bytes(ROW_COLUMNS + 1)) else {
            return Ok(());
        };
        let key = found.key(name);
        let is_worth_it =
            found.header.kind != Kind::Lease && found.header.times.life() != Life::Dead;
        if !is_worth_it || !self.is_reachable(&key, found.id) {
            return Ok(());
        }
        if let Ok(record) = found.record(&key, payload) {
            let mut statement = self.fresh.prepare_cached(UPSERT).map_err(Stop::Fresh)?;
            // One that cannot be written was not read as it was written.
            let _ = row::upsert(&mut statement, &key, &record, self.now).map_err(Stop::Fresh)?;
            self.uncommitted += 1;
        }
        if self.uncommitted == RECORDS_PER_COMMIT {
            self.uncommitted = 0;
            self.fresh.execute_batch("COMMIT; BEGIN").map_err(Stop::Fresh)?;
        }
        Ok(())
    }

    fn is_reachable(&self, key: &Key, id: i64) -> bool {
        let sql = "SELECT id FROM entries WHERE name = ?1";
        let by_name = || {
            let mut statement = self.damaged.prepare_cached(sql)?;
            statement.query_row([row::name(key.name())], |row| row.get::<_, i64>(0)).optional()
        };
        by_name().map_or(true, |found| found == Some(id))
    }

    /// From where one can go on, if not from here: the record that is unreadable by itself, or the
    /// first id whose successors can be searched. None if there are no more.
    fn beyond(&self, after: i64) -> Option<i64> {
        if let Ok(next) = self.next(after) {
            return next;
        }
        let (mut bad, mut step) = (after, 1);
        let mut good = loop {
            if coarse() > self.deadline {
                return None;
            }
            let place = bad.checked_add(step)?;
            if self.next(place).is_ok() {
                break place;
            }
            (bad, step) = (place, step.saturating_mul(2));
        };
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            if self.next(middle).is_ok() { good = middle } else { bad = middle }
        }
        Some(good)
    }

    fn next(&self, after: i64) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT id FROM entries NOT INDEXED WHERE id > ?1 ORDER BY id LIMIT 1";
        self.damaged.prepare_cached(sql)?.query_row([after], |row| row.get(0)).optional()
    }
}

/// Opens what is damaged, and leaves it as it is.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connection::open(path, Role::Reader)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // So it is read although its file is shorter than it says.
    connection.execute_batch("PRAGMA writable_schema = ON")?;
    Ok(connection)
}

/// What the damaged database's time counted from. If it cannot tell, from when the folder was
/// marked: it may be older than the database, which only shortens lives.
fn origin(folder: &Folder, damaged: &Connection) -> std::io::Result<Origin> {
    let now = folder.file_system_now()?;
    let last = last_stamp(damaged).map_or(0, StoreTime::as_micros);
    let Ok(mut origin) = Origin::read(damaged) else {
        return Ok(Origin::new(folder.marked_at()?, now, last));
    };
    if origin.anchor.is_current() {
        origin.incarnation = larder_core::Version::next();
        return Ok(origin);
    }
    Ok(Origin::new(origin.created, now, last))
}

/// A copy of a damaged database with the first page of an empty one; none if it is too large.
fn with_first_page(folder: &Folder, config: &DiskConfig, damaged: &Path) -> Result<Option<String>> {
    let length = fs::metadata(damaged).map_or(0, |found| found.len());
    if !(PAGE_BYTES..MAX_COPY_BYTES).contains(&length) {
        return Ok(None);
    }
    let patched = create::unfinished(folder, config)?;
    let patching = patch(damaged, &folder.join(&patched), length / PAGE_BYTES);
    patching.map_err(|error| of_files("open", error))?;
    Ok(Some(patched))
}

/// Nobody in this process has the copy open: to close it here releases no lock of a connection. The
/// damaged one's locks matter no more.
fn patch(damaged: &Path, patched: &Path, pages: u64) -> std::io::Result<()> {
    let mut from = fs::File::open(damaged)?;
    let mut to = OpenOptions::new().write(true).open(patched)?;
    from.seek(SeekFrom::Start(PAGE_BYTES))?;
    to.seek(SeekFrom::Start(PAGE_BYTES))?;
    std::io::copy(&mut from.take((pages - 1) * PAGE_BYTES), &mut to)?;
    to.seek(SeekFrom::Start(PAGE_COUNT_AT))?;
    to.write_all(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes())?;
    // No list of free pages.
    to.write_all(&[0; 8])?;
    let log = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        PathBuf::from(name)
    };
    match fs::copy(log(damaged), log(patched)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(error: rusqlite::Error) -> larder_core::Error {
    of_sqlite("open", error)
}

const MAX_MICROS: i64 = 4_000_000;
const RECORDS_PER_COMMIT: usize = 500;
const MAX_COPY_BYTES: u64 = 256 << 20;
/// Where a database's header has the number of its pages; its list of free pages comes next.
const PAGE_COUNT_AT: u64 = 28;
