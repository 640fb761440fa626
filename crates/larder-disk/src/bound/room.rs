//! The room that a store takes, and the return of room that the store does not need.

use rusqlite::{Connection, OptionalExtension, params};

use crate::bound::PAGE_BYTES;

/// Room that a store takes: records and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskUsage {
    /// The number of records, the dead that are not freed yet included.
    pub records: u64,
    /// The bytes of pages in use: the files may be longer.
    pub used_bytes: u64,
    /// The bytes of the database's file, free pages included.
    pub file_bytes: u64,
    /// The bytes of the write-ahead log.
    pub log_bytes: u64,
    /// The store's bound; none if there is none.
    pub max_bytes: Option<u64>,
}

/// Returns the bytes of pages in use, and of all pages.
pub(crate) fn pages(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let pragma = |sql| {
        let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(u64::try_from(count).unwrap_or(0) * PAGE_BYTES)
    };
    let all = pragma("PRAGMA page_count")?;
    Ok((all.saturating_sub(pragma("PRAGMA freelist_count")?), all))
}

/// Returns the number of records, the dead that are not freed yet included.
pub(crate) fn records(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM entries";
    let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Frees dead records, those that died first. Returns their number.
pub(crate) fn purge(connection: &Connection, now: i64, limit: u64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM entries WHERE id IN
        (SELECT id FROM entries WHERE dies <= ?1 ORDER BY dies LIMIT ?2)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute(params![now, limit])
}

/// Gives free pages back to the file system, at most this many. The file is shorter when the log
/// has been emptied.
pub(crate) fn give_back(connection: &Connection, pages: u64) -> rusqlite::Result<()> {
    // Each step gives back one page.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}

/// Returns the time at which the next record dies; none if no record ever will.
pub(crate) fn next_death(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT dies FROM entries WHERE dies IS NOT NULL ORDER BY dies LIMIT 1";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()
}

/// Notes that these records were used.
pub(crate) fn mark_used(connection: &Connection, ids: &[i64]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE entries SET used = 1 WHERE id = ?1")?;
    ids.iter().try_for_each(|id| statement.execute([id]).map(drop))
}
