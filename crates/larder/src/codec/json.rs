//! JSON.

use bytes::Bytes;
use larder_core::{Codec, Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::scratch::{self, has_no_form};

const ID: u16 = 3;
/// The most arrays and objects inside each other: the deserializer's own limit.
const MAX_DEPTH: usize = 127;

/// Codec for any serde value as JSON, readable by people and other languages. Feature `json`.
///
/// A field may be added or removed between releases, if it has `#[serde(default)]`.
///
/// # Limits
/// - At most 127 arrays and objects inside each other; a deeper value is not encoded.
/// - A value without a form in the format is not encoded: a map whose keys are no text or numbers.
/// - `NaN` and infinities are null: they read back as `None`, or as nothing of this type.
/// - `Some(None)` and `Some(())` read back as `None`: the format has one null.
/// - A `Vec<u8>` is an array of numbers; use [`Raw`](crate::Raw) for bytes.
///
/// ```
/// use larder::Json;
/// use larder::backend::Codec;
///
/// let bytes = Json.encode(&vec![("leek".to_owned(), 3_u32)])?;
/// assert_eq!(&bytes[..], br#"[["leek",3]]"#);
/// let value: Vec<(String, u32)> = Json.decode(&bytes)?;
/// assert_eq!(value, [("leek".to_owned(), 3)]);
/// # Ok::<_, larder::backend::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Codec<V> for Json {
    fn id(&self) -> u16 {
        ID
    }

    fn encode(&self, value: &V) -> Result<Bytes> {
        scratch::encode(|buffer| {
            serde_json::to_writer(&mut *buffer, value).map_err(has_no_form)?;
            // A value that could not be read back is not written.
            if depth(buffer) > MAX_DEPTH {
                return Err(Error::new(ErrorKind::Codec, "encode", "too deep"));
            }
            Ok(())
        })
    }

    fn decode(&self, bytes: &Bytes) -> Result<V> {
        // The deserializer bounds the depth itself, and lengths are not claimed in this format. The
        // source is left out: its text quotes the value.
        serde_json::from_slice(bytes)
            .map_err(|_| Error::new(ErrorKind::Codec, "decode", "not a value of this type"))
    }
}

/// Returns how deep arrays and objects are inside each other, in text that is JSON.
fn depth(bytes: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn brackets_in_texts_are_not_counted() {
        assert_eq!(depth(b"1"), 0);
        assert_eq!(depth(br#"[[],{"a":[]}]"#), 3);
        assert_eq!(depth(br#"["[[[","\"[[","\\",{}]"#), 2);
    }
}
