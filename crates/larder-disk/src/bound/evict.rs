//! The eviction of records when the store is full.
//!
//! Eviction is by second chance: a hand goes round the records in the order in which they were
//! written, spares each that was used since its last pass, and drops the others. A read costs a
//! write only once a round, there is no index of uses, and the dropped records lie side by side, so
//! whole pages become free. A tag's versions go like values: losing them invalidates. Leases,
//! locks, and the epoch and the tag sequence of a namespace go only when nothing else is left:
//! without a lease two processes load, without an epoch or a sequence a whole namespace is invalid.

use rusqlite::{Connection, params};

/// The records that the hand spares: fewer after a whole round that has freed nothing.
#[derive(Debug, Default)]
pub(crate) struct Mercy {
    fruitless_rounds: u32,
    passed: u64,
}

impl Mercy {
    /// Notes a move of the hand. True if another may free more.
    pub(crate) fn goes_on(&mut self, turn: &HandMove) -> bool {
        self.passed += turn.passed;
        if turn.freed > 0 {
            self.fruitless_rounds = 0;
        } else if turn.came_to_the_end {
            self.fruitless_rounds += 1;
        }
        self.fruitless_rounds < 6
    }

    /// True if the hand spares used records. After the rest of a round and a whole one, each record
    /// has had its second chance; a round over very many records takes too long to wait for.
    fn spares_the_used(&self) -> bool {
        self.fruitless_rounds < 2 && self.passed < MAX_PASSED
    }

    fn spares_the_last(&self) -> bool {
        self.fruitless_rounds < 4
    }
}

/// The result of one move of the hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandMove {
    /// The bytes that were freed, about.
    pub(crate) freed: u64,
    /// Live records that were dropped.
    pub(crate) evicted: u64,
    /// Records that were dropped, or whose mark of use was removed.
    pub(crate) changed: u64,
    passed: u64,
    came_to_the_end: bool,
}

/// The limits of the hand in one transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// The hand stops when this many bytes are free.
    pub(crate) bytes: u64,
    /// The hand stops when it has changed this many records.
    pub(crate) records: u64,
}

/// Moves the hand on as far as it may go, or to the end of the records.
pub(crate) fn evict(
    connection: &Connection,
    reach: Reach,
    now: i64,
    mercy: &Mercy,
) -> rusqlite::Result<HandMove> {
    let at: i64 =
        connection.prepare_cached("SELECT hand FROM store")?.query_row([], |row| row.get(0))?;
    let mut hand = Hand { at, freed: 0, evicted: 0, changed: 0, passed: 0, mercy };
    let came_to_the_end = hand.go_on(connection, reach, now)?;
    let next = if came_to_the_end { 0 } else { hand.at };
    connection.prepare_cached("UPDATE store SET hand = ?1")?.execute([next])?;
    let Hand { freed, evicted, changed, passed, .. } = hand;
    Ok(HandMove { freed, evicted, changed, passed, came_to_the_end })
}

struct Hand<'a> {
    /// The id of the record that the hand passed last.
    at: i64,
    freed: u64,
    evicted: u64,
    changed: u64,
    passed: u64,
    mercy: &'a Mercy,
}

/// A record as the hand sees it.
struct Seen {
    id: i64,
    is_used: bool,
    payload: u64,
    is_dead: bool,
    goes_last: bool,
}

impl Hand<'_> {
    /// Moves the hand. True if it has come to the end of the records.
    fn go_on(&mut self, connection: &Connection, reach: Reach, now: i64) -> rusqlite::Result<bool> {
        for _ in 0..MAX_LOOKS {
            let seen = look(connection, self.at, now)?;
            if seen.is_empty() {
                return Ok(true);
            }
            for record in seen {
                if self.freed >= reach.bytes || self.changed >= reach.records {
                    return Ok(false);
                }
                self.pass(connection, &record)?;
            }
        }
        Ok(false)
    }

    fn pass(&mut self, connection: &Connection, record: &Seen) -> rusqlite::Result<()> {
        self.at = record.id;
        self.passed += 1;
        if !record.is_dead && record.goes_last && self.mercy.spares_the_last() {
            return Ok(());
        }
        self.changed += 1;
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

/// Reads the next records. The first byte of `head` is the kind, 3 for leases and locks. In a name
/// a letter for the class follows the namespace: `e` for an epoch, `s` for a tag sequence.
fn look(connection: &Connection, after: i64, now: i64) -> rusqlite::Result<Vec<Seen>> {
    let sql = "SELECT id, used, length(payload), dies <= ?2,
        substr(head, 1, 1) = x'03' OR substr(name, instr(name, ':') + 1, 1) IN ('e', 's')
        FROM entries WHERE id > ?1 ORDER BY id LIMIT 64";
    let mut statement = connection.prepare_cached(sql)?;
    let seen = statement.query_map(params![after, now], |row| {
        Ok(Seen {
            id: row.get(0)?,
            is_used: row.get(1)?,
            payload: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
            is_dead: row.get::<_, Option<bool>>(3)?.unwrap_or(false),
            goes_last: row.get(4)?,
        })
    })?;
    seen.collect()
}

/// Each look reads 64 records.
const MAX_LOOKS: usize = 64;
const MAX_PASSED: u64 = 20_000;
/// The bytes that a record takes beside its payload, name and indices included.
const ROW_BYTES: u64 = 100;
