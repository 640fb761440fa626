//! A record as a row, in both directions.
//!
//! The fields that are read together share one column, `head`, because a column costs more to find
//! than to parse: a read of 100 bytes is a tenth faster for it. Numbers are varints, seven bits a
//! byte from the lowest, those with a sign zigzag.
//!
//! | bytes of `head` | meaning |
//! |---|---|
//! | 0 | kind, numbered as in the layout of blobs |
//! | 1..17 | version |
//! | 17..21 | check of key, header and payload |
//! | 21..25 | check of the life, so that a retime leaves the other alone |
//! | varint, sign | stamp: store time in microseconds at which the age was zero |
//! | varint | 0 for ever, else one more than the microseconds that it is fresh |
//! | varint, sign | microseconds before the stamp at which the load or insert began |
//! | varint | cost of the load in microseconds |
//! | varint | codec |
//!
//! The end of the life is a column, `dies`. The fields that few records have are in `extra`, null
//! if there are none: a byte of flags; with flag 1 the epoch of 16 bytes; with flag 2 the length of
//! the full key as a varint, and the key; then the tags, as in the layout of blobs.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use larder_core::{
    Epoch, Error, ErrorKind, Header, Key, Kind, NEVER, Record, Result, StoreTime, Times, Version,
    layout,
};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::error::damage;
use crate::record::varint::{Input, put, put_signed};

/// A statement that selects the columns that [`Found::of`] reads, in its order, and more.
macro_rules! select_row {
    ($rest:literal) => {
        concat!("SELECT id, used, dies, head, extra, ", $rest)
    };
}
pub(crate) use select_row;

/// The number of columns before the caller's.
pub(crate) const ROW_COLUMNS: usize = 5;

/// Stores a row over the present one. A record that is written again counts as used.
pub(crate) const UPSERT: &str =
    "INSERT INTO entries (name, head, dies, used, extra, payload) VALUES (?1, ?2, ?3, 0, ?4, ?5)
    ON CONFLICT (name) DO UPDATE SET head = ?2, dies = ?3, used = 1, extra = ?4, payload = ?5";

/// A life in the store's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredLife {
    stamp: i64,
    fresh: Option<i64>,
    pub(crate) dies: Option<i64>,
}

impl StoredLife {
    /// A life that had these times at this moment.
    pub(crate) fn new(times: &Times, at: StoreTime) -> Self {
        let stamp = at.as_micros().saturating_sub(micros(times.age).unwrap_or(i64::MAX));
        let dies = micros(times.kept_for).map(|kept| stamp.saturating_add(kept));
        Self { stamp, fresh: micros(times.fresh_for), dies }
    }

    /// Returns the times of this life now. A stamp in the future counts as now: it lengthens no
    /// life.
    fn times(self, now: StoreTime) -> Times {
        let age = u64::try_from(now.as_micros().saturating_sub(self.stamp)).unwrap_or(0);
        let kept = self.dies.map(|dies| dies.saturating_sub(self.stamp));
        Times {
            age: Duration::from_micros(age),
            fresh_for: duration(self.fresh),
            kept_for: duration(kept),
        }
    }

    fn check(self, version: Version) -> u32 {
        let mut covered = [0; 40];
        let mut place = &mut covered[..];
        place.put_slice(&version.to_bytes());
        place.put_i64_le(self.stamp);
        place.put_i64_le(self.fresh.unwrap_or(i64::MIN));
        place.put_i64_le(self.dies.unwrap_or(i64::MIN));
        low(xxh3_64(&covered))
    }
}

/// A row that was read, without its payload.
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) is_used: bool,
    pub(crate) header: Header,
    body_check: u32,
    /// The full key; empty where the name is the whole key.
    full: Bytes,
}

impl Found {
    /// Reads the columns of [`select_row`]. A field that cannot be right is damage.
    pub(crate) fn of(row: &Row<'_>, now: StoreTime) -> rusqlite::Result<Result<Self, Damaged>> {
        // A table whose description is damaged has ids of another type.
        let ValueRef::Integer(id) = row.get_ref(0)? else { return Err(damage()) };
        let dies = match row.get_ref(2)? {
            ValueRef::Null => Some(None),
            ValueRef::Integer(dies) => Some(Some(dies)),
            _ => None,
        };
        let is_used = !matches!(row.get_ref(1)?, ValueRef::Integer(0));
        let (head, extra) = (as_bytes(row.get_ref(3)?), as_bytes(row.get_ref(4)?));
        let parsed = head.zip(dies).and_then(|(head, dies)| parse(head, dies, now));
        let found = parsed.and_then(|(mut header, body_check)| {
            let full = take_extra(extra, &mut header)?;
            Some(Self { id, is_used, header, body_check, full })
        });
        Ok(found.ok_or(Damaged { id }))
    }

