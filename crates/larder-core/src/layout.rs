//! The layout of a record in a store of byte blobs, field by field.
//!
//! All numbers are little-endian. The fixed part is 96 bytes, so a server-side script can compare
//! the version at bytes 8..24, read a counter at 96..104, and replace a life at 24..52, without
//! knowing anything else.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0..3 | magic | `LRD` |
//! | 3 | layout | 1; another number is refused |
//! | 4 | kind | 1 value, 2 absent, 3 lease, 4 counter |
//! | 5 | flags | 1: the full key follows the payload; 2: tags follow; 4: a value type follows; other bits are refused |
//! | 6..8 | codec | id of the payload's format |
//! | 8..24 | version | random id of the write |
//! | 24..32 | stamp | store time in microseconds at which the age was zero |
//! | 32..40 | fresh for | microseconds, all ones for ever |
//! | 40..48 | kept for | microseconds, all ones for ever |
//! | 48..52 | life check | low half of XXH3-64 over bytes 8..48 |
//! | 52..56 | cost | of the load, microseconds, at most 2³² − 1 |
//! | 56..64 | born | store time in microseconds at which the load or insert began |
//! | 64..80 | epoch | the hard and the soft number of the namespace's epoch, 8 bytes each |
//! | 80..84 | payload length | at most 2³¹ − 1 |
//! | 84..88 | key length | 0 unless flag 1 |
//! | 88..96 | check | XXH3-64 of the full key, bytes 0..24, 52..88 and all after 96 |
//! | 96.. | payload | a counter's is an `i64` |
//! | then | full key | if flag 1 |
//! | then | tags | if flag 2: a count of 2 bytes, then for each a length of 1 byte, the name, the hard and the soft version of 16 bytes each |
//! | then | value type | if flag 4: 4 bytes, not all zero |
//!
//! The check covers the key, so bytes that were swapped between two names are refused. The life
//! has a check of its own, so that `retime` replaces 28 bytes and leaves the rest alone. Durations
//! are rounded up to a microsecond: a short life never becomes none, nor one without end.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{
    Error, ErrorKind, Header, Key, Kind, NEVER, Record, Result, StoreTime, TagVersion, Times,
    Version,
};

/// The length of the fixed part in bytes.
pub const FIXED_BYTES: usize = 96;
/// The byte range of the version.
pub const VERSION: std::ops::Range<usize> = 8..24;
/// The byte range of the life, its check included. [`life`] makes these bytes.
pub const LIFE: std::ops::Range<usize> = 24..52;
/// The byte range of a counter's number.
pub const COUNTER: std::ops::Range<usize> = 96..104;

const MAGIC: [u8; 4] = *b"LRD\x01";
const FLAG_KEY: u8 = 1;
const FLAG_TAGS: u8 = 2;
const FLAG_TYPE: u8 = 4;
const MAX_PAYLOAD_BYTES: usize = (1 << 31) - 1;

/// Encodes a record under this key, written at this store time.
///
/// # Errors
/// [`NoSpace`](ErrorKind::NoSpace) if payload or key have 2 GiB or more;
/// [`InvalidInput`](ErrorKind::InvalidInput) if there are more than 65,535 tags or a tag's name
/// has more than 255 bytes.
pub fn encode(key: &Key, record: &Record, now: StoreTime) -> Result<Bytes> {
    let header = &record.header;
    let full_key = if key.is_hashed() { key.full() } else { &[] };
    if record.payload.len() > MAX_PAYLOAD_BYTES || full_key.len() > MAX_PAYLOAD_BYTES {
        return Err(Error::new(ErrorKind::NoSpace, "encode", "a record holds less than 2 GiB"));
    }
    let tags: usize = header.tags.iter().map(|tag| tag.name.len() + 33).sum();
    // The size is exact: spare bytes would need a piece of memory of their own to be noted.
    let tags = if header.tags.is_empty() { 0 } else { 2 + tags };
    let value_type = if header.value_type == 0 { 0 } else { 4 };
    let total = FIXED_BYTES + record.payload.len() + full_key.len() + tags + value_type;
    let mut out = Vec::with_capacity(total);
    out.put_slice(&MAGIC);
    out.put_u8(kind_number(header.kind));
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    out.put_u8(
        flag(!full_key.is_empty(), FLAG_KEY)
            | flag(!header.tags.is_empty(), FLAG_TAGS)
            | flag(header.value_type != 0, FLAG_TYPE),
    );
    out.put_u16_le(header.codec);
    out.put_slice(&header.version.to_bytes());
    out.put_slice(&life(header.version, &header.times, now));
    out.put_u32_le(u32::try_from(header.cost.as_micros()).unwrap_or(u32::MAX));
    out.put_i64_le(header.born.as_micros());
    out.put_u64_le(header.epoch.hard);
    out.put_u64_le(header.epoch.soft);
    out.put_u32_le(length(record.payload.len())?);
    out.put_u32_le(length(full_key.len())?);
    out.put_u64_le(0);
    out.put_slice(&record.payload);
    out.put_slice(full_key);
    encode_tags(&mut out, &header.tags)?;
    if header.value_type != 0 {
        out.put_u32_le(header.value_type);
    }
    let check = check(key, &out);
    if let Some(place) = out.get_mut(88..96) {
        place.copy_from_slice(&check.to_le_bytes());
    }
    Ok(Bytes::from(out))
}

