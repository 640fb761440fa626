//! MessagePack with named fields.

use bytes::Bytes;
use larder_core::{Codec, Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::scratch::{self, has_no_form};

const ID: u16 = 1;
/// The most arrays and maps inside each other; deeper values would risk the stack.
const MAX_DEPTH: usize = 128;

/// Codec for any serde value as MessagePack, with the names of its fields.
///
/// A field may be added or removed between releases, if it has `#[serde(default)]`, and other
/// languages can read the bytes.
///
/// # Limits
/// - At most 128 arrays and maps inside each other; a deeper value is not encoded.
/// - A claimed length allocates nothing that the bytes do not hold.
/// - `Some(None)` and `Some(())` read back as `None`: the format has one nil.
/// - A `Vec<u8>` is an array of numbers, one or two bytes each; use [`Raw`](crate::Raw) for bytes.
///
/// ```
/// use larder::MessagePack;
/// use larder::backend::Codec;
///
/// let bytes = MessagePack.encode(&vec![("leek".to_owned(), 3_u32)])?;
/// let value: Vec<(String, u32)> = MessagePack.decode(&bytes)?;
/// assert_eq!(value, [("leek".to_owned(), 3)]);
/// # Ok::<_, larder::backend::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePack;

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Codec<V> for MessagePack {
    fn id(&self) -> u16 {
        ID
    }

    fn encode(&self, value: &V) -> Result<Bytes> {
        scratch::encode(|buffer| {
            rmp_serde::encode::write_named(buffer, value).map_err(has_no_form)?;
            // A value that could not be read back is not written.
            check(buffer, "encode")
        })
    }

    fn decode(&self, bytes: &Bytes) -> Result<V> {
        check(bytes, "decode")?;
        // The source is left out: its text quotes the value.
        rmp_serde::from_slice(bytes)
            .map_err(|_| Error::new(ErrorKind::Codec, "decode", "not a value of this type"))
    }
}

/// Succeeds if the bytes are exactly one value, nested at most [`MAX_DEPTH`] deep.
///
/// The deserializer cannot check this. It bounds the depth of arrays and maps but recurses freely
/// through enums. It also passes claimed lengths on as hints, which every level of a recursive type
/// allocates for. After this check both are bounded by bytes that are really there.
fn check(bytes: &[u8], operation: &'static str) -> Result<()> {
    let malformed = || Error::new(ErrorKind::Codec, operation, "malformed or too deep");
    let mut rest = bytes;
    // The number of values that each open array or map still wants, innermost last.
    let mut wanted = [0_u64; MAX_DEPTH];
    let mut depth = 0;
    loop {
        let inner = skip(&mut rest).ok_or_else(malformed)?;
        if inner > 0 {
            *wanted.get_mut(depth).ok_or_else(malformed)? = inner;
            depth += 1;
        } else {
            while let Some(last) = depth.checked_sub(1).and_then(|last| wanted.get_mut(last)) {
                *last -= 1;
                if *last > 0 {
                    break;
                }
                depth -= 1;
            }
        }
        if depth == 0 {
            return if rest.is_empty() { Ok(()) } else { Err(malformed()) };
        }
    }
}

/// Skips one marker and its own bytes, and returns the number of values after it that belong to it.
fn skip(rest: &mut &[u8]) -> Option<u64> {
    let marker = *rest.split_off_first()?;
    let (bytes, values) = match marker {
        0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
        0x90..=0x9f => (0, u64::from(marker & 0x0f)),
        0xa0..=0xbf => (u64::from(marker & 0x1f), 0),
        0xc4 | 0xd9 => (number::<1>(rest)?, 0),
        0xc5 | 0xda => (number::<2>(rest)?, 0),
        0xc6 | 0xdb => (number::<4>(rest)?, 0),
        // Extensions have a type of one byte before their content.
        0xc7 => (1 + number::<1>(rest)?, 0),
        0xc8 => (1 + number::<2>(rest)?, 0),
        0xc9 => (1 + number::<4>(rest)?, 0),
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 | 0xd4 => (2, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xcb | 0xcf | 0xd3 => (8, 0),
        0xd5 => (3, 0),
        0xd6 => (5, 0),
        0xd7 => (9, 0),
        0xd8 => (17, 0),
        0xdc => (0, number::<2>(rest)?),
        0xdd => (0, number::<4>(rest)?),
        0xde => (0, 2 * number::<2>(rest)?),
        0xdf => (0, 2 * number::<4>(rest)?),
        0xc1 => return None,
        _ => (0, 0),
    };
    rest.split_off(..usize::try_from(bytes).ok()?)?;
    // Every value takes at least one byte.
    (values <= u64::try_from(rest.len()).ok()?).then_some(values)
}

fn number<const N: usize>(rest: &mut &[u8]) -> Option<u64> {
    let bytes = rest.split_off(..N)?;
    Some(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}
