//! Keys: how they are kept, and how they are asked for.

use std::borrow::Borrow;
use std::hash::Hash;

use clap::ValueEnum;
use larder::{CacheKey, Lookup};
use serde::{Deserialize, Serialize};

/// A type of keys.
pub trait Key: CacheKey + Borrow<<Self as Key>::Asked> {
    /// What is looked up: `str` for a `String`.
    type Asked: ?Sized + Hash + Eq + Lookup<Self> + ToOwned<Owned = Self> + Sync;

    /// The key with this number.
    fn numbered(number: u64) -> Self;
}

impl Key for u64 {
    type Asked = Self;

    fn numbered(number: u64) -> Self {
        number
    }
}

/// 24 bytes, which differ in the last ones.
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
    /// Both.
    pub const ALL: [Self; 2] = [Self::U64, Self::String];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::U64 => "u64",
            Self::String => "string",
        }
    }
}

/// The first keys.
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