/// Returns the 28 bytes of a life, which `retime` writes over [`LIFE`].
#[must_use]
pub fn life(version: Version, times: &Times, now: StoreTime) -> [u8; 28] {
    let age = i64::try_from(micros(times.age)).unwrap_or(i64::MAX);
    let stamp = now.as_micros().saturating_sub(age);
    let mut covered = [0; 40];
    {
        let mut cursor = &mut covered[..];
        cursor.put_slice(&version.to_bytes());
        cursor.put_i64_le(stamp);
        cursor.put_u64_le(micros(times.fresh_for));
        cursor.put_u64_le(micros(times.kept_for));
    }
    let mut bytes = [0; 28];
    let mut cursor = &mut bytes[..];
    cursor.put_slice(covered.get(16..).unwrap_or_default());
    cursor.put_u32_le(life_check(&covered));
    bytes
}

/// Decodes the record under this key from bytes, read at this store time.
///
/// Any bytes will do: nothing is allocated beyond their own length, and nothing panics. The payload
/// shares the buffer.
///
/// # Errors
/// [`Codec`](ErrorKind::Codec) if the bytes are no record, are damaged, or were stored under
/// another key.
pub fn decode(key: &Key, bytes: &Bytes, now: StoreTime) -> Result<Record> {
    let parsed = parse(bytes, now)?;
    if key.is_hashed() != parsed.full_key.is_some() {
        return Err(damaged("the record belongs to another key"));
    }
    if parsed.full_key.is_some_and(|full| full != key.full()) {
        return Err(damaged("the record belongs to another key"));
    }
    if check(key, bytes) != parsed.check {
        return Err(damaged("the check does not match"));
    }
    Ok(Record { payload: bytes.slice(FIXED_BYTES..FIXED_BYTES + parsed.payload), ..parsed.record })
}

/// Decodes the key and the header of a scanned record.
///
/// # Errors
/// As [`decode`].
pub fn decode_scanned(name: Bytes, bytes: &Bytes, now: StoreTime) -> Result<(Key, Header)> {
    let parsed = parse(bytes, now)?;
    let key = Key::from_stored(name, parsed.full_key.map(Bytes::copy_from_slice));
    if check(&key, bytes) != parsed.check {
        return Err(damaged("the check does not match"));
    }
    Ok((key, parsed.record.header))
}

struct Parsed<'a> {
    record: Record,
    payload: usize,
    full_key: Option<&'a [u8]>,
    check: u64,
}

fn parse(bytes: &Bytes, now: StoreTime) -> Result<Parsed<'_>> {
    let mut input = Input(bytes);
    if input.array::<4>()? != MAGIC {
        return Err(damaged("not a record of this layout"));
    }
    let kind = kind_of(input.byte()?)?;
    let flags = input.byte()?;
    if flags & !(FLAG_KEY | FLAG_TAGS | FLAG_TYPE) != 0 {
        return Err(damaged("an unknown flag"));
    }
    let codec = u16::from_le_bytes(input.array()?);
    let covered = Input(input.0).take(40)?;
    let version = Version::from_bytes(input.array()?);
    let times = times(&mut input, now)?;
    if u32::from_le_bytes(input.array()?) != life_check(covered) {
        return Err(damaged("the life's check does not match"));
    }
    let mut header = Header::new(kind, version, times);
    header.codec = codec;
    header.cost = Duration::from_micros(u32::from_le_bytes(input.array()?).into());
    header.born = StoreTime::from_micros(i64::from_le_bytes(input.array()?));
    header.epoch.hard = u64::from_le_bytes(input.array()?);
    header.epoch.soft = u64::from_le_bytes(input.array()?);
    let payload = input.length()?;
    let key_length = input.length()?;
    let check = u64::from_le_bytes(input.array()?);
    input.take(payload)?;
    let key = input.take(key_length)?;
    if (flags & FLAG_KEY != 0) == key.is_empty() {
        return Err(damaged("the key's flag and length disagree"));
    }
    if flags & FLAG_TAGS != 0 {
        header.tags = take_tags(&mut input)?;
    }
    if flags & FLAG_TYPE != 0 {
        header.value_type = u32::from_le_bytes(input.array()?);
        if header.value_type == 0 {
            return Err(damaged("the value type's flag and number disagree"));
        }
    }
    if !input.0.is_empty() {
        return Err(damaged("bytes after the end"));
    }
    if kind == Kind::Counter && payload != 8 {
        return Err(damaged("a counter has 8 bytes"));
    }
    let record = Record { header, payload: Bytes::new() };
    Ok(Parsed { record, payload, full_key: (!key.is_empty()).then_some(key), check })
}

