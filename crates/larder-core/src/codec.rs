//! Turning values into bytes and back.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::Result;

/// Turns values of one type into bytes and back.
///
/// A codec never sees a clock, and of a key only a [place](Codec::encode_at) that says nothing to it.
/// Its [`id`](Codec::id) is kept with every record, so bytes that another codec wrote are a miss and
/// never a wrong value.
///
/// ```
/// use bytes::Bytes;
/// use larder_core::{Codec, Error, ErrorKind, Result};
///
/// struct Utf8;
///
/// impl Codec<String> for Utf8 {
///     fn id(&self) -> u16 {
///         0x8001
///     }
///     fn encode(&self, value: &String) -> Result<Bytes> {
///         Ok(Bytes::copy_from_slice(value.as_bytes()))
///     }
///     fn decode(&self, bytes: &Bytes) -> Result<String> {
///         String::from_utf8(bytes.to_vec())
///             .map_err(|error| Error::with_source(ErrorKind::Codec, "decode", error))
///     }
/// }
///
/// let bytes = Utf8.encode(&"soup".to_owned())?;
/// assert_eq!(Utf8.decode(&bytes)?, "soup");
/// # Ok::<_, Error>(())
/// ```
pub trait Codec<V>: Send + Sync + 'static {
    /// The number of the format. A format of your own has one from 0x8000 to 0xBFFF.
    ///
    /// Lower numbers are Larder's, and so is the bit 0x4000, which says that another codec's bytes
    /// are inside.
    fn id(&self) -> u16;

    /// The number of the values' type; zero for bytes that belong to no type.
    ///
    /// The number is kept with every record, so a value of another type under the same key is a
    /// miss, even if its bytes would pass for one of this type. Default: a hash of the type's full
    /// name, as [`type_name`](std::any::type_name) tells it. A type that was renamed or moved to
    /// another module is another type: a codec of your own may give a number that stays.
    fn value_type(&self) -> u32 {
        let [a, b, c, d, ..] = xxh3_64(std::any::type_name::<V>().as_bytes()).to_le_bytes();
        u32::from_le_bytes([a, b, c, d]).max(1)
    }

    /// Encodes a value into bytes.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) if the value has no form in this format.
    fn encode(&self, value: &V) -> Result<Bytes>;

    /// Decodes the value that these bytes hold.
    ///
    /// The bytes are untrusted: an implementation bounds depth and sizes, never panics, and never
    /// runs code that the bytes name.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) if the bytes are not the whole form of one value.
    fn decode(&self, bytes: &Bytes) -> Result<V>;

    /// Encodes a value that will be stored at this place.
    ///
    /// A cache calls this one. A codec that binds bytes to their place, so that they are nothing
    /// elsewhere, implements it and [`decode_at`](Codec::decode_at); by default the place is left
    /// out. The place is opaque: other places have other bytes, and nothing else is promised.
    ///
    /// # Errors
    /// As [`encode`](Codec::encode).
    fn encode_at(&self, value: &V, place: &[u8]) -> Result<Bytes> {
        let _ = place;
        self.encode(value)
    }

    /// Decodes the value in these bytes, which were found at this place.
    ///
    /// # Errors
    /// As [`decode`](Codec::decode); also if the codec binds bytes to their place and these are
    /// another's.
    fn decode_at(&self, bytes: &Bytes, place: &[u8]) -> Result<V> {
        let _ = place;
        self.decode(bytes)
    }
}
