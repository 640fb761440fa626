//! Postcard.

use bytes::Bytes;
use larder_core::{Codec, Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::bounded::{Bounded, Bounds};
use crate::codec::scratch::{self, has_no_form};

mod bounded;

const ID: u16 = 4;

/// Codec for any serde value in the smallest form, without field names. Feature `postcard`.
///
/// The bytes say nothing of the type that they are of. A type that has changed in any way reads old
/// bytes as an error at best and as another value at worst: state its
/// [schema](crate::Pipeline::schema), and count it up with each change.
///
/// # Limits
/// - At most 128 options, enums, structs, tuples, lists and maps inside each other. A deeper value
///   is encoded but does not read back: it is a miss each time.
/// - Of values without bytes, such as those of a `Vec<()>`, a list reads back some 4,000.
/// - A claimed length allocates nothing.
/// - Types whose deserializer asks the format for the type have no form: untagged enums,
///   `#[serde(flatten)]`, `#[serde(skip_serializing_if = "…")]`.
///
/// ```
/// use larder::Postcard;
/// use larder::backend::Codec;
///
/// let bytes = Postcard.encode(&vec![("leek".to_owned(), 3_u32)])?;
/// assert_eq!(&bytes[..], b"\x01\x04leek\x03");
/// let value: Vec<(String, u32)> = Postcard.decode(&bytes)?;
/// assert_eq!(value, [("leek".to_owned(), 3)]);
/// # Ok::<_, larder::backend::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Postcard;

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Codec<V> for Postcard {
    fn id(&self) -> u16 {
        ID
    }

    fn encode(&self, value: &V) -> Result<Bytes> {
        scratch::encode(|buffer| {
            ::postcard::to_io(value, buffer).map_err(has_no_form)?;
            Ok(())
        })
    }

    fn decode(&self, bytes: &Bytes) -> Result<V> {
        let malformed = |_| Error::new(ErrorKind::Codec, "decode", "not a value of this type");
        let bounds = Bounds::of(bytes);
        let mut input = ::postcard::Deserializer::from_bytes(bytes);
        let value = V::deserialize(Bounded::new(&mut input, &bounds)).map_err(malformed)?;
        if input.finalize().map_err(malformed)?.is_empty() {
            Ok(value)
        } else {
            Err(Error::new(ErrorKind::Codec, "decode", "bytes after the end"))
        }
    }
}
