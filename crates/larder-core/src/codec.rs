//! Turning values into bytes and back.

use bytes::Bytes;

use crate::Result;

/// Turns values of one type into bytes and back.
///
/// A codec never sees a key or a clock. Its [`id`](Codec::id) is kept with every record, so bytes
/// that another codec wrote are a miss and never a wrong value.
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
    /// The format's number. Below 0x8000 is Larder's own; choose your own from 0x8000 up.
    fn id(&self) -> u16;

    /// The bytes of a value.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) if the value has no form in this format.
    fn encode(&self, value: &V) -> Result<Bytes>;

    /// The value that these bytes hold.
    ///
    /// The bytes are untrusted: an implementation bounds depth and sizes, never panics, and never
    /// runs code that the bytes name.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) if the bytes are not the whole form of one value.
    fn decode(&self, bytes: &Bytes) -> Result<V>;
}
