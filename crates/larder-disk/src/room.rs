//! The bound on disk: how much there is, and what goes first when it is too much.
//!
//! Eviction is by second chance: a hand goes round the records in the order in which they were
//! written, spares each that was used since it last came by, and drops the others. So a read costs a
//! write only once a round, there is no index of uses, and what goes lies side by side: whole pages
//! become free. Leases and versions of tags, which have no payload, go only when nothing else is
//! left; a lease that is lost refuses its load's result, and a tag that is lost invalidates.

use rusqlite::{Connection, OptionalExtension, params};

use crate::connection::PAGE_BYTES;

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskUsage {
    /// Records, the dead that are not freed yet included.
    pub records: u64,
    /// Bytes of pages in use. What the bound is about, together with the log.
    pub used_bytes: u64,
    /// Bytes of the database's file, free pages included.
    pub file_bytes: u64,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
    /// The bound; none if there is none.
    pub max_bytes: Option<u64>,
}

/// The share of the bound that the write-ahead log may take up.
pub(crate) fn wal_bytes(max_bytes: Option<u64>) -> u64 {
    max_bytes.map_or(MAX_WAL_BYTES, |max| (max / 8).clamp(16 * PAGE_BYTES, MAX_WAL_BYTES))
}

/// The bytes of pages that may be in use.
pub(crate) fn page_bytes(max_bytes: u64) -> u64 {
    max_bytes.saturating_sub(wal_bytes(Some(max_bytes)))
}

/// How many bytes of changes go into one transaction: its log has to have room.
pub(crate) fn transaction_bytes(max_bytes: Option<u64>) -> usize {
    usize::try_from(wal_bytes(max_bytes) / 2).unwrap_or(usize::MAX)
}

/// Bytes of pages in use, and of pages in all.
pub(crate) fn pages(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let pragma = |sql| {
        let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(u64::try_from(count).unwrap_or(0) * PAGE_BYTES)
    };
    let all = pragma("PRAGMA page_count")?;
    Ok((all.saturating_sub(pragma("PRAGMA freelist_count")?), all))
}

/// Frees dead records, those that died first; how many.
pub(crate) fn purge(connection: &Connection, now: i64, limit: usize) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM entries WHERE id IN
        (SELECT id FROM entries WHERE dies <= ?1 ORDER BY dies LIMIT ?2)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute(params![now, limit])
}

/// Gives free pages back to the file system, at most so many. The file is shorter when the log has
/// been emptied.
pub(crate) fn give_back(connection: &Connection, pages: usize) -> rusqlite::Result<()> {
    // Each step gives back one page.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}

/// When the next record dies; none if no record ever will.
pub(crate) fn next_death(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT dies FROM entries WHERE dies IS NOT NULL ORDER BY dies LIMIT 1";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()
}

/// Notes that these records were used.
pub(crate) fn mark_used(connection: &Connection, ids: &[i64]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE entries SET used = 1 WHERE id = ?1")?;
    ids.iter().try_for_each(|id| statement.execute([id]).map(drop))
}

/// Moves the hand until so many bytes are free, or twice round; how many live records went.
pub(crate) fn evict(connection: &Connection, bytes: u64, now: i64) -> rusqlite::Result<u64> {
    let start: i64 =
        connection.prepare_cached("SELECT hand FROM store")?.query_row([], |row| row.get(0))?;
    let mut hand = Hand { at: start, freed: 0, evicted: 0, takes_all: false };
    // The first round may find all used; the third, nothing but leases and tags.
    for _ in 0..4 {
        if hand.go_round(connection, bytes, now)? {
            break;
        }
        hand.takes_all = hand.evicted == 0 && hand.freed == 0;
    }
    connection.prepare_cached("UPDATE store SET hand = ?1")?.execute([hand.at])?;
    Ok(hand.evicted)
}

struct Hand {
    /// The id of the record that it passed last.
    at: i64,
    freed: u64,
    evicted: u64,
    /// Whether it takes what has no payload, too.
    takes_all: bool,
}

/// What the hand sees of a record.
struct Seen {
    id: i64,
    is_used: bool,
    payload: u64,
    is_dead: bool,
    is_absence: bool,
}

impl Hand {
    /// Goes on to the end of the records and begins anew; whether enough is free.
    fn go_round(
        &mut self,
        connection: &Connection,
        bytes: u64,
        now: i64,
    ) -> rusqlite::Result<bool> {
        loop {
            let seen = look(connection, self.at, now)?;
            if seen.is_empty() {
                self.at = 0;
                return Ok(self.freed >= bytes);
            }
            for record in seen {
                if self.freed >= bytes {
                    return Ok(true);
                }
                self.pass(connection, &record)?;
            }
        }
    }

    fn pass(&mut self, connection: &Connection, record: &Seen) -> rusqlite::Result<()> {
        self.at = record.id;
        let is_for_taking = record.payload > 0 || record.is_absence || self.takes_all;
        if !record.is_dead && !is_for_taking {
            return Ok(());
        }
        if !record.is_dead && record.is_used {
            let sql = "UPDATE entries SET used = 0 WHERE id = ?1";
            return connection.prepare_cached(sql)?.execute([record.id]).map(drop);
        }
        connection.prepare_cached("DELETE FROM entries WHERE id = ?1")?.execute([record.id])?;
        self.freed += record.payload + ROW_BYTES;
        self.evicted += u64::from(!record.is_dead);
        Ok(())
    }
}

fn look(connection: &Connection, after: i64, now: i64) -> rusqlite::Result<Vec<Seen>> {
    let sql =
        "SELECT id, used, length(payload), dies <= ?2, substr(head, 1, 1) = x'02' FROM entries
        WHERE id > ?1 ORDER BY id LIMIT 64";
    let mut statement = connection.prepare_cached(sql)?;
    let seen = statement.query_map(params![after, now], |row| {
        Ok(Seen {
            id: row.get(0)?,
            is_used: row.get(1)?,
            payload: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
            is_dead: row.get::<_, Option<bool>>(3)?.unwrap_or(false),
            is_absence: row.get(4)?,
        })
    })?;
    seen.collect()
}

const MAX_WAL_BYTES: u64 = 16 << 20;
/// What a record takes up beside its payload, name and indices included.
const ROW_BYTES: u64 = 100;
