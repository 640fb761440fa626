//! What can be saved of a damaged database.
//!
//! Its records are walked in the order of their ids; where a page cannot be read, the next id beyond
//! it is searched for. A record is taken if its checks match and if whoever asked for its key would
//! have found it, or have found the damage: one that had become unreachable may have been deleted
//! since, as far as its user knows. Leases go: the loads that hold them are refused, and load again.

use std::path::Path;

use bytes::Bytes;
use larder_core::{Key, Kind, Life, Result, StoreTime};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::bound::Bound;
use crate::clock::{StoreClock, coarse};
use crate::config::DiskConfig;
use crate::connection::{self, Role};
use crate::error::{of_files, of_sqlite};
use crate::folder::Folder;
use crate::origin::{Origin, last_stamp};
use crate::rebuild;
use crate::room;
use crate::row::{self, Found, INSERT, ROW_COLUMNS, select_row};

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
    // Others wait for the store meanwhile. Their calls may fail, which can be tried again; records
    // that were not saved cannot.
    let deadline = coarse() + MAX_MICROS;
    let walk = |from: &Path| Walk::all(folder, config, from, fresh, deadline).map_err(failed);
    let first = walk(damaged)?;
    if let Some(Walked { origin, saved: saved @ 1.., has_gaps: false }) = first {
        return Ok(Some((origin, saved)));
    }
    if coarse() > deadline {
        return Ok(first.map(|walked| (walked.origin, walked.saved)));
    }
    let second = match rebuild::copy(folder, config, damaged)? {
        Some(name) => {
            let walked = walk(&folder.join(&name));
            folder.remove_database(&name).map_err(|error| of_files("open", error))?;
            walked?
        }
        None => None,
    };
    Ok(second.or(first).map(|walked| (walked.origin, walked.saved)))
}

/// What a walk came to.
struct Walked {
    origin: Origin,
    /// How many records there are, those of walks before included.
    saved: u64,
    /// Whether there were pages that could not be searched.
    has_gaps: bool,
}

struct Walk<'a> {
    damaged: &'a Connection,
    fresh: &'a Connection,
    now: StoreTime,
    deadline: i64,
    /// Saved since the last commit.
    uncommitted: usize,
    has_gaps: bool,
    met: i64,
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
    ) -> rusqlite::Result<Option<Walked>> {
        let Ok(damaged) = open(damaged) else { return Ok(None) };
        let Ok(origin) = origin(folder, &damaged, config.new_bound()) else { return Ok(None) };
        let now = StoreClock::of(&origin.anchor, config.clock.as_ref()).now();
        fresh.execute_batch("BEGIN")?;
        let mut walk = Walk {
            damaged: &damaged,
            fresh,
            now,
            deadline,
            uncommitted: 0,
            has_gaps: false,
            met: 0,
        };
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
        // The index knows of rows that the table does not lead to any more.
        walk.has_gaps |= walk.named().is_ok_and(|named| named > walk.met);
        Ok(Some(Walked { origin, saved: room::records(fresh)?, has_gaps: walk.has_gaps }))
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
            self.met += 1;
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
            let mut statement = self.fresh.prepare_cached(INSERT).map_err(Stop::Fresh)?;
            // What an earlier walk found is newer. One that cannot be written was not read as it was
            // written.
            let _ = row::upsert(&mut statement, &key, &record, self.now).map_err(Stop::Fresh)?;
            self.uncommitted += 1;
        }
        if self.uncommitted == RECORDS_PER_COMMIT {
            self.uncommitted = 0;
            self.fresh.execute_batch("COMMIT; BEGIN").map_err(Stop::Fresh)?;
        }
        Ok(())
    }

    /// How many rows the index of names has.
    fn named(&self) -> rusqlite::Result<i64> {
        let sql = "SELECT count(*) FROM entries INDEXED BY entries_by_name WHERE name >= ''";
        self.damaged.query_row(sql, [], |row| row.get(0))
    }

    fn is_reachable(&self, key: &Key, id: i64) -> bool {
        row::id_of(self.damaged, key).map_or(true, |found| found == Some(id))
    }

    /// From where one can go on, if not from here: the record that is unreadable by itself, or the
    /// first id whose successors can be searched. None if there are no more.
    fn beyond(&mut self, after: i64) -> Option<i64> {
        if let Ok(next) = self.next(after) {
            return next;
        }
        self.has_gaps = true;
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
/// marked: it may be older than the database, which only shortens lives; and then the store gets this
/// bound.
fn origin(folder: &Folder, damaged: &Connection, bound: Bound) -> std::io::Result<Origin> {
    let now = folder.file_system_now()?;
    let last = last_stamp(damaged).map_or(0, StoreTime::as_micros);
    let Ok(mut origin) = Origin::read(damaged) else {
        return Ok(Origin::new(folder.marked_at()?, now, last, bound));
    };
    if origin.anchor.is_current() {
        origin.incarnation = larder_core::Version::next();
        return Ok(origin);
    }
    Ok(Origin::new(origin.created, now, last, origin.bound))
}

fn failed(error: rusqlite::Error) -> larder_core::Error {
    of_sqlite("open", error)
}

const MAX_MICROS: i64 = 4_000_000;
const RECORDS_PER_COMMIT: usize = 500;
