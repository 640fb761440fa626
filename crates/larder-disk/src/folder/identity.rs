//! The identity of a file, equal under every name that the file has.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device and number of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Returns the identity of the file at this path, if there is one.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        Some(Self::of_file(&path.symlink_metadata().ok()?))
    }

    pub(crate) fn of_file(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }

    /// Returns device and number as one number.
    pub(crate) fn number(self) -> u128 {
        u128::from(self.device) << 64 | u128::from(self.inode)
    }
}
