//! Changes within the bound: room is made for them, or they are refused.

use std::time::Duration;

use larder_core::{Error, ErrorKind, Result, StoreTime};
use rusqlite::Connection;

use crate::claim::{Answer, Claim, Eviction, Need, claim};
use crate::clock::coarse;
use crate::event::DiskEvent;
use crate::store::{LogRun, Store};
use crate::transaction::Broken;
use crate::wait::Until;
use crate::writer::Writer;

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
        let until = Until::after(self.patience);
        // What is due is done although the log stays as it is, so it has time left for that.
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

    /// Empties the log and makes it short; whether somebody has. Waits for readers and for others that
    /// empty it, but not where one log has been kept for long.
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
            let now = coarse();
            let since = known.map_or(now, |known| known.since);
            self.kept_log = Some(KeptLog { run: before, since, last: now });
        }
        is_emptied
    }
}

/// A log that could not be emptied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeptLog {
    run: LogRun,
    since: i64,
    /// When it was last tried in vain.
    last: i64,
}

impl KeptLog {
    /// Whether it is this log, and has been for so long that one reader must keep it. Many that read
    /// for moments keep none: while a process waits for them nobody writes, and who begins to read
    /// then does not need the log.
    fn is_for_long(self, run: LogRun) -> bool {
        self.is_still(run) && coarse() - self.since > LONG_KEPT
    }

    /// Whether nobody has emptied it since. A try of long ago says nothing about the readers of now.
    fn is_still(self, run: LogRun) -> bool {
        self.run == run && coarse() - self.last <= LONG_UNTRIED
    }
}

/// Waits for readers at times, and gives those who write as much time in between.
pub(crate) fn wait_and_truncate(
    store: &Store,
    connection: &Connection,
    before: LogRun,
    until: Until,
) -> bool {
    loop {
        let for_readers = until.left().clamp(MIN_READER_WAIT, MAX_READER_WAIT);
        let pause = || until.or_after(for_readers);
        if try_truncate(store, connection, before, for_readers).is_some()
            || pause()
                .wait_for(|| try_truncate(store, connection, before, Duration::ZERO))
                .is_some()
        {
            return true;
        }
        if until.is_over() {
            return false;
        }
    }
}

/// Empties the log, if all who read it end in this time; none if not. Somebody else may have done it.
fn try_truncate(
    store: &Store,
    connection: &Connection,
    before: LogRun,
    for_readers: Duration,
) -> Option<()> {
    let _hold = store.try_hold().ok()??;
    let _ = connection.busy_timeout(for_readers);
    let is_busy = connection.query_row(EMPTY_LOG, [], |row| row.get(0)).unwrap_or(true);
    let _ = connection.busy_timeout(Duration::ZERO);
    (!is_busy || store.log_run() != before || !store.is_current()).then_some(())
}

const EMPTY_LOG: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
/// How long nobody writes while the log's readers are waited for: more than the time for which a
/// thread has to wait for a processor.
const MAX_READER_WAIT: Duration = Duration::from_millis(200);
const MIN_READER_WAIT: Duration = Duration::from_millis(5);
/// How long a log is waited for that has long been kept: a reader of our own may be about to end.
const MIN_LOG_WAIT: Duration = Duration::from_millis(5);
/// In microseconds.
const LONG_KEPT: i64 = 2_000_000;
const LONG_UNTRIED: i64 = 10_000_000;
/// For how long a change waits for the write lock, however late it is.
const LEAST_WAIT: Duration = Duration::from_millis(100);
/// Rounds of making room that a change has, however long they take.
const LEAST_ROUNDS: u32 = 8;
