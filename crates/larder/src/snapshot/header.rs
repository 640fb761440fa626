//! The beginning of a snapshot.
//!
//! Numbers are little-endian.
//!
//! ```text
//! magic      8   "LARDSNAP"
//! layout     u16 1
//! codec      u16 the id of the codec of all payloads
//! schema     u32 what the user says of the values' form
//! saved      u64 microseconds since 1970 by the wall clock, when the save began
//! entries    u64 how many there are about; the end says exactly
//! log        16  the number of the log of the changes since; zero for none
//! namespace  u16 its length, then its bytes
//! checksum   u64 XXH3 of all before: the seed of the first block's
//! ```
//!
//! Blocks follow (`block.rs`), of entries (`entry.rs`). Layout 0 is in `v0.rs`.

use std::io::{self, Read, Write};
use std::time::Duration;

use larder_core::Result;
use xxhash_rust::xxh3::xxh3_64;

use crate::snapshot::block::take;
use crate::snapshot::failure::{damaged, foreign};
use crate::snapshot::number::Input;

/// The facts that a snapshot states before its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) codec: u16,
    pub(super) schema: u32,
    /// The time of the save since 1970, by the wall clock.
    pub(super) saved: Duration,
    pub(super) entries: u64,
    /// The number of the log; zero for none.
    pub(super) log: u128,
    pub(super) namespace: String,
}

/// The beginning of a snapshot, by its layout.
pub(super) enum Begun {
    V0,
    /// The header, and the seed of the blocks.
    V1(Header, u64),
}

impl Header {
    /// Writes the header. Returns the seed of the blocks.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<u64> {
        let mut bytes = Vec::with_capacity(FIXED + self.namespace.len() + 8);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&1_u16.to_le_bytes());
        bytes.extend_from_slice(&self.codec.to_le_bytes());
        bytes.extend_from_slice(&self.schema.to_le_bytes());
        bytes.extend_from_slice(&micros(self.saved).to_le_bytes());
        bytes.extend_from_slice(&self.entries.to_le_bytes());
        bytes.extend_from_slice(&self.log.to_le_bytes());
        let length = u16::try_from(self.namespace.len()).map_err(io::Error::other)?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(self.namespace.as_bytes());
        let seed = xxh3_64(&bytes);
        bytes.extend_from_slice(&seed.to_le_bytes());
        out.write_all(&bytes)?;
        Ok(seed)
    }

    /// Reads the beginning of a snapshot, of layout 0 no more than its number.
    ///
    /// # Errors
    /// [`Codec`](larder_core::ErrorKind::Codec) for bytes that are no snapshot or damaged, else the
    /// error of reading.
    pub(super) fn read(input: &mut impl Read) -> Result<Begun> {
        let magic = take(input, MAGIC.len()).map_err(not_ours)?;
        if magic != MAGIC {
            return Err(foreign(NO_SNAPSHOT));
        }
        let layout = take(input, 2)?;
        match *layout.as_slice() {
            [0, 0] => Ok(Begun::V0),
            [1, 0] => Self::read_v1(input, [magic, layout].concat()),
            _ => Err(foreign("a layout that this release does not know")),
        }
    }

    fn read_v1(input: &mut impl Read, mut whole: Vec<u8>) -> Result<Begun> {
        whole.extend(take(input, FIXED - whole.len())?);
        let length = whole.get(FIXED - 2..).and_then(|length| length.try_into().ok());
        let length = u16::from_le_bytes(length.ok_or_else(damaged)?);
        whole.extend(take(input, usize::from(length))?);
        let seed = xxh3_64(&whole);
        if take(input, 8)? != seed.to_le_bytes() {
            return Err(damaged());
        }
        Self::parse(&whole).map(|header| Begun::V1(header, seed)).ok_or_else(damaged)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        input.take(MAGIC.len() + 2)?;
        let codec = u16::from_le_bytes(input.array()?);
        let schema = u32::from_le_bytes(input.array()?);
        let saved = Duration::from_micros(u64::from_le_bytes(input.array()?));
        let entries = u64::from_le_bytes(input.array()?);
        let log = u128::from_le_bytes(input.array()?);
        input.take(2)?;
        let namespace = std::str::from_utf8(input.0).ok()?.to_owned();
        Some(Self { codec, schema, saved, entries, log, namespace })
    }
}

fn not_ours(error: larder_core::Error) -> larder_core::Error {
    if error.kind() == larder_core::ErrorKind::Codec { foreign(NO_SNAPSHOT) } else { error }
}

/// Returns microseconds, rounded down.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The first bytes of every snapshot.
pub(super) const MAGIC: [u8; 8] = *b"LARDSNAP";
const NO_SNAPSHOT: &str = "it is no snapshot";
/// The bytes before the namespace.
const FIXED: usize = 50;
