//! Encryption with secrets that are replaced from time to time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use chacha20poly1305::aead::Generate;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use larder_core::{Error, ErrorKind, Result};

/// The secrets of an encrypting [`Pipeline`](crate::Pipeline), by id. Feature `encryption`.
///
/// Records are encrypted with the current secret by XChaCha20-Poly1305, with a random nonce. A
/// record names its secret and is read with that one; if the ring does not have it, the record is a
/// miss. A record is bound to its namespace and key, and is nothing in any other place.
///
/// To replace a secret: give all processes a ring that also has the new one, then make it the
/// current one everywhere, and take the old one out when the records it wrote have died.
///
/// The ring's copies of its secrets are wiped from memory when the last clone is dropped. Wiping
/// the sources of the secrets is up to the caller. The secrets do not show in `Debug`.
///
/// ```
/// use larder::backend::Codec;
/// use larder::{Keyring, MessagePack, Pipeline};
///
/// # let (old, new) = ([1; 32], [2; 32]);
/// let before = Pipeline::new(MessagePack).encrypt(Keyring::new(1, [(1, old)])?);
/// let after = Pipeline::new(MessagePack).encrypt(Keyring::new(2, [(1, old), (2, new)])?);
///
/// let bytes = before.encode_at(&"soup".to_owned(), b"a")?;
/// let value: String = after.decode_at(&bytes, b"a")?;
/// assert_eq!(value, "soup");
/// assert!(Codec::<String>::decode_at(&after, &bytes, b"b").is_err());
/// # Ok::<_, larder::backend::Error>(())
/// ```
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    current: u32,
    ciphers: BTreeMap<u32, XChaCha20Poly1305>,
}

impl Keyring {
    /// Builds a key ring of these secrets, of which `current` encrypts.
    ///
    /// A secret is 32 random bytes, not a password.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the current id is not among them, or one is
    /// there twice.
    pub fn new(current: u32, secrets: impl IntoIterator<Item = (u32, [u8; 32])>) -> Result<Self> {
        let invalid = |message| Error::new(ErrorKind::InvalidInput, "key ring", message);
        let mut ciphers = BTreeMap::new();
        for (id, secret) in secrets {
            if ciphers.insert(id, XChaCha20Poly1305::new(&secret.into())).is_some() {
                return Err(invalid("two secrets have one id"));
            }
        }
        if !ciphers.contains_key(&current) {
            return Err(invalid("the current secret is missing"));
        }
        Ok(Self(Arc::new(Inner { current, ciphers })))
    }

    /// The encryption's number in the frame.
    pub(super) const ID: u8 = 1;
    /// The bytes between the frame's head and the body: a secret's id and the nonce.
    pub(super) const HEAD_BYTES: usize = 4 + NONCE_BYTES;
    /// The bytes after the body.
    pub(super) const MAC_BYTES: usize = 16;

    /// Encrypts the bytes from `body` on, in place, and appends the MAC. The bytes before are
    /// authenticated; the last [`HEAD_BYTES`](Self::HEAD_BYTES) of them are filled in.
    pub(super) fn seal(&self, out: &mut Vec<u8>, body: usize) -> Result<()> {
        let failed = |message| Error::new(ErrorKind::Codec, "encrypt", message);
        let nonce = XNonce::try_generate().map_err(|_| failed("no random numbers to be had"))?;
        let (clear, secret) = out.split_at_mut_checked(body).ok_or_else(|| failed("too short"))?;
        let (_, head) = clear
            .split_last_chunk_mut::<{ Self::HEAD_BYTES }>()
            .ok_or_else(|| failed("too short"))?;
        let (id, place_of_nonce) = head.split_at_mut(ID_BYTES);
        id.copy_from_slice(&self.0.current.to_le_bytes());
        place_of_nonce.copy_from_slice(&nonce);
        let cipher = self.cipher(self.0.current).ok_or_else(|| failed("no secret"))?;
        let mac = cipher
            .encrypt_inout_detached(&nonce, clear, secret.into())
            .map_err(|_| failed("too long"))?;
        out.extend_from_slice(&mac);
        Ok(())
    }

    /// Returns the body of a frame with a head of `head_bytes`, found at this place.
    pub(super) fn open(&self, frame: &Bytes, head_bytes: usize, place: &[u8]) -> Result<Bytes> {
        let refused = |message| Error::new(ErrorKind::Codec, "decrypt", message);
        let short = || refused("cut short");
        let (sealed, mac) = frame.split_last_chunk::<{ Self::MAC_BYTES }>().ok_or_else(short)?;
        let seal = sealed.get(head_bytes..).ok_or_else(short)?;
        let (id, rest) = seal.split_first_chunk::<ID_BYTES>().ok_or_else(short)?;
        let (nonce, _) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(short)?;
        let cipher = self
            .cipher(u32::from_le_bytes(*id))
            .ok_or_else(|| refused("its secret is not in the key ring"))?;
        let clear_bytes = place.len() + head_bytes + Self::HEAD_BYTES;
        let mut out = [place, sealed].concat();
        let (clear, secret) = out.split_at_mut_checked(clear_bytes).ok_or_else(short)?;
        cipher
            .decrypt_inout_detached(&XNonce::from(*nonce), clear, secret.into(), &Tag::from(*mac))
            .map_err(|_| refused("it was changed or moved, or made with another secret"))?;
        let mut body = Bytes::from(out);
        body.advance(clear_bytes);
        Ok(body)
    }

    fn cipher(&self, id: u32) -> Option<&XChaCha20Poly1305> {
        self.0.ciphers.get(&id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.0.current)
            .field("ids", &self.0.ciphers.keys())
            .finish_non_exhaustive()
    }
}

const ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
