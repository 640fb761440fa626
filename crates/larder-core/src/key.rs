//! Names of records, and the namespaces that keep them apart.

use std::fmt;
use std::fmt::Write as _;

use bytes::Bytes;

use crate::{Error, ErrorKind, Result};

/// The longest name a backend is ever given, in bytes.
const MAX_NAME_BYTES: usize = 250;
/// The longest namespace after escaping, in bytes: it leaves room for a digest in the name.
const MAX_NAMESPACE_BYTES: usize = 128;

/// A prefix that isolates a group of keys. No namespace's prefix begins another's.
///
/// Any text will do, also the empty one. `:`, `%`, spaces and control characters are escaped.
///
/// ```
/// use larder_core::Namespace;
///
/// assert_eq!(Namespace::new("shop")?.prefix(), b"shop:");
/// assert_eq!(Namespace::new("a:b")?.prefix(), b"a%3Ab:");
/// # Ok::<_, larder_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Namespace(Bytes);

impl Namespace {
    /// Returns the namespace with this name.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the name is longer than 128 bytes, an escaped
    /// character counting three.
    pub fn new(name: &str) -> Result<Self> {
        let mut prefix = String::with_capacity(name.len() + 1);
        for c in name.chars() {
            if c == ':' || c == '%' || c == ' ' || c.is_control() {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(prefix, "%{byte:02X}");
                }
            } else {
                prefix.push(c);
            }
        }
        if prefix.len() > MAX_NAMESPACE_BYTES {
            let message = "a namespace has at most 128 bytes";
            return Err(Error::new(ErrorKind::InvalidInput, "namespace", message));
        }
        prefix.push(':');
        Ok(Self(Bytes::from(prefix)))
    }

    /// Returns the bytes that every name in the namespace begins with, and no other name.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes that every name of this class in the namespace begins with.
    #[must_use]
    pub fn class_prefix(&self, class: Class) -> Vec<u8> {
        let mut prefix = self.0.to_vec();
        prefix.push(class.letter());
        prefix
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.0.escape_ascii())
    }
}

/// The class of a record: an entry, a tag, a lock and so on. Keys of different classes never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A user's entry or counter.
    Entry,
    /// The versions of one tag.
    Tag,
    /// The namespace's tag sequence. It changes with every change of any tag.
    Sequence,
    /// The namespace's epoch.
    Epoch,
    /// A user's lock.
    Lock,
    /// The lease of a load over an entry that may still be served. It may also hold what the load's
    /// failure has left. Its text is the entry's version in hexadecimal digits and the end of the
    /// entry's name.
    Refresh,
}

impl Class {
    const fn letter(self) -> u8 {
        match self {
            Self::Entry => b'k',
            Self::Tag => b't',
            Self::Sequence => b's',
            Self::Epoch => b'e',
            Self::Lock => b'l',
            Self::Refresh => b'r',
        }
    }
}

/// The name of a record: namespace, class and the user's key.
///
/// A backend stores under [`name`](Key::name), which is at most 250 bytes, without spaces or
/// control characters. A key that is longer or odder is named by its blake3 digest (256 bits), and
/// the record beside it holds the full key, which readers compare.
///
/// | user's key | name |
/// |---|---|
/// | `user:7` in `shop` | `shop:k:user:7` |
/// | 64 KiB, or with a line break | `shop:k#` and 64 hexadecimal digits |
///
/// ```
/// use larder_core::{Class, Key, Namespace};
///
/// let shop = Namespace::new("shop")?;
/// let key = Key::new(&shop, Class::Entry, b"user:7");
/// assert_eq!(key.name(), b"shop:k:user:7");
/// assert!(!key.is_hashed());
/// # Ok::<_, larder_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    name: Bytes,
    full: Bytes,
}

impl Key {
    /// Makes the key of this text in a namespace and class. Any bytes of any length will do.
    #[must_use]
    pub fn new(namespace: &Namespace, class: Class, text: &[u8]) -> Self {
        let mut full = Vec::with_capacity(namespace.0.len() + 2 + text.len());
        full.extend_from_slice(namespace.prefix());
        full.push(class.letter());
        full.push(b':');
        full.extend_from_slice(text);
        let full = Bytes::from(full);
        if full.len() <= MAX_NAME_BYTES && text.iter().all(|&b| b > b' ' && b != 0x7f) {
            return Self { name: full.clone(), full };
        }
        Self { name: Bytes::from(digest(namespace, class, &full)), full }
    }

