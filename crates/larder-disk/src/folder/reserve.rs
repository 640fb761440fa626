//! Room for deletes on a disk that others fill to its last byte: a file that is removed for them.
//!
//! A delete is written to the log first, and the log is emptied into a database that may have to
//! grow. Neither is possible without a byte of room, and only a file of our own keeps room from
//! other programs. The file exists only while the disk has little room left.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};

use crate::folder::{Folder, RESERVE, private};

impl Folder {
    /// Returns the bytes that the reserve has now.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        fs::symlink_metadata(self.join(RESERVE)).map_or(0, |found| found.len())
    }

    /// Takes the reserve, if the disk has room for it.
    pub(crate) fn keep_reserve(&self) {
        if self.reserved_bytes() < RESERVED_BYTES && self.write_reserve().is_err() {
            self.give_up_reserve();
        }
    }

    /// Gives the reserve back to the file system. True if there was any.
    pub(crate) fn give_up_reserve(&self) -> bool {
        let is_kept = self.reserved_bytes() > 0;
        is_kept && fs::remove_file(self.join(RESERVE)).is_ok()
    }

    fn write_reserve(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true);
        let mut file = private(&mut options).open(self.join(RESERVE))?;
        // A file with a hole would take up no room.
        for _ in 0..RESERVED_BYTES / BLOCK.len() as u64 {
            file.write_all(&BLOCK)?;
        }
        Ok(())
    }
}

/// Room for the log of a few deletes, and for the database's growth by the log's earlier content.
pub(crate) const RESERVED_BYTES: u64 = 128 << 10;
const BLOCK: [u8; 4_096] = [0xff; 4_096];
