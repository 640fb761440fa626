//! A record as a row, and back.
//!
//! Two checks guard a row, as they guard the layout of blobs: one over key, header and payload, one
//! over the life, so that a retime recomputes the second alone.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use larder_core::{
    Epoch, Error, ErrorKind, Header, Key, Kind, NEVER, Record, Result, StoreTime, Times, Version,
    layout,
};
use rusqlite::types::ValueRef;
use rusqlite::{Row, Statement, params};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// A statement that selects the columns that [`Found::of`] reads, in its order, and more.
macro_rules! select_header {
    ($rest:literal) => {
        concat!(
            "SELECT id, used, kind, codec, version, checks, stamp, fresh, dies, born, cost, full, ",
            "epoch, tags, ",
            $rest
        )
    };
}
pub(crate) use select_header;

/// How many columns come before the caller's.
pub(crate) const HEADER_COLUMNS: usize = 14;

/// Stores a row over what is there. What it replaces was worth writing again: it counts as used.
pub(crate) const UPSERT: &str = "
    INSERT INTO entries (name, full, kind, codec, version, checks, stamp, fresh, dies, born, cost,
        epoch, tags, used, payload)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, ?14)
    ON CONFLICT (name) DO UPDATE SET full = excluded.full, kind = excluded.kind,
        codec = excluded.codec, version = excluded.version, checks = excluded.checks,
        stamp = excluded.stamp, fresh = excluded.fresh, dies = excluded.dies,
        born = excluded.born, cost = excluded.cost, epoch = excluded.epoch, tags = excluded.tags,
        used = 1, payload = excluded.payload";

/// A life in the store's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredLife {
    pub(crate) stamp: i64,
    pub(crate) fresh: Option<i64>,
    pub(crate) dies: Option<i64>,
}

impl StoredLife {
    /// A life that had these times at this moment.
    pub(crate) fn new(times: &Times, at: StoreTime) -> Self {
        let stamp = at.as_micros().saturating_sub(micros(times.age).unwrap_or(i64::MAX));
        let dies = micros(times.kept_for).map(|kept| stamp.saturating_add(kept));
        Self { stamp, fresh: micros(times.fresh_for), dies }
    }

    /// The times of this life now. A stamp in the future counts as now: it lengthens no life.
    fn times(self, now: StoreTime) -> Times {
        let age = u64::try_from(now.as_micros().saturating_sub(self.stamp)).unwrap_or(0);
        let kept = self.dies.map(|dies| dies.saturating_sub(self.stamp));
        Times {
            age: Duration::from_micros(age),
            fresh_for: duration(self.fresh),
            kept_for: duration(kept),
        }
    }

    pub(crate) fn check(self, version: Version) -> u32 {
        let numbers = [self.stamp, self.fresh.unwrap_or(i64::MIN), self.dies.unwrap_or(i64::MIN)];
        let mut covered = [0; 40];
        let (head, rest) = covered.split_at_mut(16);
        head.copy_from_slice(&version.to_bytes());
        for (place, number) in rest.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        low(xxh3_64(&covered))
    }
}

/// A row that was read, without its payload.
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) is_used: bool,
    pub(crate) header: Header,
    pub(crate) checks: i64,
    full: Option<Bytes>,
    tags: Vec<u8>,
}

impl Found {
    /// The columns of [`select_header`]. What cannot be right is damage: an inner error of kind `Codec`.
    pub(crate) fn of(row: &Row<'_>, now: StoreTime) -> rusqlite::Result<Result<Self, Damaged>> {
        let id = row.get(0)?;
        Ok(Self::parsed(row, id, now)?.ok_or(Damaged { id }))
    }

    fn parsed(row: &Row<'_>, id: i64, now: StoreTime) -> rusqlite::Result<Option<Self>> {
        let number = |index| row.get_ref(index).map(as_number);
        let optional = |index| {
            row.get_ref(index).map(|value| match value {
                ValueRef::Null => Some(None),
                value => as_number(value).map(Some),
            })
        };
        let (Some(used), Some(kind), Some(codec), Some(checks), Some(stamp)) =
            (number(1)?, number(2)?, number(3)?, number(5)?, number(6)?)
        else {
            return Ok(None);
        };
        let (Some(fresh), Some(dies), Some(born), Some(cost)) =
            (optional(7)?, optional(8)?, number(9)?, number(10)?)
        else {
            return Ok(None);
        };
        let version = as_bytes(row.get_ref(4)?).and_then(|bytes| bytes.try_into().ok());
        let kind = u8::try_from(kind).ok().and_then(|kind| layout::kind_of(kind).ok());
        let (Some(version), Some(kind), Ok(codec), Ok(cost)) =
            (version.map(Version::from_bytes), kind, u16::try_from(codec), u64::try_from(cost))
        else {
            return Ok(None);
        };
        let life = StoredLife { stamp, fresh, dies };
        let full = as_bytes(row.get_ref(11)?).map(Bytes::copy_from_slice);
        let tags = as_bytes(row.get_ref(13)?).unwrap_or_default().to_vec();
        let (Some(epoch), Ok(read_tags)) = (epoch_of(row.get_ref(12)?), layout::decode_tags(&tags))
        else {
            return Ok(None);
        };
        if life.check(version) != low(checks.cast_unsigned()) {
            return Ok(None);
        }
        let mut header = Header::new(kind, version, life.times(now));
        header.codec = codec;
        header.cost = Duration::from_micros(cost);
        header.born = StoreTime::from_micros(stamp.wrapping_sub(born));
        header.epoch = epoch;
        header.tags = read_tags;
        Ok(Some(Self { id, is_used: used != 0, header, checks, full, tags }))
    }

