//! Changes within the bound: room is made for them, or they are refused.

use std::time::Duration;

use larder_core::{Error, ErrorKind, Result, StoreTime};
use rusqlite::Connection;

use crate::bound::claim::{Answer, Claim, Eviction, Need, claim};
use crate::event::DiskEvent;
use crate::store::transaction::Broken;
use crate::store::wal::KeptLog;
use crate::time::wait::Until;
use crate::write::checkpoint::{MAX_READER_WAIT, try_truncate, wait_and_truncate};
use crate::write::writer::Writer;

impl Writer {
    /// Runs a change in a transaction that has room for it, after as many transactions as that room
    /// takes. Others may take the room in between, so each transaction judges anew.
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
        let until = Until::after(self.patience);
        // A due change is made even if the log stays long, so some time is kept to wait for other
        // writers.
        let share = if need.is_due { self.patience / 2 } else { self.patience };
        let for_log = until.or_after(share);
        let mut has_to_do = false;
        // On a slow disk a single round may take longer than there is time for.
        for round in 1.. {
            let store = self.shared.present("write")?;
            let is_emptied = self.space.is_scarce() && self.is_log_empty;
            let ran = self.transaction(until.at_least(LEAST_WAIT), |connection, now| {
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
                Answer::LogIsFull if !self.truncate_log(for_log.at_least(MAX_READER_WAIT)) => {
                    Some("the bound is reached, and a reader keeps the log from being emptied")
                }
                _ if round > LEAST_ROUNDS && until.is_over() => {
                    Some("others took the room that was made for it")
                }
                _ => None,
            };
            if claim.answer == Answer::NoteUses {
                self.unasked(Self::flush_marks);
                eviction.has_uses = false;
            }
            match refusal {
                // A bound must not keep records that have been deleted or made invalid.
                Some(_) if need.is_due || claim.bound.0.is_none() => has_to_do = true,
                Some(message) => return Err(Error::new(ErrorKind::NoSpace, "write", message)),
                None => {}
            }
        }
        Err(Error::new(ErrorKind::NoSpace, "write", "no room could be made for the change"))
    }

    fn note(&mut self, claim: &Claim) {
        self.shared.bound.set(claim.bound);
        self.shared.marks.set_wanted(claim.is_half_full);
        if claim.evicted > 0 {
            let records = claim.evicted;
            self.shared.config.observer.tell(&DiskEvent::Evicted { records });
        }
    }

    /// Empties the log and makes it short. True if it has been emptied, here or by another process.
    /// Waits for readers and for others that empty it, but not where one log has been kept for
    /// long.
    pub(crate) fn truncate_log(&mut self, until: Until) -> bool {
        self.checkpoints.finish();
        let Some((store, connection)) = &self.open else { return true };
        let before = store.log_run();
        let is_kept_for_long = self.kept_log.is_some_and(|kept| kept.is_for_long(before));
        let is_emptied = if is_kept_for_long {
            let until = until.or_after(MIN_LOG_WAIT);
            until.wait_for(|| try_truncate(store, connection, before, Duration::ZERO)).is_some()
        } else {
            wait_and_truncate(store, connection, before, until)
        };
        let known = self.kept_log.take().filter(|kept| kept.is_still(before));
        if !is_emptied {
            self.kept_log = Some(KeptLog::tried(before, known));
        }
        is_emptied
    }
}

/// The wait for a log that has long been kept: a reader of our own may be about to end.
const MIN_LOG_WAIT: Duration = Duration::from_millis(5);
/// The least time for which a change waits for the write lock, however late it is.
const LEAST_WAIT: Duration = Duration::from_millis(100);
/// The rounds of making room that a change has at least, however long they take.
const LEAST_ROUNDS: u32 = 8;
