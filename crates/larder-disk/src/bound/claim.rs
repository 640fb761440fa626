//! Room for a change, judged while nobody else can write.
//!
//! On disk are the database, which grows to the pages that the last transaction left, its log, and
//! the log's index. A change needs pages and room in the log. The bound less the log's share is for
//! pages; evictions make room there, within the change's own transaction. Room in the log is made
//! by emptying it, which no transaction can do for itself: a change without that room is not begun.
//!
//! A value that is larger than the log's share needs a longer log, and fewer pages. The store notes
//! that for a while, so that other writers leave room for it, and for the next of its size.

use rusqlite::{Connection, params};

use crate::bound::evict::{self, HandMove, Mercy, Reach};
use crate::bound::room;
use crate::bound::{Bound, FRAME_BYTES, FRAMES_PER_RECORD, PAGE_BYTES, index_bytes};
use crate::error::damage;

/// The room that a change needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// Bytes of keys and payloads.
    pub(crate) bytes: u64,
    /// Records that are changed.
    pub(crate) records: u64,
    /// The longest payload.
    pub(crate) longest: u64,
    /// True if the change adds records, so that others may have to be evicted.
    pub(crate) grows: bool,
    /// True if the change must be done even if no room can be made: it frees or invalidates.
    pub(crate) is_due: bool,
}

impl Need {
    /// Returns the need of upkeep of this many records, which can wait.
    pub(crate) const fn upkeep(records: u64) -> Self {
        Self { is_due: false, ..Self::due(records) }
    }

    /// Returns the need of a change that frees, or hardly grows, this many records, and whose
    /// caller waits for the answer.
    pub(crate) const fn due(records: u64) -> Self {
        Self { bytes: 0, records, longest: 0, grows: false, is_due: true }
    }

    /// Returns the need of a check that the bound holds, without a change.
    pub(crate) const fn bound() -> Self {
        Self { bytes: 0, records: 0, longest: 0, grows: true, is_due: false }
    }

    /// Returns the need of this change and another in one transaction.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            records: self.records + other.records,
            longest: self.longest.max(other.longest),
            grows: self.grows || other.grows,
            is_due: self.is_due && other.is_due,
        }
    }

    /// Returns the most bytes that the change adds to the log.
    pub(crate) fn log_bytes(&self) -> u64 {
        // Overflow pages hold a few bytes less than a page, and are noted in the map of parents.
        let pages = self.bytes / PAGE_BYTES + self.bytes / (PAGE_BYTES * 256) + 2;
        (pages + FRAMES_PER_RECORD * self.records) * FRAME_BYTES
    }

    /// Returns the longest log after the change: its share, and the whole of a large value, because
    /// others may have filled the share before this change is made.
    fn log_limit(&self, bound: Bound) -> u64 {
        let (own, share) = (self.log_bytes(), bound.log_bytes());
        if own <= bound.transaction_bytes() { share } else { share + own }
    }

    /// Returns the bytes of pages that the change needs, about.
    fn page_bytes(&self) -> u64 {
        if !self.grows || self.records == 0 {
            return 0;
        }
        self.bytes + self.bytes / 256 + self.records * PAGE_BYTES / 4 + 2 * PAGE_BYTES
    }
}

/// The sizes of the files now, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files {
    pub(crate) database: u64,
    pub(crate) log: u64,
}

/// The state of an eviction from one try to the next.
#[derive(Debug)]
pub(crate) struct Eviction {
    mercy: Mercy,
    /// True if there are uses that the records do not show yet.
    pub(crate) has_uses: bool,
}

impl Eviction {
    pub(crate) fn new(has_uses: bool) -> Self {
        Self { mercy: Mercy::default(), has_uses }
    }
}

/// The answer to a claim of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The change has room.
    Granted,
    /// Some room has been made, and more has to be made.
    Again,
    /// The log has to be emptied first.
    LogIsFull,
    /// Uses have to be noted first, because records are to be evicted.
    NoteUses,
    /// No more room can be freed.
    NoRoom,
}

