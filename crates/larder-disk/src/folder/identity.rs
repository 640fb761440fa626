//! The identity of a file: the same under every name that it has.

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
    /// The identity of the file at this path, if there is one.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        Some(Self::of_file(&path.symlink_metadata().ok()?))
    }

    pub(crate) fn of_file(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }

    /// Both in one number.
    pub(crate) fn number(self) -> u128 {
        u128::from(self.device) << 64 | u128::from(self.inode)
    }
}
