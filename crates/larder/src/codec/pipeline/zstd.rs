//! Zstandard.

use ::zstd::bulk::{Compressor, Decompressor};

use super::compression::{Compression, Method};
use super::pool::Pool;

/// Compression with Zstandard: small results, for a [`Pipeline`](crate::Pipeline). Feature `zstd`.
///
/// Contexts are kept for the next values: as many as were in use at once, about a MiB each at the
/// default level and much more at the highest.
///
/// ```
/// use larder::backend::Codec;
/// use larder::{Pipeline, Raw, Zstd};
///
/// let pipeline = Pipeline::new(Raw).compress(Zstd::new().level(9).threshold_bytes(100));
/// let bytes = pipeline.encode(&"leek ".repeat(100))?;
/// assert!(bytes.len() < 50);
/// # Ok::<_, larder::backend::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Zstd {
    level: i32,
    threshold_bytes: usize,
}

impl Zstd {
    /// Zstandard of level 3, for values of 1 KiB and more.
    pub const fn new() -> Self {
        Self { level: 3, threshold_bytes: 1_024 }
    }

    /// Compression level: 1 to 22, or below 1 for more speed. Default 3. A level out of range is
    /// moved to the nearest valid one.
    pub const fn level(mut self, level: i32) -> Self {
        self.level = level;
        self
    }

    /// Length from which values are compressed. Default 1 KiB.
    pub const fn threshold_bytes(mut self, threshold: usize) -> Self {
        self.threshold_bytes = threshold;
        self
    }
}

impl Default for Zstd {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Zstd> for Compression {
    fn from(zstd: Zstd) -> Self {
        let levels = ::zstd::compression_level_range();
        let level = zstd.level.clamp(*levels.start(), *levels.end());
        let contexts = Contexts { level, compressors: Pool::new(), decompressors: Pool::new() };
        Self::new(contexts, zstd.threshold_bytes)
    }
}

/// Contexts of one level.
struct Contexts {
    level: i32,
    compressors: Pool<Compressor<'static>>,
    decompressors: Pool<Decompressor<'static>>,
}

impl Method for Contexts {
    fn id(&self) -> u8 {
        ID
    }

    fn room(&self, length: usize) -> usize {
        // A result that is not smaller is not kept, so it need not fit.
        length.saturating_sub(1)
    }

    fn compress(&self, value: &[u8], room: &mut [u8]) -> Option<usize> {
        let make = || Compressor::new(self.level).ok();
        self.compressors.with(make, |one| one.compress_to_buffer(value, room).ok())?
    }

    fn can_hold(&self, bytes: &[u8], length: usize) -> bool {
        use ::zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

        let claims = get_frame_content_size(bytes).ok().flatten();
        length <= bytes.len().saturating_mul(MAX_RATIO)
            && claims == u64::try_from(length).ok()
            && find_frame_compressed_size(bytes).is_ok_and(|frame| frame == bytes.len())
    }

    fn decompress(&self, bytes: &[u8], out: &mut [u8]) -> Option<usize> {
        let make = || Decompressor::new().ok();
        self.decompressors.with(make, |one| one.decompress_to_buffer(bytes, out).ok())?
    }
}

const ID: u8 = 1;
/// A block of the format has at least 4 bytes and contains at most 128 KiB.
const MAX_RATIO: usize = (128 << 10) / 4;