/// The pages of tables without records, about.
const EMPTY_BYTES: u64 = 8 * PAGE_BYTES;

/// The result of a claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) answer: Answer,
    pub(crate) bound: Bound,
    /// Live records that were dropped.
    pub(crate) evicted: u64,
    /// True if half of the room is taken, so that uses matter.
    pub(crate) is_half_full: bool,
}

/// Judges a change, in the transaction that would make it, and makes some room for it.
pub(crate) fn claim(
    connection: &Connection,
    files: Files,
    need: &Need,
    now: i64,
    eviction: &mut Eviction,
) -> rusqlite::Result<Claim> {
    let row = StoreRow::read(connection)?;
    let bound = row.bound;
    let claim = |answer| Claim { answer, bound, evicted: 0, is_half_full: false };
    let Some(max) = bound.0 else {
        let is_full = files.log > 0 && files.log + need.log_bytes() > bound.log_bytes();
        return Ok(claim(if is_full { Answer::LogIsFull } else { Answer::Granted }));
    };
    if need.longest > bound.max_value_bytes() {
        return Ok(claim(Answer::NoRoom));
    }
    let log = row.log_for(connection, need, now)?;
    let mut judge = Judge { connection, bound, max, log, files, need, used: 0, all: 0, evicted: 0 };
    let answer = judge.answer(now, eviction)?;
    let is_half_full = judge.used > judge.max_pages() / 2;
    Ok(Claim { answer, bound, evicted: judge.evicted, is_half_full })
}

/// True if the files exceed the bound, or the pages in use leave no room for the log.
pub(crate) fn is_over(connection: &Connection, files: Files) -> rusqlite::Result<bool> {
    let bound = StoreRow::read(connection)?.bound;
    let Some(max) = bound.0 else { return Ok(false) };
    let (used, _) = room::pages(connection)?;
    let share = bound.log_bytes() + index_bytes(bound.log_bytes());
    let on_disk = files.database + files.log + index_bytes(files.log);
    Ok(on_disk > max || used + share > max)
}

/// The columns of the store's own row about room.
struct StoreRow {
    bound: Bound,
    /// The room that is kept for the log because of a large value.
    large_log: i64,
    large_until: i64,
}

impl StoreRow {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT max_bytes, large_log, large_until FROM store";
        connection.prepare_cached(sql)?.query_row([], |row| {
            let bound = Bound::from_column(row.get(0)?).ok_or_else(damage)?;
            Ok(Self { bound, large_log: row.get(1)?, large_until: row.get(2)? })
        })
    }

    /// Returns the room to keep for the log. Notes it for later changes if it exceeds the log's
    /// share.
    fn log_for(&self, connection: &Connection, need: &Need, now: i64) -> rusqlite::Result<u64> {
        let share = self.bound.log_bytes();
        let noted = if now < self.large_until { self.large_log.max(0) } else { 0 };
        // A bound that has been made smaller has no room for a log that was noted under the larger
        // one.
        let largest = Need { bytes: self.bound.max_value_bytes(), ..Need::due(1) };
        let kept = share.max(noted.unsigned_abs().min(largest.log_limit(self.bound)));
        let own = need.log_limit(self.bound);
        if !need.grows || own <= share {
            return Ok(kept);
        }
        if own > kept || self.large_until.saturating_sub(now) < LARGE_FOR / 2 {
            let values = params![own.max(kept).cast_signed(), now.saturating_add(LARGE_FOR)];
            let sql = "UPDATE store SET large_log = ?1, large_until = ?2";
            connection.prepare_cached(sql)?.execute(values)?;
        }
        Ok(kept.max(own))
    }
}

struct Judge<'a> {
    connection: &'a Connection,
    bound: Bound,
    max: u64,
    /// The room that is kept for the log.
    log: u64,
    files: Files,
    need: &'a Need,
    /// Bytes of pages, in use and in all.
    used: u64,
    all: u64,
    evicted: u64,
}

