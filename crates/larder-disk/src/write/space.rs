//! Free space on the disk: the last is kept for changes that free room.
//!
//! On a disk that is full to the last byte SQLite cannot even delete: changes go to the log first,
//! and the log is emptied into a database that would have to grow. Values are refused before that,
//! and the log never holds more than the disk has room for.

use rusqlite::Connection;

use crate::bound::room;
use crate::folder::reserve::RESERVED_BYTES;
use crate::store::Store;
use crate::store::wal::empty_log;

/// The decision when to ask the file system: not for every change while there is plenty of room.
#[derive(Debug, Default)]
pub(crate) struct DiskSpace {
    /// Bytes that may have been taken since the file system was asked.
    taken: u64,
    /// True if there was plenty when the file system was last asked.
    is_plenty: bool,
    /// True if the file system has been asked at all.
    is_known: bool,
}

impl DiskSpace {
    /// True if the file system has to be asked before a change that brings this many bytes.
    pub(crate) fn is_due(&mut self, bytes: u64) -> bool {
        // A payload takes room in the log and in the database.
        self.taken = self.taken.saturating_add(2 * bytes + BYTES_PER_GROUP);
        !self.is_plenty || self.taken > ASK_AFTER
    }

    /// True if each change has to leave the log empty: a database that cannot grow has to hold all
    /// of the log's content already.
    pub(crate) fn is_scarce(&self) -> bool {
        self.is_known && !self.is_plenty
    }

    pub(crate) fn note(&mut self, left: SpaceLeft) {
        self.taken = 0;
        self.is_plenty = left == SpaceLeft::Plenty;
        self.is_known = true;
    }
}

/// The room on the disk for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpaceLeft {
    Plenty,
    /// The disk has room for the change, and little more.
    Enough,
    TooLittle,
    /// The disk would have more room if free pages went back to the file system.
    InFreePages,
}

/// Asks for the room that is left. Where it is little, the log is emptied: it keeps its length, for
/// deletes on a disk that others have filled.
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

/// The bytes of touched pages that a change takes beside its payload.
const BYTES_PER_GROUP: u64 = 16 << 10;
const ASK_AFTER: u64 = 1 << 20;
const SCARCE: u64 = 16 << 20;
