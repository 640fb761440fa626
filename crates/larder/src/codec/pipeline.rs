//! Schema, compression and encryption around a codec.

use bytes::{Buf, Bytes};
use larder_core::{Codec, Error, ErrorKind, Result};

pub use self::compression::Compression;
use self::frame::{FRAMED, HEAD_BYTES, Head};
#[cfg(feature = "encryption")]
pub use self::keyring::Keyring;
#[cfg(not(feature = "encryption"))]
use self::keyring::Keyring;
#[cfg(feature = "lz4")]
pub use self::lz4::Lz4;
#[cfg(feature = "zstd")]
pub use self::zstd::Zstd;

mod compression;
mod frame;
#[cfg(feature = "encryption")]
mod keyring;
#[cfg(not(feature = "encryption"))]
#[path = "pipeline/no_keyring.rs"]
mod keyring;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(any(feature = "lz4", feature = "zstd"))]
mod pool;
#[cfg(feature = "zstd")]
mod zstd;

/// A codec with a schema around it, and compression and encryption if asked for.
///
/// A pipeline is itself a codec. A value goes through the codec, then it is compressed, then
/// encrypted; a frame in front says how. A reader with another codec, schema, compression or
/// encryption has a miss and never a wrong value; the miss is told to the
/// [observer](crate::CacheBuilder::on_event).
///
/// | stage | without it | a record is read if it has |
/// |---|---|---|
/// | [`schema`](Self::schema) | 0 | the same number |
/// | [`compress`](Self::compress) | as it is | none or the same method, at any level |
/// | `encrypt`, feature `encryption` | as it is | an id that is in the key ring |
///
/// # Limits
/// - A value has at most [`max_value_bytes`](Self::max_value_bytes), compressed or not.
/// - Compressed before it is encrypted, a value tells of its content by its length: do not compress
///   a value with both a secret and text that a stranger chose.
/// - The codec's bytes are copied once, into the frame, and compressed or encrypted there. Without
///   either, reading shares the record's bytes; each of them takes one allocation more.
/// - The codec's own id is below 0x4000, or from 0x8000 to 0xBFFF; so a pipeline is not put into
///   another.
///
/// ```
/// use larder::backend::Codec;
/// use larder::{MessagePack, Pipeline};
///
/// let (first, second) = (Pipeline::new(MessagePack).schema(1), Pipeline::new(MessagePack).schema(2));
/// let bytes = first.encode(&7_u32)?;
/// let value: u32 = first.decode(&bytes)?;
/// assert_eq!(value, 7);
/// assert!(Codec::<u32>::decode(&second, &bytes).is_err());
/// # Ok::<_, larder::backend::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Pipeline<C> {
    codec: C,
    schema: u32,
    max_value_bytes: usize,
    compression: Option<Compression>,
    keyring: Option<Keyring>,
}

impl<C> Pipeline<C> {
    /// A pipeline around this codec, with schema 0, without compression and encryption.
    pub const fn new(codec: C) -> Self {
        Self {
            codec,
            schema: 0,
            max_value_bytes: MAX_VALUE_BYTES,
            compression: None,
            keyring: None,
        }
    }

    /// Number of the type's present shape. Default 0. A value with another number is a miss.
    pub const fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// Compression of large values: `Zstd` (feature `zstd`) or `Lz4` (feature `lz4`).
    pub fn compress(mut self, compression: impl Into<Compression>) -> Self {
        self.compression = Some(compression.into());
        self
    }