    /// The record, if payload and header are those that were written under this key.
    ///
    /// # Errors
    /// Damage, or another key's record under the same name.
    pub(crate) fn record(self, key: &Key, payload: Bytes) -> Result<Record, Unreadable> {
        if key.is_hashed() != self.full.is_some()
            || self.full.as_ref().is_some_and(|full| full != key.full())
        {
            return Err(Unreadable::AnotherKey);
        }
        let record = Record { header: self.header, payload };
        let is_whole = body_check(key, &record, &self.tags) == high(self.checks)
            && (record.header.kind != Kind::Counter || record.payload.len() == 8);
        if is_whole { Ok(record) } else { Err(Unreadable::Damaged(Damaged { id: self.id })) }
    }

    /// The key of a scanned row, and its header.
    pub(crate) fn scanned(self, name: &[u8]) -> (Key, Header) {
        (Key::from_stored(Bytes::copy_from_slice(name), self.full), self.header)
    }
}

/// A row whose bytes are not those that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub(crate) id: i64,
}

/// Why a row is no record.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Damaged(Damaged),
    AnotherKey,
}

impl Unreadable {
    pub(crate) fn error(&self) -> Error {
        Error::new(
            ErrorKind::Codec,
            "read",
            match self {
                Self::Damaged(_) => "the check does not match",
                Self::AnotherKey => "another key's record",
            },
        )
    }
}

/// Stores a record that had its age at this moment, with a statement of [`UPSERT`].
///
/// # Errors
/// The inner one is [`InvalidInput`](ErrorKind::InvalidInput), as for the layout of blobs.
pub(crate) fn upsert(
    statement: &mut Statement<'_>,
    key: &Key,
    record: &Record,
    at: StoreTime,
) -> rusqlite::Result<Result<()>> {
    let header = &record.header;
    let mut tags = Vec::new();
    if let Err(error) = layout::encode_tags(&mut tags, &header.tags) {
        return Ok(Err(error));
    }
    let life = StoredLife::new(&header.times, at);
    let checks = checks(body_check(key, record, &tags), life.check(header.version));
    let epoch = (header.epoch != Epoch::NONE).then(|| epoch_bytes(header.epoch));
    statement.execute(params![
        key.name(),
        key.is_hashed().then(|| key.full()),
        layout::kind_number(header.kind),
        header.codec,
        header.version.to_bytes(),
        checks,
        life.stamp,
        life.fresh,
        life.dies,
        // Wrapping, so that it comes back whatever the two are.
        life.stamp.wrapping_sub(header.born.as_micros()),
        cost(header),
        epoch,
        (!tags.is_empty()).then_some(tags),
        record.payload.as_ref(),
    ])?;
    Ok(Ok(()))
}

/// The column `checks` of a row whose life is replaced.
pub(crate) fn with_life(checks_before: i64, life: StoredLife, version: Version) -> i64 {
    checks(high(checks_before), life.check(version))
}

/// The bytes of a column that holds some.
pub(crate) fn as_bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Some(bytes),
        _ => None,
    }
}

fn as_number(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => Some(number),
        _ => None,
    }
}

fn body_check(key: &Key, record: &Record, tags: &[u8]) -> u32 {
    let header = &record.header;
    let mut fixed = [0; 64];
    let mut place = &mut fixed[..];
    place.put_u8(layout::kind_number(header.kind));
    place.put_u8(u8::from(key.is_hashed()));
    place.put_u16_le(header.codec);
    place.put_slice(&header.version.to_bytes());
    place.put_i64_le(cost(header));
    place.put_i64_le(header.born.as_micros());
    place.put_slice(&epoch_bytes(header.epoch));
    place.put_u64_le(key.full().len() as u64);
    place.put_u32_le(u32::try_from(tags.len()).unwrap_or(u32::MAX));
    let mut hasher = Xxh3::new();
    hasher.update(&fixed);
    hasher.update(tags);
    hasher.update(key.full());
    hasher.update(&record.payload);
    low(hasher.digest())
}

fn cost(header: &Header) -> i64 {
    i64::try_from(header.cost.as_micros()).unwrap_or(i64::MAX)
}

fn epoch_bytes(epoch: Epoch) -> [u8; 16] {
    (u128::from(epoch.hard) | u128::from(epoch.soft) << 64).to_le_bytes()
}

fn epoch_of(value: ValueRef<'_>) -> Option<Epoch> {
    let ValueRef::Blob(bytes) = value else {
        return matches!(value, ValueRef::Null).then_some(Epoch::NONE);
    };
    let (hard, soft) = bytes.split_at_checked(8)?;
    Some(Epoch {
        hard: u64::from_le_bytes(hard.try_into().ok()?),
        soft: u64::from_le_bytes(soft.try_into().ok()?),
    })
}

fn checks(body: u32, life: u32) -> i64 {
    (u64::from(body) << 32 | u64::from(life)).cast_signed()
}

fn high(checks: i64) -> u32 {
    low(checks.cast_unsigned() >> 32)
}

fn low(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Whole microseconds, rounded up, so that a short life never becomes none; none for ever.
fn micros(duration: Duration) -> Option<i64> {
    (duration != NEVER)
        .then(|| i64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX))
}

fn duration(micros: Option<i64>) -> Duration {
    micros.map_or(NEVER, |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}