    /// Makes the key of this text, under the name that a mangler made.
    ///
    /// The record beside it holds the full key, which readers compare, so a mangler that gives two
    /// keys one name makes misses and never a wrong value.
    ///
    /// ```
    /// use larder_core::{Class, Key, Namespace};
    ///
    /// let shop = Namespace::new("shop")?;
    /// let key = Key::mangled(&shop, Class::Entry, b"user:7", b"7f");
    /// assert_eq!((key.name(), key.full()), (&b"shop:k~7f"[..], &b"shop:k:user:7"[..]));
    /// # Ok::<_, larder_core::Error>(())
    /// ```
    #[must_use]
    pub fn mangled(namespace: &Namespace, class: Class, text: &[u8], mangled: &[u8]) -> Self {
        let Self { full, .. } = Self::new(namespace, class, text);
        let mut name = namespace.class_prefix(class);
        name.push(b'~');
        name.extend_from_slice(mangled);
        if name.len() > MAX_NAME_BYTES || mangled.iter().any(|&b| b <= b' ' || b == 0x7f) {
            // No full key begins with a zero byte, so neither has its digest.
            name = digest(namespace, class, &[b"\0", mangled].concat());
        }
        Self { name: Bytes::from(name), full }
    }

    /// Makes the key of a scanned record. `name` is the name it is stored under, `full` the full
    /// key it holds if the name is a digest.
    #[must_use]
    pub fn from_stored(name: Bytes, full: Option<Bytes>) -> Self {
        let full = full.unwrap_or_else(|| name.clone());
        Self { name, full }
    }

    /// Returns the name for the backend: at most 250 bytes, without spaces or control characters.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Returns the name for the backend as shared bytes.
    #[must_use]
    pub fn name_bytes(&self) -> Bytes {
        self.name.clone()
    }

    /// Returns the whole key, however long.
    #[must_use]
    pub fn full(&self) -> &[u8] {
        &self.full
    }

    /// Returns true if the name is a digest of the full key.
    #[must_use]
    pub fn is_hashed(&self) -> bool {
        self.name != self.full
    }

    /// Returns the user's part of the key: the bytes after namespace and class. None for a foreign
    /// name.
    #[must_use]
    pub fn text(&self, namespace: &Namespace) -> Option<&[u8]> {
        self.full.strip_prefix(namespace.prefix())?.get(2..)
    }
}

/// Returns the name of a key that is too long or odd to be its own name.
fn digest(namespace: &Namespace, class: Class, named: &[u8]) -> Vec<u8> {
    let mut name = namespace.class_prefix(class);
    name.push(b'#');
    name.extend_from_slice(blake3::hash(named).to_hex().as_bytes());
    name
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Key, Namespace};

    fn key(namespace: &str, text: &[u8]) -> Key {
        Key::new(&Namespace::new(namespace).unwrap(), Class::Entry, text)
    }

    #[test]
    fn f26_pairs_that_must_differ_have_different_names() {
        let pairs = [
            (key("a", b"b:c"), key("a:b", b"c")),
            (key("a", b":k:b"), key("a:k", b"b")),
            (key("a", b""), key("", b"a")),
            (key("a b", b"c"), key("a%20b", b"c")),
            (key("a", b"\xC0"), key("a", b"\xC1")),
            (key("a", "\u{e9}".as_bytes()), key("a", "e\u{301}".as_bytes())),
            (key("a", b"x y"), key("a", b"x  y")),
            (key("a", b""), key("a", b"\0")),
        ];
        for (one, other) in pairs {
            assert_ne!(one.name(), other.name());
            assert_ne!(one.full(), other.full());
        }
    }

    #[test]
    fn no_namespace_prefix_begins_another() {
        let names = ["", "a", "ab", "a*", "a?", "[a]", "a:b", "\\a", "%", "_", "a%", "a "];
        for one in names {
            for other in names.iter().filter(|&&other| other != one) {
                let (one, other) = (Namespace::new(one).unwrap(), Namespace::new(other).unwrap());
                assert!(!one.prefix().starts_with(other.prefix()), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn f27_long_and_odd_keys_get_short_plain_names_and_keep_the_full_key() {
        let long = vec![b'x'; 1 << 20];
        for text in [&b"a b"[..], b"a\r\nset x 0 0 1", b"\0", b"\x7f", &long] {
            let key = key("shop", text);
            assert!(key.is_hashed());
            assert!(key.name().len() <= 250);
            assert!(key.name().iter().all(|&b| b > b' ' && b != 0x7f));
            assert_eq!(key.text(&Namespace::new("shop").unwrap()).unwrap(), text);
        }
        assert!(!key("shop", &vec![b'x'; 243]).is_hashed());
        assert!(key("shop", &vec![b'x'; 244]).is_hashed());
    }
}
