//! Encoding into a buffer that each thread keeps: a value's size is known only after it is encoded.

use std::cell::Cell;

use bytes::Bytes;
use larder_core::{Error, ErrorKind, Result};

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The largest buffer that is kept. A larger one becomes the result itself.
const LARGEST: usize = 64 << 10;

/// Returns the bytes that `write` writes, in memory of their own. A value that encodes others
/// meanwhile finds an empty buffer.
pub(super) fn encode(write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Bytes> {
    let mut buffer = SCRATCH.take();
    buffer.clear();
    let written = write(&mut buffer);
    if buffer.capacity() > LARGEST {
        return written.map(|()| Bytes::from(buffer));
    }
    let bytes = written.map(|()| Bytes::copy_from_slice(&buffer));
    SCRATCH.set(buffer);
    bytes
}

/// Turns a serializer's failure into an error. Its source is left out: its text may quote the
/// value.
pub(super) fn has_no_form<E>(_: E) -> Error {
    Error::new(ErrorKind::Codec, "encode", "the value has no such form")
}

#[cfg(test)]
mod tests {
    use larder_core::{Error, ErrorKind};

    use super::{LARGEST, encode};

    #[test]
    fn what_is_written_comes_out_also_inside_another_and_after_a_failure() {
        for size in [0, 1, 100, LARGEST, LARGEST + 1, 3 * LARGEST, 7] {
            let bytes = encode(|buffer| {
                buffer.extend_from_slice(&[1, 2]);
                let inner = encode(|buffer| {
                    buffer.resize(size, 3);
                    Ok(())
                });
                assert_eq!(inner.unwrap(), vec![3; size]);
                buffer.push(4);
                Ok(())
            });
            assert_eq!(bytes.unwrap()[..], [1, 2, 4]);
            let failed = encode(|buffer| {
                buffer.push(9);
                Err(Error::new(ErrorKind::Codec, "encode", "expected"))
            });
            assert!(failed.is_err());
        }
    }
}
