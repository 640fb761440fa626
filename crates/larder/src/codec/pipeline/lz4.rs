//! LZ4.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

use super::compression::{Compression, Method};
use super::pool::Pool;

/// Compression with LZ4: fast, and without C, for a [`Pipeline`](crate::Pipeline). Feature `lz4`.
///
/// ```
/// use larder::backend::Codec;
/// use larder::{Lz4, Pipeline, Raw};
///
/// let pipeline = Pipeline::new(Raw).compress(Lz4::new().threshold_bytes(100));
/// let bytes = pipeline.encode(&"leek ".repeat(100))?;
/// assert!(bytes.len() < 50);
/// # Ok::<_, larder::backend::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Lz4 {
    threshold_bytes: usize,
}

impl Lz4 {
    /// LZ4 for values of 1 KiB and more.
    pub const fn new() -> Self {
        Self { threshold_bytes: 1_024 }
    }

    /// Length from which values are compressed. Default 1 KiB.
    pub const fn threshold_bytes(mut self, threshold: usize) -> Self {
        self.threshold_bytes = threshold;
        self
    }
}

impl Default for Lz4 {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Lz4> for Compression {
    fn from(lz4: Lz4) -> Self {
        Self::new(Tables { tables: Pool::new() }, lz4.threshold_bytes)
    }
}

struct Tables {
    tables: Pool<CompressTable>,
}

impl Method for Tables {
    fn id(&self) -> u8 {
        ID
    }

    fn room(&self, length: usize) -> usize {
        get_maximum_output_size(length)
    }

    fn compress(&self, value: &[u8], room: &mut [u8]) -> Option<usize> {
        let run = |table: &mut _| compress_into_with_table(value, room, table).ok();
        self.tables.with(|| Some(CompressTable::small()), run)?
    }

    fn can_hold(&self, bytes: &[u8], length: usize) -> bool {
        length <= bytes.len().saturating_mul(MAX_RATIO)
    }

    fn decompress(&self, bytes: &[u8], out: &mut [u8]) -> Option<usize> {
        decompress_into(bytes, out).ok()
    }
}

const ID: u8 = 2;
/// A byte of the format lengthens a match by at most 255.
const MAX_RATIO: usize = 255;