    /// Encrypts records with these secrets. A record that is not encrypted is a miss from then on.
    #[cfg(feature = "encryption")]
    pub fn encrypt(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Largest size of an encoded value in bytes. Default 64 MiB; never 4 GiB or more.
    ///
    /// A larger one is refused with [`NoSpace`](ErrorKind::NoSpace). A record that claims to be
    /// larger is refused before anything is allocated for it.
    pub const fn max_value_bytes(mut self, limit: usize) -> Self {
        self.max_value_bytes = limit;
        self
    }

    fn pack(&self, codec: u16, payload: &[u8], place: &[u8]) -> Result<Bytes> {
        let too_large = || Error::new(ErrorKind::NoSpace, "encode", "the value is too large");
        let length = u32::try_from(payload.len()).map_err(|_| too_large())?;
        if payload.len() > self.max_value_bytes {
            return Err(too_large());
        }
        let compression = self.compression.as_ref().filter(|it| it.is_worth(payload.len()));
        // The place is authenticated with the body, so it stays in front of the body until the
        // frame is done.
        let place = if self.keyring.is_some() { place } else { &[] };
        let (seal_bytes, mac_bytes) = match self.keyring {
            Some(_) => (Keyring::HEAD_BYTES, Keyring::MAC_BYTES),
            None => (0, 0),
        };
        let body_bytes = compression.map_or(payload.len(), |it| it.room(payload.len()));
        let body = place.len() + HEAD_BYTES + seal_bytes;
        let mut out = Vec::with_capacity(body + body_bytes + mac_bytes);
        out.extend_from_slice(place);
        out.resize(body, 0);
        let method = compression.and_then(|it| it.compress(payload, &mut out));
        if method.is_none() {
            out.extend_from_slice(payload);
        }
        out.shrink_to(out.len() + mac_bytes);
        let head = Head {
            compression: method.unwrap_or(Compression::NONE),
            encryption: if self.keyring.is_some() { Keyring::ID } else { NO_ENCRYPTION },
            codec,
            schema: self.schema,
            length,
        };
        if let Some(there) = out.get_mut(place.len()..place.len() + HEAD_BYTES) {
            there.copy_from_slice(&head.to_bytes());
        }
        if let Some(keyring) = &self.keyring {
            keyring.seal(&mut out, body)?;
        }
        let mut frame = Bytes::from(out);
        frame.advance(place.len());
        Ok(frame)
    }

    fn unpack(&self, codec: u16, frame: &Bytes, place: &[u8]) -> Result<Bytes> {
        let head = Head::of(frame)?;
        if (head.codec, head.schema) != (codec, self.schema) {
            return Err(refused("another codec or schema wrote it"));
        }
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if length > self.max_value_bytes {
            return Err(refused("it claims to be larger than is allowed"));
        }
        let body = match (&self.keyring, head.encryption) {
            (None, NO_ENCRYPTION) => frame.slice(HEAD_BYTES..),
            (Some(keyring), Keyring::ID) => keyring.open(frame, HEAD_BYTES, place)?,
            _ => return Err(refused("it is encrypted, or not, against the settings")),
        };
        match (head.compression, &self.compression) {
            (Compression::NONE, _) if body.len() == length => Ok(body),
            (id, Some(method)) if id == method.id() => method
                .decompress(&body, length)
                .ok_or_else(|| refused("it does not decompress to the length it claims")),
            _ => Err(refused("it is compressed otherwise")),
        }
    }
}

impl<V, C: Codec<V>> Codec<V> for Pipeline<C> {
    fn id(&self) -> u16 {
        self.codec.id() | FRAMED
    }

    fn value_type(&self) -> u32 {
        self.codec.value_type()
    }

    fn encode(&self, value: &V) -> Result<Bytes> {
        self.encode_at(value, &[])
    }

    fn decode(&self, bytes: &Bytes) -> Result<V> {
        self.decode_at(bytes, &[])
    }

    fn encode_at(&self, value: &V, place: &[u8]) -> Result<Bytes> {
        let codec = unframed(self.codec.id())?;
        self.pack(codec, &self.codec.encode_at(value, place)?, place)
    }

    fn decode_at(&self, bytes: &Bytes, place: &[u8]) -> Result<V> {
        let codec = unframed(self.codec.id())?;
        self.codec.decode_at(&self.unpack(codec, bytes, place)?, place)
    }
}

/// Returns the id of the codec inside, or an error if the id has the bit of a frame: the frame's
/// bit could not be told from it.
fn unframed(id: u16) -> Result<u16> {
    let message = "the codec inside has the bit 0x4000 in its id";
    if id & FRAMED == 0 { Ok(id) } else { Err(Error::new(ErrorKind::Codec, "pipeline", message)) }
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::Codec, "decode", message)
}

const MAX_VALUE_BYTES: usize = 64 << 20;
const NO_ENCRYPTION: u8 = 0;
