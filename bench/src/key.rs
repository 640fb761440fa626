//! Keys, in the form that is kept and in the form that is looked up.

use std::borrow::Borrow;
use std::hash::Hash;

use clap::ValueEnum;
use larder::{CacheKey, Lookup};
use serde::{Deserialize, Serialize};

/// A type of keys.
pub trait Key: CacheKey + Borrow<<Self as Key>::Asked> {
    /// The type of a lookup: `str` for a `String`.
    type Asked: ?Sized + Hash + Eq + Lookup<Self> + ToOwned<Owned = Self> + Sync;

    /// Returns the key with this number.
    fn numbered(number: u64) -> Self;
}

impl Key for u64 {
    type Asked = Self;

    fn numbered(number: u64) -> Self {
        number
    }
}

/// A key of 24 bytes, which differ in the last ones.
impl Key for String {
    type Asked = str;

    fn numbered(number: u64) -> Self {
        format!("customer:{number:015}")
    }
}

/// The types of keys, by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Numbers.
    U64,
    /// Strings of 24 bytes.
    String,
}

impl KeyKind {
    /// Both types.
    pub const ALL: [Self; 2] = [Self::U64, Self::String];

    /// Returns the name, as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::U64 => "u64",
            Self::String => "string",
        }
    }
}

/// Returns the first keys.
pub fn numbered<K: Key>(count: u64) -> Vec<K> {
    (0..count).map(K::numbered).collect()
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn strings_have_24_bytes() {
        assert!(numbered::<String>(1_000).iter().all(|key| key.len() == 24));
    }
}