impl Judge<'_> {
    /// Returns the most bytes of pages that the bound allows.
    fn max_pages(&self) -> u64 {
        self.max.saturating_sub(self.log + index_bytes(self.log))
    }

    fn count(&mut self) -> rusqlite::Result<()> {
        (self.used, self.all) = room::pages(self.connection)?;
        Ok(())
    }

    /// Returns the bytes of pages in use after the change.
    fn after(&self) -> u64 {
        self.used + self.need.page_bytes()
    }

    /// True if the bound holds after the change, when it adds this many bytes to the log. The part
    /// of the log that is kept for a large value is for that value only.
    fn is_within(&self, log: u64) -> bool {
        let log = self.files.log + log;
        if log > self.need.log_limit(self.bound) {
            return false;
        }
        let pages = self.files.database.max(self.all).max(self.after());
        pages + log + index_bytes(log) <= self.max
    }

    fn answer(&mut self, now: i64, eviction: &mut Eviction) -> rusqlite::Result<Answer> {
        self.count()?;
        let own = self.need.log_bytes();
        if !self.need.grows {
            let is_full = self.files.log > 0 && !self.has_share(own) && !self.is_within(own);
            return Ok(if is_full { Answer::LogIsFull } else { Answer::Granted });
        }
        if self.need.records > 0 && self.need.page_bytes() + EMPTY_BYTES > self.max_pages() {
            // There would be no room even without all other records.
            return Ok(Answer::NoRoom);
        }
        let mut evicted = 0;
        if self.after() > self.max_pages() {
            let room = self.room_in_log();
            if self.files.log > 0 && room < self.bound.log_bytes() / 8 {
                return Ok(Answer::LogIsFull);
            }
            if eviction.has_uses {
                return Ok(Answer::NoteUses);
            }
            let turn = self.evict(Bound::records_in(room), now, &eviction.mercy)?;
            let goes_on = eviction.mercy.goes_on(&turn);
            if self.after() > self.max_pages() {
                return Ok(if goes_on { Answer::Again } else { Answer::NoRoom });
            }
            evicted = Need::upkeep(turn.changed).log_bytes();
        }
        if self.is_within(own + evicted) {
            return Ok(Answer::Granted);
        }
        self.shrink(evicted)
    }

    /// Returns the bytes that making room may add to the log: as much again is left for the change.
    fn room_in_log(&self) -> u64 {
        self.bound.log_bytes().saturating_sub(self.files.log) / 2
    }

    /// True if the log's share has room for this many bytes. A step that makes room may have them
    /// even where the files exceed the bound.
    fn has_share(&self, log: u64) -> bool {
        self.files.log + log <= self.bound.log_bytes()
    }

    fn evict(&mut self, records: u64, now: i64, mercy: &Mercy) -> rusqlite::Result<HandMove> {
        let bytes = self.after().saturating_sub(self.max_pages()) + self.max / 32;
        let turn = evict::evict(self.connection, Reach { bytes, records }, now, mercy)?;
        self.evicted = turn.evicted;
        self.count()?;
        Ok(turn)
    }

    /// Gives back free pages, after this many bytes have gone to the log. Asks for an empty log if
    /// that is not possible: after that the file is as short as its pages say.
    fn shrink(&self, log: u64) -> rusqlite::Result<Answer> {
        let excess = self.all.saturating_sub(self.max_pages()) / PAGE_BYTES;
        if excess > 0 && self.has_share(log + self.bound.transaction_bytes()) {
            room::give_back(self.connection, excess.min(self.bound.records_per_step()))?;
            return Ok(Answer::Again);
        }
        let has_log = self.files.log > 0 || log > 0;
        Ok(if has_log { Answer::LogIsFull } else { Answer::Granted })
    }
}

/// Microseconds for which room is kept for the log of a large value.
const LARGE_FOR: i64 = 10_000_000;
