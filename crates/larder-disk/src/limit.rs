//! Changes within the bound: room is made for them, or they are refused.

use larder_core::{Error, ErrorKind, Result, StoreTime};
use rusqlite::Connection;

use crate::claim::{Answer, Claim, Eviction, Need, claim};
use crate::clock::coarse;
use crate::event::DiskEvent;
use crate::lock;
use crate::writer::{Broken, Writer};

impl Writer {
    /// Runs a change in a transaction in which there is room for it, after as many as it takes to make
    /// that room. Between two of them others may take it: each is judged anew.
    ///
    /// # Errors
    /// [`NoSpace`](ErrorKind::NoSpace) if there is no room and the change is not due, and others as
    /// of a transaction. The inner error is the transaction's.
    pub(crate) fn within_bound<T>(
        &mut self,
        need: &Need,
        mut run: impl FnMut(&Connection, StoreTime) -> rusqlite::Result<T>,
    ) -> Result<Result<T, Broken>> {
        let mut eviction = Eviction::new(!self.shared.marks.is_empty());
        let end = coarse() + self.patience(MAX_ROOM_WAIT);
        let mut has_to_do = false;
        // On a slow disk a single round may take longer than there is time for.
        for round in 1.. {
            let store = self.shared.present("write")?;
            let is_emptied = self.space.is_scarce() && self.is_log_empty;
            let ran = self.transaction(|connection, now| {
                let files = store.files_in_transaction(is_emptied);
                let claim = claim(connection, files, need, now.as_micros(), &mut eviction)?;
                let is_run = has_to_do || claim.answer == Answer::Granted;
                let done = if is_run { Some(run(connection, now)?) } else { None };
                Ok((claim, done))
            })?;
            let (claim, done) = match ran {
                Ok(ran) => ran,
                Err(broken) => return Ok(Err(broken)),
            };
            self.note(&claim);
            if let Some(done) = done {
                return Ok(Ok(done));
            }
            let refusal = match claim.answer {
                Answer::NoRoom => Some("the bound leaves no room for it"),
                _ if round > LEAST_ROUNDS && coarse() > end => {
                    Some("others took the room that was made for it")
                }
                Answer::LogIsFull if !self.truncate_log() && self.is_log_kept_for_long() => Some(
                    "the bound is reached, and another program keeps the log from being emptied",
                ),
                _ => None,
            };
            if claim.answer == Answer::NoteUses {
                self.flush_marks();
                eviction.has_uses = false;
            }
            match refusal {
                // Nobody's bound keeps what has been deleted or made invalid.
                Some(_) if need.is_due || claim.bound.0.is_none() => has_to_do = true,
                Some(message) => return Err(Error::new(ErrorKind::NoSpace, "write", message)),
                None => {}
            }
        }
        Err(Error::new(ErrorKind::NoSpace, "write", "no room could be made for it"))
    }

    fn note(&mut self, claim: &Claim) {
        self.shared.bound.set(claim.bound);
        self.shared.marks.set_wanted(claim.is_half_full);
        if claim.evicted > 0 {
            let records = claim.evicted;
            self.shared.config.observer.tell(&DiskEvent::Evicted { records });
        }
    }

    /// Empties the log and makes it short; whether it is shorter now. Waits for readers and for others
    /// that empty it, but not where it has just waited in vain.
    pub(crate) fn truncate_log(&mut self) -> bool {
        let wait = if self.is_log_kept_for_long() { MIN_LOG_WAIT } else { MAX_LOG_WAIT };
        let end = coarse() + self.patience(wait);
        self.checkpoints.finish();
        let Some((store, connection)) = &self.open else { return true };
        let busy_timeout =
            if self.is_log_kept_for_long() { std::time::Duration::ZERO } else { 4 * lock::STEP };
        let _ = connection.busy_timeout(busy_timeout);
        let before = store.files().log;
        let is_shorter = loop {
            let is_busy = store.hold(lock::STEP).map_or(true, |_hold| {
                connection.query_row(EMPTY_LOG, [], |row| row.get(0)) != Ok(false)
            });
            // SQLite does not wait for another that empties the log.
            if !is_busy || store.files().log < before || !store.is_current() {
                break true;
            }
            if coarse() >= end {
                break false;
            }
            lock::pause(PAUSE);
        };
        let _ = connection.busy_timeout(self.patience);
        self.log_kept_since = match self.log_kept_since {
            _ if is_shorter => None,
            since => since.or(Some(coarse())),
        };
        is_shorter
    }

    /// Whether it is not just others that read and write now and then who keep the log.
    fn is_log_kept_for_long(&self) -> bool {
        self.log_kept_since.is_some_and(|since| coarse() - since > LONG_KEPT)
    }

    /// Microseconds to wait, at most so many.
    fn patience(&self, max: i64) -> i64 {
        i64::try_from(self.patience.as_micros()).unwrap_or(max).min(max)
    }
}

const EMPTY_LOG: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
/// Microseconds for which a change waits for room: less than callers wait for the backend.
const MAX_ROOM_WAIT: i64 = 1_200_000;
/// Microseconds for which a log that readers keep holds up changes.
const MAX_LOG_WAIT: i64 = 700_000;
/// The same where it has just been waited for in vain: a reader of our own may be about to end.
const MIN_LOG_WAIT: i64 = 5_000;
/// A log that has been kept for longer than this, in microseconds, is kept by one reader.
const LONG_KEPT: i64 = 2_000_000;
/// Rounds of making room that a change has, however long they take.
const LEAST_ROUNDS: u32 = 8;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);
