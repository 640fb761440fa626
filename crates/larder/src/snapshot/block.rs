//! Blocks of entries, each with a checksum that is right only at its place in its file.
//!
//! ```text
//! block   u32  length of the body, above zero
//!         u64  checksum: XXH3 of the body, seeded with the file's seed + the block's number
//!              body: entries
//! end     u32  zero
//!         u64  checksum as above, of the 8 bytes that follow
//!         u64  how many entries the blocks hold; nothing follows
//! ```

use std::io::{self, Read, Write};

use bytes::Bytes;
use larder_core::Result;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::snapshot::failure::{damaged, of_sink};

/// Entries that are written together.
pub(super) struct Block {
    /// Space for the head, then the body.
    bytes: Vec<u8>,
    entries: u64,
}

impl Block {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(FULL + FULL / 8);
        bytes.extend_from_slice(&[0; HEAD]);
        Self { bytes, entries: 0 }
    }

    /// Adds the entry that `put` appends. `put` returns true if it has appended one.
    pub(super) fn add(&mut self, put: impl FnOnce(&mut Vec<u8>) -> Result<bool>) -> Result<()> {
        self.entries += u64::from(put(&mut self.bytes)?);
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }
}

/// Writes blocks, and the end.
pub(super) struct BlockWriter<'a> {
    out: &'a mut dyn Write,
    seed: u64,
    entries: u64,
}

impl<'a> BlockWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write, seed: u64) -> Self {
        Self { out, seed, entries: 0 }
    }

    pub(super) fn write(&mut self, mut block: Block) -> io::Result<()> {
        let (head, body) = block.bytes.split_at_mut(HEAD);
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let (in_head, sum) = head.split_at_mut(4);
        in_head.copy_from_slice(&length.to_le_bytes());
        sum.copy_from_slice(&xxh3_64_with_seed(body, self.seed).to_le_bytes());
        self.out.write_all(&block.bytes)?;
        self.entries += block.entries;
        self.seed = self.seed.wrapping_add(1);
        Ok(())
    }

    /// Writes the end. Returns the number of entries.
    pub(super) fn finish(self) -> io::Result<u64> {
        let count = self.entries.to_le_bytes();
        self.out.write_all(&0_u32.to_le_bytes())?;
        self.out.write_all(&xxh3_64_with_seed(&count, self.seed).to_le_bytes())?;
        self.out.write_all(&count)?;
        Ok(self.entries)
    }
}

/// Reads blocks that are whole.
pub(super) struct BlockReader<R> {
    input: R,
    seed: u64,
}

impl<R: Read> BlockReader<R> {
    pub(super) const fn new(input: R, seed: u64) -> Self {
        Self { input, seed }
    }

    /// Returns the next body. None after the last. `entries` is how many the caller has found so
    /// far.
    ///
    /// # Errors
    /// [`Codec`](larder_core::ErrorKind::Codec) for damage, else the error of reading.
    pub(super) fn next(&mut self, entries: u64) -> Result<Option<Bytes>> {
        let head = take(&mut self.input, HEAD)?;
        let (length, sum) = head.split_at(4);
        let length = number(length)?;
        let is_end = length == 0;
        let length = if is_end { 8 } else { usize::try_from(length).map_err(|_| damaged())? };
        let body = take(&mut self.input, length)?;
        if xxh3_64_with_seed(&body, self.seed) != number(sum)? {
            return Err(damaged());
        }
        self.seed = self.seed.wrapping_add(1);
        if !is_end {
            return Ok(Some(body.into()));
        }
        let rest = self.input.by_ref().take(1).read_to_end(&mut Vec::new());
        let is_whole = number(&body)? == entries && rest.map_err(|e| of_sink("restore", e))? == 0;
        if is_whole { Ok(None) } else { Err(damaged()) }
    }
}

/// Reads exactly `count` bytes. The allocation grows with the bytes that are really there.
pub(super) fn take(input: &mut impl Read, count: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count.min(FULL * 2));
    let read = input.by_ref().take(count as u64).read_to_end(&mut bytes);
    if read.map_err(|error| of_sink("restore", error))? < count {
        return Err(damaged());
    }
    Ok(bytes)
}

/// Returns the number in at most eight bytes.
fn number(bytes: &[u8]) -> Result<u64> {
    let mut whole = [0; 8];
    whole.get_mut(..bytes.len()).ok_or_else(damaged)?.copy_from_slice(bytes);
    Ok(u64::from_le_bytes(whole))
}

const HEAD: usize = 12;

/// The length at which a block is written: long enough for the disk, short enough for memory.
const FULL: usize = 256 << 10;
