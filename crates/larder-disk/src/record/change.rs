//! One change of one key, inside a transaction that keeps other writers out.

use bytes::Bytes;
use larder_core::{Delete, Expect, Key, Life, Outcome, Record, Retime, StoreTime, Write};
use rusqlite::{Connection, OptionalExtension, params};

use crate::bound::claim::Need;
use crate::error::damage;
use crate::record::row::{self, Found, ROW_COLUMNS, StoredLife, UPSERT, Unreadable, select_row};

/// A change that a caller asked for.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write(Write),
    Retime(Retime),
    Delete(Delete),
}

/// The versions of a tag in a record, and the length of its name.
const TAG_BYTES: usize = 34;

impl Change {
    /// Returns the bytes that the change brings.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Write(write) => {
                let tags = &write.record.header.tags;
                let tags = tags.iter().map(|tag| tag.name.len() + TAG_BYTES).sum::<usize>();
                write.record.payload.len() + write.key.full().len() + tags
            }
            Self::Retime(_) | Self::Delete(_) => 0,
        }
    }

    /// Returns the room that the change needs, without the payload of a record whose life changes.
    pub(crate) fn need(&self) -> Need {
        let Self::Write(write) = self else { return Need::due(1) };
        let is_dead = write.record.header.times.life() == Life::Dead;
        Need {
            bytes: self.bytes() as u64,
            records: 1,
            longest: write.record.payload.len() as u64,
            grows: !is_dead,
            is_due: is_dead || is_mark(&write.key),
        }
    }

    /// Returns the room that the change needs in this database. A record whose life changes is
    /// written again, payload and all.
    pub(crate) fn need_in(&self, connection: Option<&Connection>) -> Need {
        match (self, connection) {
            (Self::Retime(retime), Some(connection)) => {
                let bytes = row::payload_bytes(connection, &retime.key).unwrap_or(0);
                Need { bytes, ..self.need() }
            }
            _ => self.need(),
        }
    }

    /// Judges and applies the change. `asked` is the time of the call, from which ages count. It is
    /// not after `now`: the caller sees to that, because a replaced store's time may be behind.
    ///
    /// An error means that the statement, and maybe the transaction, came to nothing.
    pub(crate) fn apply(
        &self,
        connection: &Connection,
        asked: StoreTime,
        now: StoreTime,
    ) -> rusqlite::Result<Outcome> {
        match self {
            Self::Write(write) => apply_write(connection, write, asked, now),
            Self::Retime(retime) => apply_retime(connection, retime, asked, now),
            Self::Delete(delete) => apply_delete(connection, delete, now),
        }
    }
}

fn apply_write(
    connection: &Connection,
    write: &Write,
    asked: StoreTime,
    now: StoreTime,
) -> rusqlite::Result<Outcome> {
    let Write { key, record, expect } = write;
    if let Some(refused) = refusal(connection, key, expect, now)? {
        return Ok(refused);
    }
    if record.header.times.life() == Life::Dead {
        drop_key(connection, key)?;
        return Ok(Outcome::Done);
    }
    let stored = row::upsert(&mut *connection.prepare_cached(UPSERT)?, key, record, asked)?;
    Ok(stored.map_or_else(Outcome::Failed, |()| Outcome::Done))
}

fn apply_retime(
    connection: &Connection,
    retime: &Retime,
    asked: StoreTime,
    now: StoreTime,
) -> rusqlite::Result<Outcome> {
    let Retime { key, version, times, .. } = retime;
    let current = match current(connection, key, now)? {
        Some(current) if current.record.header.version == *version => current,
        other => return Ok(refused(other)),
    };
    if times.life() == Life::Dead {
        drop_key(connection, key)?;
        return Ok(Outcome::Done);
    }
    let life = StoredLife::new(times, asked);
    let head = row::with_life(key, &current.record, life);
    let sql = "UPDATE entries SET head = ?2, dies = ?3, used = 1 WHERE id = ?1";
    connection.prepare_cached(sql)?.execute(params![current.id, head, life.dies])?;
    Ok(Outcome::Done)
}

fn apply_delete(
    connection: &Connection,
    delete: &Delete,
    now: StoreTime,
) -> rusqlite::Result<Outcome> {
    if let Some(refused) = refusal(connection, &delete.key, &delete.expect, now)? {
        return Ok(refused);
    }
    drop_key(connection, &delete.key)?;
    Ok(Outcome::Done)
}

/// Drops a damaged row, if the name still leads to that row.
///
/// # Errors
/// Damage of the database if the name leads to another name's row: deleting there would harm that.
pub(crate) fn drop_damaged(connection: &Connection, id: i64, key: &Key) -> rusqlite::Result<bool> {
    if row::id_of(connection, key)? != Some(id) {
        return Ok(false);
    }
    let sql = select_row!("name, payload FROM entries NOT INDEXED WHERE id = ?1");
    let is_damaged = connection.prepare_cached(sql)?.query_row([id], |row| {
        if row::as_bytes(row.get_ref(ROW_COLUMNS)?) != Some(key.name()) {
            return Err(damage());
        }
        let Ok(found) = Found::of(row, StoreTime::default())? else { return Ok(true) };
        let payload = row::as_bytes(row.get_ref(ROW_COLUMNS + 1)?).unwrap_or_default();
        let record = found.record(key, Bytes::copy_from_slice(payload));
        Ok(matches!(record, Err(Unreadable::Damaged(_))))
    });
    if is_damaged? {
        connection.prepare_cached("DELETE FROM entries WHERE id = ?1")?.execute([id])?;
        return Ok(true);
    }
    Ok(false)
}

/// A live record of the key itself.
struct Current {
    id: i64,
    record: Record,
}

/// Returns the live record. Dead records, damaged ones and those of another key count as nothing.
fn current(
    connection: &Connection,
    key: &Key,
    now: StoreTime,
) -> rusqlite::Result<Option<Current>> {
    let sql = select_row!("payload FROM entries WHERE name = ?1");
    let found = connection.prepare_cached(sql)?.query_row([row::name(key.name())], |row| {
        let Ok(found) = Found::of(row, now)? else { return Ok(None) };
        let payload = row::as_bytes(row.get_ref(ROW_COLUMNS)?).unwrap_or_default();
        let id = found.id;
        let record = found.record(key, Bytes::copy_from_slice(payload)).ok();
        Ok(record.map(|record| Current { id, record }))
    });
    let found = found.optional()?.flatten();
    Ok(found.filter(|current| current.record.header.times.life() != Life::Dead))
}

/// True for the key of a tag, the tag sequence or the epoch, which make other records invalid.
fn is_mark(key: &Key) -> bool {
    let class = key.full().split(|byte| *byte == b':').nth(1);
    matches!(class, Some([b't' | b's' | b'e', ..]))
}

/// Returns the refusal if the expectation is not met.
fn refusal(
    connection: &Connection,
    key: &Key,
    expect: &Expect,
    now: StoreTime,
) -> rusqlite::Result<Option<Outcome>> {
    if *expect == Expect::Any {
        return Ok(None);
    }
    let current = current(connection, key, now)?;
    let is_met = match (expect, &current) {
        (Expect::Absent, None) => true,
        (Expect::Version(version, _), Some(current)) => current.record.header.version == *version,
        _ => false,
    };
    Ok((!is_met).then(|| refused(current)))
}

fn refused(current: Option<Current>) -> Outcome {
    Outcome::Refused(current.map(|current| Box::new(current.record.header)))
}

fn drop_key(connection: &Connection, key: &Key) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM entries WHERE name = ?1")?
        .execute([row::name(key.name())])
}