    /// Returns the record, if payload and header are those that were written under this key.
    ///
    /// # Errors
    /// Damage, or another key's record under the same name.
    pub(crate) fn record(self, key: &Key, payload: Bytes) -> Result<Record, Unreadable> {
        let is_own = key.is_hashed() != self.full.is_empty()
            && (!key.is_hashed() || self.full == key.full());
        // A record of another key has a check that matches under that key.
        let full = if is_own || self.full.is_empty() { key.full() } else { &self.full };
        let is_whole = check(full, &self.header, &payload) == self.body_check
            && (self.header.kind != Kind::Counter || payload.len() == 8);
        match (is_whole, is_own) {
            (true, true) => Ok(Record { header: self.header, payload }),
            (true, false) => Err(Unreadable::AnotherKey),
            (false, _) => Err(Unreadable::Damaged(Damaged { id: self.id })),
        }
    }

    /// Returns the key under this name, the full one also where the name is a digest.
    pub(crate) fn key(&self, name: Bytes) -> Key {
        Key::from_stored(name, Some(self.full.clone()).filter(|full| !full.is_empty()))
    }

    /// Returns the key of a scanned row, and its header.
    pub(crate) fn scanned(self, name: Bytes) -> (Key, Header) {
        (self.key(name), self.header)
    }
}

/// A row whose bytes are not those that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub(crate) id: i64,
}

/// The reason why a row is no record.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Damaged(Damaged),
    AnotherKey,
}

impl Unreadable {
    pub(crate) fn error(&self) -> Error {
        let message = match self {
            Self::Damaged(_) => "the check does not match",
            Self::AnotherKey => "the record belongs to another key",
        };
        Error::new(ErrorKind::Codec, "read", message)
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
    let extra = match extra(key, header) {
        Ok(extra) => extra,
        Err(error) => return Ok(Err(error)),
    };
    let life = StoredLife::new(&header.times, at);
    let head = head(header, life, check(key.full(), header, &record.payload));
    statement.execute(params![
        name(key.name()),
        head,
        life.dies,
        extra,
        record.payload.as_ref()
    ])?;
    Ok(Ok(()))
}

/// Returns the column `head` of a record whose life is replaced.
pub(crate) fn with_life(key: &Key, record: &Record, life: StoredLife) -> Vec<u8> {
    head(&record.header, life, check(key.full(), &record.header, &record.payload))
}

/// Returns a name as a column stores it: text, because SQLite compares text faster than blobs.
pub(crate) fn name(name: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(name))
}

/// Returns the id of the row to which the name of a key leads.
pub(crate) fn id_of(connection: &Connection, key: &Key) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM entries WHERE name = ?1";
    connection.prepare_cached(sql)?.query_row([name(key.name())], |row| row.get(0)).optional()
}

/// Returns the length of the payload under a key, zero if there is none.
pub(crate) fn payload_bytes(connection: &Connection, key: &Key) -> rusqlite::Result<u64> {
    let sql = "SELECT length(payload) FROM entries WHERE name = ?1";
    let length: Option<i64> = connection
        .prepare_cached(sql)?
        .query_row([name(key.name())], |row| row.get(0))
        .optional()?;
    Ok(length.map_or(0, i64::unsigned_abs))
}

/// Returns the bytes of a column of bytes or text.
pub(crate) fn as_bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Some(bytes),
        _ => None,
    }
}

fn head(header: &Header, life: StoredLife, body_check: u32) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.push(layout::kind_number(header.kind));
    head.extend_from_slice(&header.version.to_bytes());
    head.extend_from_slice(&body_check.to_le_bytes());
    head.extend_from_slice(&life.check(header.version).to_le_bytes());
    put_signed(&mut head, life.stamp);
    put(&mut head, life.fresh.map_or(0, |fresh| fresh.cast_unsigned() + 1));
    // The difference wraps, so that the decoder gets it back for any two numbers.
    put_signed(&mut head, life.stamp.wrapping_sub(header.born.as_micros()));
    put(&mut head, cost(header));
    // One number holds both: for values without a type it equals the codec's.
    put(&mut head, u64::from(header.value_type) << 16 | u64::from(header.codec));
    head
}

