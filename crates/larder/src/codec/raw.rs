//! Bytes as they are.

use bytes::Bytes;
use larder_core::{Codec, Error, ErrorKind, Result};

const ID: u16 = 2;
/// Bytes have no type: a reader of any type takes them.
const ANY_TYPE: u32 = 0;

/// Codec that stores bytes and text as they are. `Bytes` are shared, not copied, both ways.
///
/// Its id differs from that of [`MessagePack`](crate::MessagePack), so bytes that were stored raw
/// are never taken for an encoded value, nor the other way round. `Bytes`, `Vec<u8>` and `String`
/// share the id: text reads back as bytes, and bytes as text if they are UTF-8.
///
/// ```
/// use bytes::Bytes;
/// use larder::Raw;
/// use larder::backend::Codec;
///
/// let bytes = Raw.encode(&"soup".to_owned())?;
/// assert_eq!(&bytes[..], b"soup");
/// let text: String = Raw.decode(&bytes)?;
/// assert_eq!(text, "soup");
/// # Ok::<_, larder::backend::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn id(&self) -> u16 {
        ID
    }

    fn value_type(&self) -> u32 {
        ANY_TYPE
    }

    fn encode(&self, value: &Bytes) -> Result<Bytes> {
        Ok(value.clone())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Bytes> {
        Ok(bytes.clone())
    }
}

impl Codec<Vec<u8>> for Raw {
    fn id(&self) -> u16 {
        ID
    }

    fn value_type(&self) -> u32 {
        ANY_TYPE
    }

    fn encode(&self, value: &Vec<u8>) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(value))
    }

    fn decode(&self, bytes: &Bytes) -> Result<Vec<u8>> {
        Ok(bytes.to_vec())
    }
}

impl Codec<String> for Raw {
    fn id(&self) -> u16 {
        ID
    }

    fn value_type(&self) -> u32 {
        ANY_TYPE
    }

    fn encode(&self, value: &String) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(value.as_bytes()))
    }

    fn decode(&self, bytes: &Bytes) -> Result<String> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(Error::with_source(ErrorKind::Codec, "decode", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use larder_core::Codec;

    use super::Raw;

    #[test]
    fn bytes_are_shared_and_not_copied() {
        let value = Bytes::from(vec![7; 100]);
        let encoded = Raw.encode(&value).unwrap();
        let decoded: Bytes = Raw.decode(&encoded).unwrap();
        assert_eq!(decoded.as_ptr(), value.as_ptr());
    }

    #[test]
    fn text_that_is_no_utf8_is_refused() {
        assert!(Codec::<String>::decode(&Raw, &Bytes::from_static(b"\xC0\x80")).is_err());
    }
}