fn times(input: &mut Input<'_>, now: StoreTime) -> Result<Times> {
    let stamp = i64::from_le_bytes(input.array()?);
    // A stamp in the store's future, after its clock was set back, counts as just made.
    let age = u64::try_from(now.as_micros().saturating_sub(stamp)).unwrap_or(0);
    let fresh_for = duration(u64::from_le_bytes(input.array()?));
    let kept_for = duration(u64::from_le_bytes(input.array()?));
    Ok(Times { age: Duration::from_micros(age), fresh_for, kept_for })
}

/// Appends tags as the layout has them. Nothing is appended for no tags.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) if there are more than 65,535 tags or a tag's name
/// has more than 255 bytes.
pub fn encode_tags(out: &mut Vec<u8>, tags: &[TagVersion]) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let invalid = |message| Error::new(ErrorKind::InvalidInput, "encode", message);
    out.put_u16_le(
        u16::try_from(tags.len()).map_err(|_| invalid("a record has at most 65,535 tags"))?,
    );
    for tag in tags {
        let length = u8::try_from(tag.name.len());
        out.put_u8(length.map_err(|_| invalid("a tag's name has at most 255 bytes"))?);
        out.put_slice(&tag.name);
        out.put_slice(&tag.hard.to_bytes());
        out.put_slice(&tag.soft.to_bytes());
    }
    Ok(())
}

/// Decodes the tags that [`encode_tags`] encoded. No bytes decode to no tags.
///
/// # Errors
/// [`Codec`](ErrorKind::Codec) if the bytes are no tags.
pub fn decode_tags(bytes: &[u8]) -> Result<Vec<TagVersion>> {
    let mut input = Input(bytes);
    let tags = if bytes.is_empty() { Vec::new() } else { take_tags(&mut input)? };
    if !input.0.is_empty() {
        return Err(damaged("bytes after the end"));
    }
    Ok(tags)
}

fn take_tags(input: &mut Input<'_>) -> Result<Vec<TagVersion>> {
    let count = usize::from(u16::from_le_bytes(input.array()?));
    if count == 0 || count > input.0.len() / 33 {
        return Err(damaged("the count of tags does not fit"));
    }
    let mut tags = Vec::with_capacity(count);
    for _ in 0..count {
        let length = usize::from(input.byte()?);
        let name = Bytes::copy_from_slice(input.take(length)?);
        let hard = Version::from_bytes(input.array()?);
        let soft = Version::from_bytes(input.array()?);
        tags.push(TagVersion { name, hard, soft });
    }
    Ok(tags)
}

fn check(key: &Key, bytes: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(key.full());
    for range in [0..24, 52..88, FIXED_BYTES..bytes.len()] {
        hasher.update(bytes.get(range).unwrap_or_default());
    }
    hasher.digest()
}

fn life_check(covered: &[u8]) -> u32 {
    let [a, b, c, d, ..] = xxh3_64(covered).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Returns the number that stands for a kind.
#[must_use]
pub const fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Value => 1,
        Kind::Absent => 2,
        Kind::Lease => 3,
        Kind::Counter => 4,
    }
}

/// Returns the kind that a number stands for.
///
/// # Errors
/// [`Codec`](ErrorKind::Codec) if it stands for none.
pub fn kind_of(number: u8) -> Result<Kind> {
    Ok(match number {
        1 => Kind::Value,
        2 => Kind::Absent,
        3 => Kind::Lease,
        4 => Kind::Counter,
        _ => return Err(damaged("an unknown kind")),
    })
}

/// Returns whole microseconds, rounded up. All ones mean for ever, and no finite life becomes that.
fn micros(duration: Duration) -> u64 {
    if duration == NEVER {
        return u64::MAX;
    }
    u64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX).min(u64::MAX - 1)
}

fn duration(micros: u64) -> Duration {
    if micros == u64::MAX { NEVER } else { Duration::from_micros(micros) }
}

fn length(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::new(ErrorKind::NoSpace, "encode", "too long"))
}

fn damaged(message: &'static str) -> Error {
    Error::new(ErrorKind::Codec, "decode", message)
}

/// The bytes that are not parsed yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| damaged("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| damaged("cut short"))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| damaged("too long"))
    }
}