fn parse(head: &[u8], dies: Option<i64>, now: StoreTime) -> Option<(Header, u32)> {
    let mut input = Input(head);
    let kind = layout::kind_of(input.byte()?).ok()?;
    let version = Version::from_bytes(input.array()?);
    let body_check = u32::from_le_bytes(input.array()?);
    let life_check = u32::from_le_bytes(input.array()?);
    let stamp = input.signed()?;
    let fresh = input.number()?.checked_sub(1).map(u64::cast_signed);
    let born = stamp.wrapping_sub(input.signed()?);
    let cost = Duration::from_micros(input.number()?);
    let format = input.number()?;
    let value_type = u32::try_from(format >> 16).ok()?;
    let life = StoredLife { stamp, fresh, dies };
    if !input.0.is_empty() || life.check(version) != life_check {
        return None;
    }
    let mut header = Header::new(kind, version, life.times(now));
    header.born = StoreTime::from_micros(born);
    header.cost = cost;
    header.codec = u16::try_from(format & 0xFFFF).ok()?;
    header.value_type = value_type;
    Some((header, body_check))
}

fn extra(key: &Key, header: &Header) -> Result<Option<Vec<u8>>> {
    let has_epoch = header.epoch != Epoch::NONE;
    let flags = match (has_epoch, key.is_hashed()) {
        (false, false) => 0,
        (true, false) => FLAG_EPOCH,
        (false, true) => FLAG_KEY,
        (true, true) => FLAG_EPOCH | FLAG_KEY,
    };
    if flags == 0 && header.tags.is_empty() {
        return Ok(None);
    }
    let mut extra = vec![flags];
    if flags & FLAG_EPOCH != 0 {
        extra.extend_from_slice(&header.epoch.hard.to_le_bytes());
        extra.extend_from_slice(&header.epoch.soft.to_le_bytes());
    }
    if flags & FLAG_KEY != 0 {
        put(&mut extra, key.full().len() as u64);
        extra.extend_from_slice(key.full());
    }
    layout::encode_tags(&mut extra, &header.tags)?;
    Ok(Some(extra))
}

/// Adds the content of `extra` to the header. Returns the full key, empty if `extra` has none.
fn take_extra(extra: Option<&[u8]>, header: &mut Header) -> Option<Bytes> {
    let mut full = Bytes::new();
    let Some(extra) = extra else { return Some(full) };
    let mut input = Input(extra);
    let flags = input.byte()?;
    if flags & FLAG_EPOCH != 0 {
        header.epoch.hard = u64::from_le_bytes(input.array()?);
        header.epoch.soft = u64::from_le_bytes(input.array()?);
    }
    if flags & FLAG_KEY != 0 {
        let length = usize::try_from(input.number()?).ok()?;
        full = Bytes::copy_from_slice(input.take(length)?);
    }
    header.tags = layout::decode_tags(input.0).ok()?;
    (flags & !(FLAG_EPOCH | FLAG_KEY) == 0).then_some(full)
}

/// Returns the check of all fields but the life. Each part of variable length is hashed by itself,
/// so that no byte can move from one part to another.
fn check(full_key: &[u8], header: &Header, payload: &[u8]) -> u32 {
    let mut seed = xxh3_64(full_key);
    for tag in &header.tags {
        seed = xxh3_64_with_seed(&tag.name, seed);
        seed = xxh3_64_with_seed(&tag.hard.to_bytes(), seed);
        seed = xxh3_64_with_seed(&tag.soft.to_bytes(), seed);
    }
    let mut covered = [0; 72];
    let mut place = &mut covered[..];
    place.put_u8(layout::kind_number(header.kind));
    place.put_u16_le(header.codec);
    place.put_u32_le(u32::try_from(header.tags.len()).unwrap_or(u32::MAX));
    place.put_slice(&header.version.to_bytes());
    place.put_u64_le(cost(header));
    place.put_i64_le(header.born.as_micros());
    place.put_u64_le(header.epoch.hard);
    place.put_u64_le(header.epoch.soft);
    place.put_u64_le(payload.len() as u64);
    place.put_u32_le(header.value_type);
    low(xxh3_64_with_seed(payload, xxh3_64_with_seed(&covered, seed)))
}

fn cost(header: &Header) -> u64 {
    u64::try_from(header.cost.as_micros()).unwrap_or(u64::MAX)
}

fn low(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Returns whole microseconds, rounded up so that a short life never becomes zero; none for ever.
fn micros(duration: Duration) -> Option<i64> {
    (duration != NEVER)
        .then(|| i64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX))
}

fn duration(micros: Option<i64>) -> Duration {
    micros.map_or(NEVER, |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

const FLAG_EPOCH: u8 = 1;
const FLAG_KEY: u8 = 2;
/// Most heads fit in this.
const HEAD_BYTES: usize = 48;
