//! Layout of a value that went through a pipeline, field by field.
//!
//! All numbers are little-endian. The record's codec id is that of the codec inside with the bit
//! 0x4000 set, so a reader without a pipeline sees another codec, and a reader with one never
//! takes bytes that are in no frame.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0 | frame | 1; another number is refused |
//! | 1 | compression | 0 none, 1 zstd (one frame with its length), 2 lz4 (one block) |
//! | 2 | encryption | 0 none, 1 XChaCha20-Poly1305 |
//! | 3..5 | codec | id of the codec inside |
//! | 5..9 | schema | the user's number for the shape of the type |
//! | 9..13 | length | of the codec's bytes, before compression |
//! | 13.. | body | if not encrypted: the codec's bytes, or what compression made of them |
//!
//! Encrypted:
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 13..17 | secret | id of the secret in the key ring |
//! | 17..41 | nonce | random |
//! | 41.. | body | encrypted |
//! | the last 16 | MAC | over the place of the record, bytes 0..41 and the body |
//!
//! The associated data are the place, then bytes 0..41: as the second part has one length, no two
//! pairs of them are the same bytes.

use bytes::BufMut;
use larder_core::{Error, ErrorKind, Result};

/// The bit in the id of each record that contains a frame.
pub(super) const FRAMED: u16 = 0x4000;
pub(super) const HEAD_BYTES: usize = 13;

const FRAME: u8 = 1;

/// The beginning of every frame.
pub(super) struct Head {
    pub(super) compression: u8,
    pub(super) encryption: u8,
    pub(super) codec: u16,
    pub(super) schema: u32,
    pub(super) length: u32,
}

impl Head {
    pub(super) fn to_bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let mut out = &mut bytes[..];
        out.put_u8(FRAME);
        out.put_u8(self.compression);
        out.put_u8(self.encryption);
        out.put_u16_le(self.codec);
        out.put_u32_le(self.schema);
        out.put_u32_le(self.length);
        bytes
    }

    pub(super) fn of(frame: &[u8]) -> Result<Self> {
        let unknown = || Error::new(ErrorKind::Codec, "decode", "not a frame of this layout");
        let head: &[u8; HEAD_BYTES] = frame.first_chunk().ok_or_else(unknown)?;
        let [FRAME, compression, encryption, c0, c1, s0, s1, s2, s3, l0, l1, l2, l3] = *head else {
            return Err(unknown());
        };
        Ok(Self {
            compression,
            encryption,
            codec: u16::from_le_bytes([c0, c1]),
            schema: u32::from_le_bytes([s0, s1, s2, s3]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
        })
    }
}
