//! Free space on the disk: the last is kept for changes that free room.
//!
//! On a disk that is full to the last byte SQLite cannot even delete: changes go to the log first, and
//! the log is emptied into a database that would have to grow. So values are refused before that, and
//! the log never holds more than the disk has room for.

use rusqlite::Connection;

use crate::bound::room;
use crate::folder::reserve::RESERVED_BYTES;
use crate::store::Store;
use crate::store::wal::empty_log;

/// When to ask the file system: not for every change while there is plenty.
#[derive(Debug, Default)]
pub(crate) struct DiskSpace {
    /// Bytes that may have been taken since it was asked.
    taken: u64,
    /// Whether there was plenty when it was last asked.
    is_plenty: bool,
    /// Whether it was asked at all.
    is_known: bool,
}

impl DiskSpace {
    /// Whether to look before a change that brings so many bytes.
    pub(crate) fn is_due(&mut self, bytes: u64) -> bool {
        // Once in the log, once in the database.
        self.taken = self.taken.saturating_add(2 * bytes + BYTES_PER_GROUP);
        !self.is_plenty || self.taken > ASK_AFTER
    }

    /// Whether each change has to leave the log empty: a database that cannot grow has to hold all
    /// of it already.
    pub(crate) fn is_scarce(&self) -> bool {
        self.is_known && !self.is_plenty
    }

    pub(crate) fn note(&mut self, left: SpaceLeft) {
        self.taken = 0;
        self.is_plenty = left == SpaceLeft::Plenty;
        self.is_known = true;
    }
}

/// How a change that brings so many bytes stands to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpaceLeft {
    Plenty,
    /// There is room for it, and little more.
    Enough,
    TooLittle,
    /// There would be more room if free pages went back to the file system.
    InFreePages,
}

/// Looks what is left. Where it is little, the log is emptied: it keeps its length, for deletes on a
/// disk that others have filled.
pub(crate) fn look(
    store: &Store,
    connection: &Connection,
    bytes: u64,
) -> rusqlite::Result<SpaceLeft> {
    let Some(free) = store.free_bytes() else { return Ok(SpaceLeft::Plenty) };
    if free >= SCARCE.max(4 * bytes) {
        return Ok(SpaceLeft::Plenty);
    }
    let (used, all) = room::pages(connection)?;
    let unreserved = RESERVED_BYTES.saturating_sub(store.reserved_bytes());
    let is_enough = |free: u64, log: u64| {
        let into_log = (bytes + BYTES_PER_GROUP).saturating_sub(log);
        bytes == 0 || into_log + bytes.saturating_sub(all - used) + unreserved <= free
    };
    let log = store.files().log;
    if log <= free / 4 && is_enough(free, 0) {
        return Ok(SpaceLeft::Enough);
    }
    let is_empty = empty_log(connection)?;
    let log = store.files().log;
    let free = store.free_bytes().unwrap_or(0);
    Ok(if is_enough(free, if is_empty { log } else { 0 }) {
        SpaceLeft::Enough
    } else if all > used {
        SpaceLeft::InFreePages
    } else {
        SpaceLeft::TooLittle
    })
}

/// What a change takes beside its bytes, in pages that it touches.
const BYTES_PER_GROUP: u64 = 16 << 10;
const ASK_AFTER: u64 = 1 << 20;
const SCARCE: u64 = 16 << 20;
