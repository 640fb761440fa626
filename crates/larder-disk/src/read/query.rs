//! Queries: one record, many, a page of them.

use bytes::Bytes;
use larder_core::{Key, Life, Page, Record, Result, Scanned, StoreTime};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::record::row::{self, Damaged, Found, ROW_COLUMNS, Unreadable, select_row};

/// The longest payload that is read on the caller's thread: that takes less than a hand-over.
pub(crate) const SMALL_BYTES: i64 = 16 << 10;

/// The result of a read of one key.
#[expect(clippy::large_enum_variant, reason = "a read costs no box")]
pub(crate) enum Read {
    /// The answer, and the id of a record that eviction does not know to be used.
    Answer(Result<Option<Record>>, Option<i64>),
    /// Bytes that no write has stored.
    Damaged(Damaged),
    /// The payload is longer than the read allows.
    Large,
}

impl Read {
    const NOTHING: Self = Self::Answer(Ok(None), None);
}

/// Reads the record under a key, if its payload is at most this long.
pub(crate) fn one(
    connection: &Connection,
    key: &Key,
    now: StoreTime,
    max_bytes: i64,
) -> rusqlite::Result<Read> {
    let sql = select_row!(
        "CASE WHEN length(payload) <= ?2 THEN payload END FROM entries WHERE name = ?1"
    );
    let mut statement = connection.prepare_cached(sql)?;
    let read =
        statement.query_row(params![row::name(key.name()), max_bytes], |row| of_row(row, key, now));
    Ok(read.optional()?.unwrap_or(Read::NOTHING))
}

fn of_row(row: &Row<'_>, key: &Key, now: StoreTime) -> rusqlite::Result<Read> {
    let found = match Found::of(row, now)? {
        Ok(found) => found,
        Err(damaged) => return Ok(Read::Damaged(damaged)),
    };
    if found.header.times.life() == Life::Dead {
        return Ok(Read::NOTHING);
    }
    let Some(payload) = row::as_bytes(row.get_ref(ROW_COLUMNS)?) else {
        return Ok(Read::Large);
    };
    let unused = (!found.is_used).then_some(found.id);
    Ok(match found.record(key, Bytes::copy_from_slice(payload)) {
        Ok(record) => Read::Answer(Ok(Some(record)), unused),
        Err(Unreadable::Damaged(damaged)) => Read::Damaged(damaged),
        Err(Unreadable::AnotherKey) => Read::Answer(Err(Unreadable::AnotherKey.error()), None),
    })
}

/// Reads one page of the live records whose name begins with `prefix`, after the name `cursor`.
pub(crate) fn page(
    connection: &Connection,
    prefix: &[u8],
    cursor: Option<&[u8]>,
    limit: usize,
    now: StoreTime,
) -> rusqlite::Result<Page> {
    let sql = match cursor {
        Some(_) => {
            select_row!("name FROM entries WHERE name > ?1 AND name < ?2 ORDER BY name LIMIT ?3")
        }
        None => {
            select_row!("name FROM entries WHERE name >= ?1 AND name < ?2 ORDER BY name LIMIT ?3")
        }
    };
    let (end, limit) = (end(prefix), limit.max(1));
    let mut statement = connection.prepare_cached(sql)?;
    let values = params![row::name(cursor.unwrap_or(prefix)), row::name(&end), bounded(limit)];
    let mut rows = statement.query(values)?;
    let (mut page, mut met, mut last) = (Page::default(), 0, Bytes::new());
    while let Some(row) = rows.next()? {
        met += 1;
        last = Bytes::copy_from_slice(row::as_bytes(row.get_ref(ROW_COLUMNS)?).unwrap_or_default());
        let Ok(found) = Found::of(row, now)? else { continue };
        if found.header.times.life() != Life::Dead {
            let (key, header) = found.scanned(last.clone());
            page.records.push(Scanned { key, header });
        }
    }
    page.next = (met == limit).then_some(last);
    Ok(page)
}

/// Returns the bound after all names that begin with the prefix, and before all later names.
fn end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.pop_if(|byte| *byte == u8::MAX).is_some() {}
    match end.last_mut() {
        Some(byte) => *byte += 1,
        // All names are shorter than 256 bytes.
        None => end = vec![u8::MAX; 256],
    }
    end
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::end;

    #[test]
    fn the_end_of_a_prefix_is_the_next_name_that_does_not_begin_with_it() {
        assert_eq!(end(b"shop:"), b"shop;");
        assert_eq!(end(b"a\xff\xff"), b"b");
        assert_eq!(end(b""), [0xff; 256]);
        assert_eq!(end(b"\xff"), [0xff; 256]);
    }
}
