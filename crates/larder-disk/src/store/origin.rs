//! The store's own row: its life, the start of its time, and its bound.

use larder_core::{StoreTime, Version};
use rusqlite::{Connection, OptionalExtension, params};
use xxhash_rust::xxh3::xxh3_64;

use crate::bound::Bound;
use crate::error::damage;
use crate::record::row::{Found, select_row};
use crate::time::clock::Anchor;

/// The origin of one life of a store.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) incarnation: Version,
    /// The file system's time of the creation, which is the store's time zero.
    pub(crate) created: i64,
    pub(crate) anchor: Anchor,
    pub(crate) bound: Bound,
}

impl Origin {
    /// Returns the origin of a life that begins now, by the file system's time.
    pub(crate) fn new(now: i64, bound: Bound) -> Self {
        let anchor = Anchor::renewed(now, now, 0);
        Self { incarnation: Version::next(), created: now, anchor, bound }
    }

    /// # Errors
    /// Damage if there is none or its check does not match: a wrong offset would lengthen lives.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT incarnation, created, start, start_offset, checks, max_bytes FROM store";
        let read = connection.query_row(sql, [], |row| {
            let anchor = Anchor { start: row.get(2)?, offset: row.get(3)? };
            let incarnation = Version::from_bytes(row.get(0)?);
            let bound = Bound::from_column(row.get(5)?).ok_or_else(damage)?;
            let origin = Self { incarnation, created: row.get(1)?, anchor, bound };
            Ok((origin, row.get::<_, i64>(4)?))
        });
        match read {
            Ok((origin, checks)) if origin.check() == checks => Ok(origin),
            Err(error @ rusqlite::Error::SqliteFailure(..)) => Err(error),
            // A column has another type than the written one, or there is no row.
            _ => Err(damage()),
        }
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO store VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0)
            ON CONFLICT (one) DO UPDATE SET incarnation = ?1, created = ?2, start = ?3,
            start_offset = ?4, checks = ?5, max_bytes = ?6";
        let Anchor { start, offset } = &self.anchor;
        let (id, max_bytes) = (self.incarnation.to_bytes(), self.bound.column());
        let values = params![id, self.created, start, offset, self.check(), max_bytes];
        connection.execute(sql, values).map(drop)
    }

    fn check(&self) -> i64 {
        let mut covered = self.incarnation.to_bytes().to_vec();
        covered.extend(self.created.to_le_bytes());
        covered.extend(self.anchor.offset.to_le_bytes());
        covered.extend(self.bound.column().unwrap_or(i64::MIN).to_le_bytes());
        covered.extend(self.anchor.start.as_bytes());
        xxh3_64(&covered).cast_signed()
    }
}

/// Returns the time at which the newest record was written; zero if that is not known.
pub(crate) fn last_stamp(connection: &Connection) -> rusqlite::Result<StoreTime> {
    let newest = select_row!("id FROM entries ORDER BY id DESC LIMIT 1");
    let far = StoreTime::from_micros(i64::MAX);
    let found = connection.query_row(newest, [], |row| Found::of(row, far)).optional()?;
    let age = found.and_then(Result::ok).map(|found| found.header.times.age.as_micros());
    let age = age.and_then(|age| i64::try_from(age).ok()).unwrap_or(i64::MAX);
    Ok(StoreTime::from_micros(i64::MAX - age))
}
