//! Compression of large values.

use std::fmt;
use std::sync::Arc;

/// Compression of large values: a `Zstd` or an `Lz4`, ready to run.
#[derive(Clone)]
pub struct Compression {
    method: Arc<dyn Method>,
    threshold_bytes: usize,
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression")
            .field("id", &self.id())
            .field("threshold_bytes", &self.threshold_bytes)
            .finish_non_exhaustive()
    }
}

/// A method of compression.
pub(super) trait Method: Send + Sync + 'static {
    /// Returns the method's number in the frame.
    fn id(&self) -> u8;

    /// Returns the buffer size that the method needs to compress this many bytes.
    fn room(&self, length: usize) -> usize;

    /// Compresses into `room` and returns the length of the result, none if `room` was too small.
    fn compress(&self, value: &[u8], room: &mut [u8]) -> Option<usize>;

    /// True if these bytes can be a value of this length, judged without unpacking them.
    fn can_hold(&self, bytes: &[u8], length: usize) -> bool;

    /// Decompresses and returns the length of the result, none if it does not fit or the bytes are
    /// damaged.
    fn decompress(&self, bytes: &[u8], out: &mut [u8]) -> Option<usize>;
}

impl Compression {
    /// The method's number in the frame of an uncompressed value.
    pub(super) const NONE: u8 = 0;

    #[cfg(any(feature = "lz4", feature = "zstd"))]
    pub(super) fn new(method: impl Method, threshold_bytes: usize) -> Self {
        Self { method: Arc::new(method), threshold_bytes }
    }

    pub(super) fn id(&self) -> u8 {
        self.method.id()
    }

    /// True if a value of this length is to be compressed.
    pub(super) const fn is_worth(&self, length: usize) -> bool {
        length >= self.threshold_bytes
    }

    pub(super) fn room(&self, length: usize) -> usize {
        self.method.room(length).max(length)
    }

    /// Appends the compressed value if that is smaller, and returns the method; else leaves `out`
    /// as it was.
    pub(super) fn compress(&self, value: &[u8], out: &mut Vec<u8>) -> Option<u8> {
        let start = out.len();
        out.resize(start + self.method.room(value.len()), 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let made = self.method.compress(value, room).filter(|&made| made < value.len());
        out.truncate(start + made.unwrap_or(0));
        made.map(|_| self.id())
    }

    /// Returns the value of this length that these bytes contain. A claim that cannot be true
    /// allocates nothing, and no claim allocates more than the length.
    pub(super) fn decompress(&self, bytes: &[u8], length: usize) -> Option<bytes::Bytes> {
        if !self.method.can_hold(bytes, length) {
            return None;
        }
        let mut out = vec![0; length];
        let made = self.method.decompress(bytes, &mut out)?;
        (made == length).then(|| out.into())
    }
}
