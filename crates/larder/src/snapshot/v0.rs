//! Layout 0 of a snapshot: one checksum over all, no tags, no blocks, no log. It is only read.
//!
//! Numbers are little-endian.
//!
//! ```text
//! magic     8   "LARDSNAP"
//! layout    u16 0
//! codec     u16 the id of the codec of all payloads
//! saved     u64 microseconds since 1970 by the wall clock
//! entries   u32 how many
//! each:     u32 its key's length, then the key's text
//!           u32 its payload's length, then the payload
//!           u64 microseconds of life left, all ones without end
//! checksum  u64 XXH3 of all before; nothing follows
//! ```

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use larder_core::{NEVER, Result, Version};
use xxhash_rust::xxh3::Xxh3;

use crate::snapshot::block::take;
use crate::snapshot::entry::{Payload, SavedEntry};
use crate::snapshot::failure::{damaged, of_sink};

/// The facts that a snapshot of layout 0 states before its entries.
pub(super) struct HeaderV0 {
    pub(super) codec: u16,
    /// The time of the save since 1970, by the wall clock.
    pub(super) saved: Duration,
    pub(super) entries: u32,
}

/// Reads the bytes after the layout's number.
pub(super) struct ReaderV0<R>(Summing<R>);

impl<R: Read> ReaderV0<R> {
    pub(super) fn new(input: R) -> Self {
        let mut sum = Xxh3::new();
        sum.update(b"LARDSNAP\0\0");
        Self(Summing { input, sum })
    }

    pub(super) fn header(&mut self) -> Result<HeaderV0> {
        let codec = u16::from_le_bytes(self.array()?);
        let saved = Duration::from_micros(u64::from_le_bytes(self.array()?));
        Ok(HeaderV0 { codec, saved, entries: u32::from_le_bytes(self.array()?) })
    }

    /// Shows the next entry, and the bytes that hold its payload.
    pub(super) fn entry(&mut self, show: impl FnOnce(SavedEntry<'_>, &Bytes)) -> Result<()> {
        let key = self.bytes()?;
        let payload = Bytes::from(self.bytes()?);
        let left = match u64::from_le_bytes(self.array()?) {
            u64::MAX => NEVER,
            micros => Duration::from_micros(micros),
        };
        let entry = SavedEntry {
            key: std::str::from_utf8(&key).map_err(|_| damaged())?,
            payload: Payload::Value(&payload),
            fresh_left: left,
            kept_left: left,
            age: Duration::ZERO,
            idle: Duration::ZERO,
            version: Version::NONE,
            tags: Vec::new(),
            cost: Duration::ZERO,
        };
        show(entry, &payload);
        Ok(())
    }

    /// Checks the checksum of all bytes that were read.
    pub(super) fn finish(mut self) -> Result<()> {
        let sum = self.0.sum.digest().to_le_bytes();
        let is_same = self.array::<8>()? == sum;
        let rest = self.0.input.take(1).read_to_end(&mut Vec::new());
        let is_over = rest.map_err(|error| of_sink("restore", error))? == 0;
        if is_same && is_over { Ok(()) } else { Err(damaged()) }
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = u32::from_le_bytes(self.array()?);
        take(&mut self.0, usize::try_from(length).map_err(|_| damaged())?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        take(&mut self.0, N)?.try_into().map_err(|_| damaged())
    }
}

/// A reader that computes the checksum of the bytes it reads.
struct Summing<R> {
    input: R,
    sum: Xxh3,
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.sum.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
