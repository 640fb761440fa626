//! A value that shows its key, its version, and whether it is whole.

use serde::{Deserialize, Serialize};

/// A value that shows its key, its version, and whether it is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Witness {
    key: u64,
    version: u64,
    body: Vec<u64>,
}

impl Witness {
    pub(crate) fn new(key: u64, version: u64) -> Self {
        let body = (0..version % 5).map(|place| digest(key, version, place)).collect();
        Self { key, version, body }
    }

    /// Returns its version, if it is the whole value of this key.
    pub(crate) fn version(&self, key: u64) -> u64 {
        assert_eq!(*self, Self::new(key, self.version), "torn, or another key's");
        self.version
    }
}

fn digest(key: u64, version: u64, place: u64) -> u64 {
    (key ^ version.rotate_left(32) ^ place.rotate_left(48)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
