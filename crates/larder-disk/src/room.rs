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

/// How many records there are, the dead that are not freed yet included.
pub(crate) fn records(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM entries";
    let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
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

/// What the hand spares. It becomes harder where a whole round has freed nothing.
#[derive(Debug, Default)]
pub(crate) struct Mercy {
    fruitless_rounds: u32,
    turns: u32,
}

impl Mercy {
    /// Notes a turn; whether another may free more.
    pub(crate) fn goes_on(&mut self, turn: &Turn) -> bool {
        self.turns += 1;
        if turn.freed > 0 {
            self.fruitless_rounds = 0;
        } else if turn.came_to_the_end {
            self.fruitless_rounds += 1;
        }
        self.fruitless_rounds < 6
    }

    /// The rest of a round, and a whole one, have told who was used; and so may many turns.
    fn spares_the_used(&self) -> bool {
        self.fruitless_rounds < 2 && self.turns < 32
    }

    /// Leases, locks and the versions of tags go only when there is nothing else.
    fn spares_what_has_no_payload(&self) -> bool {
        self.fruitless_rounds < 4
    }
}

/// What one turn of the hand came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Bytes, about.
    pub(crate) freed: u64,
    /// Live records.
    pub(crate) evicted: u64,
    came_to_the_end: bool,
}

/// Moves the hand on until so many bytes are free, it comes to the end of the records, or it has
/// passed as many as one transaction should hold.
pub(crate) fn evict(
    connection: &Connection,
    bytes: u64,
    now: i64,
    mercy: &Mercy,
) -> rusqlite::Result<Turn> {
    let at: i64 =
        connection.prepare_cached("SELECT hand FROM store")?.query_row([], |row| row.get(0))?;
    let mut hand = Hand { at, freed: 0, evicted: 0, mercy };
    let came_to_the_end = hand.go_on(connection, bytes, now)?;
    let next = if came_to_the_end { 0 } else { hand.at };
    connection.prepare_cached("UPDATE store SET hand = ?1")?.execute([next])?;
    Ok(Turn { freed: hand.freed, evicted: hand.evicted, came_to_the_end })
}

struct Hand<'a> {
    /// The id of the record that it passed last.
    at: i64,
    freed: u64,
    evicted: u64,
    mercy: &'a Mercy,
}

/// What the hand sees of a record.
struct Seen {
    id: i64,
    is_used: bool,
    payload: u64,
    is_dead: bool,
    is_absence: bool,
}

impl Hand<'_> {
    /// Whether it came to the end.
    fn go_on(&mut self, connection: &Connection, bytes: u64, now: i64) -> rusqlite::Result<bool> {
        for _ in 0..MAX_LOOKS {
            let seen = look(connection, self.at, now)?;
            if seen.is_empty() {
                return Ok(true);
            }
            for record in seen {
                if self.freed >= bytes {
                    return Ok(false);
                }
                self.pass(connection, &record)?;
            }
        }
        Ok(false)
    }

    fn pass(&mut self, connection: &Connection, record: &Seen) -> rusqlite::Result<()> {
        self.at = record.id;
        let has_payload = record.payload > 0 || record.is_absence;
        if !record.is_dead && !has_payload && self.mercy.spares_what_has_no_payload() {
            return Ok(());
        }
        if !record.is_dead && record.is_used && self.mercy.spares_the_used() {
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

/// Looks at 64 records each.
const MAX_LOOKS: usize = 64;
const MAX_WAL_BYTES: u64 = 16 << 20;
/// What a record takes up beside its payload, name and indices included.
const ROW_BYTES: u64 = 100;
