//! A trace, and its readers.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io::{BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};

/// The most accesses of a trace. Each takes four bytes, and each distinct key up to a hundred while
/// it is read.
pub const MAX_ACCESSES: usize = 1 << 27;

/// The keys that were asked for, one after the other.
///
/// Keys are ids: 0 is the first that came, 1 the second, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    ids: Vec<u32>,
    distinct: u32,
}

/// The format of a trace. Each may be packed by gzip, which its first bytes show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Lines if the trace begins with printable UTF-8, else ids.
    #[default]
    Any,
    /// 32-bit ids, the lowest byte first.
    Ids,
    /// One key a line. An empty line is no key.
    Lines,
}

impl Trace {
    /// Reads a file in any [`Format`].
    ///
    /// # Errors
    /// An error if the file cannot be read or unpacked, holds no access or too many, or ends within
    /// an id.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_from(File::open(path)?, Format::Any)
    }

    /// Reads a trace in this format to its end.
    ///
    /// # Errors
    /// Errors as of [`read`](Self::read).
    pub fn read_from(reader: impl Read, format: Format) -> Result<Self> {
        let (start, packed) = peeked(reader, GZIP.len())?;
        if start != GZIP {
            return unpacked(packed, format);
        }
        unpacked(MultiGzDecoder::new(packed), format)
    }

    /// Makes a trace of keys of any type. Accesses beyond [`MAX_ACCESSES`] are left out.
    pub fn from_keys<I>(keys: I) -> Self
    where
        I: IntoIterator<Item: Hash + Eq>,
    {
        let mut numbering = Numbering::new();
        for key in keys.into_iter().take(MAX_ACCESSES) {
            numbering.push(key);
        }
        numbering.trace
    }

    /// Returns the id of each access, in order.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Returns the number of distinct keys.
    #[must_use]
    pub fn distinct(&self) -> u32 {
        self.distinct
    }
}

/// The numbering of keys, in the order in which they come.
struct Numbering<K> {
    known: HashMap<K, u32, RandomState>,
    trace: Trace,
}

impl<K: Hash + Eq> Numbering<K> {
    fn new() -> Self {
        let trace = Trace { ids: Vec::new(), distinct: 0 };
        Self { known: HashMap::default(), trace }
    }

    fn push(&mut self, key: K) {
        let Trace { ids, distinct } = &mut self.trace;
        let id = *self.known.entry(key).or_insert(*distinct);
        *distinct += u32::from(id == *distinct);
        ids.push(id);
    }

    fn push_checked(&mut self, key: K) -> Result<()> {
        if self.trace.ids.len() == MAX_ACCESSES {
            return Err(Error::TooLong);
        }
        self.push(key);
        Ok(())
    }

    fn finish(self) -> Result<Trace> {
        if self.trace.ids.is_empty() { Err(Error::Empty) } else { Ok(self.trace) }
    }
}

/// The first bytes of a reader, and the reader as if nothing had been taken from it.
type Peeked<R> = (Vec<u8>, Chain<Cursor<Vec<u8>>, R>);

fn peeked<R: Read>(mut reader: R, length: usize) -> Result<Peeked<R>> {
    let mut start = Vec::new();
    reader.by_ref().take(length as u64).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(reader)))
}

fn unpacked(reader: impl Read, format: Format) -> Result<Trace> {
    let (start, reader) = peeked(reader, LOOKED_AT)?;
    let reader = BufReader::with_capacity(LOOKED_AT, reader);
    match format {
        Format::Ids => ids(reader),
        Format::Lines => lines(reader),
        Format::Any if is_printable(&start) => lines(reader),
        Format::Any => ids(reader),
    }
}

/// True if the bytes are text for people. The last character may be cut off.
fn is_printable(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_some() => return false,
        Err(error) => bytes
            .get(..error.valid_up_to())
            .and_then(|whole| std::str::from_utf8(whole).ok())
            .unwrap_or_default(),
    };
    !text.is_empty() && text.chars().all(|char| !char.is_control() || "\t\r\n".contains(char))
}

fn ids(mut reader: impl BufRead) -> Result<Trace> {
    let mut numbering = Numbering::new();
    let mut id = Vec::with_capacity(4);
    loop {
        id.clear();
        reader.by_ref().take(4).read_to_end(&mut id)?;
        let bytes = numbering.trace.ids.len() as u64 * 4 + id.len() as u64;
        match <[u8; 4]>::try_from(id.as_slice()) {
            Ok(id) => numbering.push_checked(u32::from_le_bytes(id))?,
            Err(_) if id.is_empty() => return numbering.finish(),
            Err(_) => return Err(Error::Torn { bytes }),
        }
    }
}

fn lines(mut reader: impl BufRead) -> Result<Trace> {
    let mut numbering = Numbering::new();
    let mut key = Vec::new();
    for line in 1.. {
        key.clear();
        let count = reader.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut key)?;
        if count == 0 {
            break;
        }
        if count as u64 > MAX_LINE_BYTES {
            return Err(Error::LongLine { line });
        }
        let key = key.strip_suffix(b"\n").unwrap_or(&key);
        let key = key.strip_suffix(b"\r").unwrap_or(key);
        if !key.is_empty() {
            numbering.push_checked(xxh3_128(key))?;
        }
    }
    numbering.finish()
}

const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
/// The bytes of the start by which the format is guessed.
const LOOKED_AT: usize = 64 << 10;
const MAX_LINE_BYTES: u64 = 1 << 20;
