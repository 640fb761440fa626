//! The log of changes since the last save. It keeps a value from coming back after a confirmed
//! change has removed it.
//!
//! A save begins a log of its own before it reads the first entry, and the old log says that it
//! goes on there; the snapshot names its log. So all changes are found from either of the two
//! snapshots that may be there after a crash, also through logs of saves that failed. A change is
//! logged after it is made and before it is confirmed: a change that is made before a save reads
//! its entry is in the snapshot, and a change that is made after that is in the save's log or in a
//! later one.
//!
//! A change that cannot be logged makes the snapshot worthless. So the snapshot is removed, which
//! works on a full disk.

use std::io;

use larder_core::{Error, Result, Version};

use crate::snapshot::failure::of_sink;
use crate::snapshot::log::{Changes, LogRecord};
use crate::snapshot::sink::Sink;
use crate::support::sync::{Arc, Mutex, lock};
use crate::tier::message::Message;

/// The log of changes, in its sink.
pub(super) struct Journal {
    sink: Arc<dyn Sink>,
    state: Mutex<State>,
    /// The greatest length of a log, in bytes.
    limit: u64,
}

/// The reason to log changes, or not to.
enum State {
    /// There is no snapshot that a change could make wrong.
    Idle,
    /// There is a snapshot with its log.
    Open(Open),
    /// There is a snapshot whose log says that all entries are gone.
    Spent,
    /// There is a snapshot that changes cannot be logged beside, and no change has been made since.
    /// The next snapshot may be under way, with this log.
    Sealed(Option<u128>),
    /// There may be a snapshot, and its log cannot be relied on.
    Lost,
}

struct Open {
    log: u128,
    /// The bytes of the log's records, its beginning left out.
    bytes: u64,
    /// The bytes of the logs that go on in this one, of saves that failed.
    before: u64,
}

impl Open {
    fn begin(log: u128, before: u64) -> Self {
        Self { log, bytes: 0, before }
    }

    fn length(&self) -> u64 {
        self.bytes + self.before
    }
}

/// The result of logging changes.
#[derive(Debug)]
pub(super) struct Noted {
    /// The error, if there was one.
    pub(super) failure: Option<Error>,
    /// True if an older value may come back all the same.
    pub(super) is_lost: bool,
    /// True if the log is so long that a save is due.
    pub(super) is_long: bool,
}

impl Noted {
    /// A result that needs no report.
    pub(super) const fn none() -> Self {
        Self { failure: None, is_lost: false, is_long: false }
    }

    pub(super) const fn lost(error: Error) -> Self {
        Self { failure: Some(error), is_lost: true, is_long: false }
    }

    /// Adds the result of later changes.
    pub(super) fn add(&mut self, later: Self) {
        self.failure = later.failure.or(self.failure.take());
        self.is_lost |= later.is_lost;
        self.is_long |= later.is_long;
    }
}

impl Journal {
    /// A journal without a snapshot.
    pub(super) fn idle(sink: Arc<dyn Sink>) -> Self {
        Self { sink, state: Mutex::new(State::Idle), limit: LIMIT as u64 }
    }

    /// A journal beside a snapshot without a log, or beside one that could not be restored and may
    /// be another time. The first change removes that snapshot, or the next save replaces it.
    pub(super) fn sealed(sink: Arc<dyn Sink>) -> Self {
        Self { sink, state: Mutex::new(State::Sealed(None)), limit: LIMIT as u64 }
    }

    /// A journal beside a snapshot with this log, which contains these changes.
    ///
    /// The log may go on in others. Their processes may live, or be gone with a save that failed.
    /// The changes from here on are found from the snapshot's own log.
    pub(super) fn after(sink: Arc<dyn Sink>, log: u128, changes: &Changes) -> Self {
        let open = Open { log, bytes: changes.length, before: 0 };
        let state = if changes.is_torn { State::Sealed(None) } else { State::Open(open) };
        Self { sink, state: Mutex::new(state), limit: LIMIT as u64 }
    }

    #[cfg(test)]
    fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// True if an append may wait for a device.
    pub(super) fn waits(&self) -> bool {
        self.sink.waits()
    }

    /// True if a change that has been made surely need not be logged. Waits for nothing.
    pub(super) fn is_needless(&self) -> bool {
        let state = self.state.try_lock();
        state.is_ok_and(|state| matches!(*state, State::Idle | State::Spent))
    }

    /// Logs changes that have been made, by their records.
    pub(super) fn note(&self, records: &[u8]) -> Noted {
        let mut state = lock(&self.state);
        let open = match &mut *state {
            State::Idle | State::Spent => return Noted::none(),
            State::Lost | State::Sealed(_) => return self.lose(&mut state, None),
            State::Open(open) => open,
        };
        let was_long = open.length() > self.limit / 2;
        let is_spent = open.length() + records.len() as u64 > self.limit;
        let all = is_spent.then(|| LogRecord::Change(Message::All).bytes());
        let records = all.as_deref().unwrap_or(records);
        if let Err(error) = self.sink.append(&name(open.log), records) {
            // A process that has removed the log has removed its snapshot too, or replaced it: that
            // is no failure, but the present snapshot knows nothing of this change.
            let is_failure = error.kind() != io::ErrorKind::NotFound;
            let failure = is_failure.then(|| of_sink("note", error));
            return self.lose(&mut state, failure);
        }
        open.bytes += records.len() as u64;
        let is_long = !was_long && open.length() > self.limit / 2;
        if is_spent {
            *state = State::Spent;
        }
        Noted { is_long, ..Noted::none() }
    }

    /// Returns the log of a save: a new one, in which the present log goes on, or the present one
    /// if no change is in it. So saves that fail leave no more logs behind than there are changes.
    ///
    /// # Errors
    /// The sink's error, if the log cannot be written.
    pub(super) fn turn(&self) -> Result<u128> {
        let failed = |error| of_sink("save", error);
        let mut state = lock(&self.state);
        let (old, is_empty, before) = match &*state {
            State::Open(open) => (Some(open.log), open.bytes == 0, open.length() + EMPTY_LOG),
            State::Sealed(begun) => (*begun, true, 0),
            State::Idle => (None, false, 0),
            State::Spent | State::Lost => {
                self.sink.clear().map_err(failed)?;
                *state = State::Idle;
                (None, false, 0)
            }
        };
        if let Some(old) = old.filter(|_| is_empty)
            && self.append(old, &[]).map_err(failed)?
        {
            return Ok(old);
        }
        let log = u128::from_be_bytes(Version::next().to_bytes());
        self.sink.begin(&name(log), &LogRecord::Begin.bytes()).map_err(failed)?;
        if let Some(old) = old
            && let Err(error) = self.append(old, &LogRecord::GoOn(&name(log)).bytes())
        {
            self.lose(&mut state, None);
            return Err(failed(error));
        }
        *state = match *state {
            // Until the next snapshot is there, the present one is not beside the log.
            State::Sealed(_) => State::Sealed(Some(log)),
            _ => State::Open(Open::begin(log, before)),
        };
        Ok(log)
    }

    /// Marks the snapshot that names this log as saved. True if the log is still good.
    pub(super) fn settle(&self, log: u128) -> bool {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Open(open) if open.log == log => {
                open.before = 0;
                true
            }
            State::Sealed(Some(begun)) if *begun == log => {
                *state = State::Open(Open::begin(log, 0));
                true
            }
            // The log says that all entries are gone: no wrong value can come back.
            State::Spent => true,
            _ => false,
        }
    }

    /// Appends to a log. True if the log is there. A snapshot whose log is gone is worth nothing:
    /// it needs no link to another log.
    fn append(&self, log: u128, bytes: &[u8]) -> io::Result<bool> {
        match self.sink.append(&name(log), bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the snapshot that a change has made wrong because it could not be logged.
    fn lose(&self, state: &mut State, failure: Option<Error>) -> Noted {
        match self.sink.clear() {
            Ok(()) => {
                *state = State::Idle;
                Noted { failure, ..Noted::none() }
            }
            Err(error) => {
                *state = State::Lost;
                let failure = failure.or_else(|| Some(of_sink("note", error)));
                Noted { failure, is_lost: true, is_long: false }
            }
        }
    }
}

/// Returns a log's name.
pub(super) fn name(log: u128) -> String {
    format!("{log:032x}")
}

/// The greatest length of a log: sixteen mebibytes.
pub(super) const LIMIT: usize = 16 << 20;

/// The space of a log on most disks, however short it is.
const EMPTY_LOG: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{self, Cursor, Read, Write};

    use super::{EMPTY_LOG, Journal, name};
    use crate::snapshot::log::{Changes, Fate, LogRecord};
    use crate::snapshot::sink::Sink;
    use crate::support::sync::{Arc, Mutex, lock};
    use crate::tier::message::Message;

    /// A sink that stores logs alone.
    #[derive(Default)]
    struct Logs(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Sink for Logs {
        fn read(&self) -> io::Result<Option<Box<dyn Read + Send>>> {
            Ok(None)
        }

        fn replace(
            &self,
            _: Option<&str>,
            _: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
        ) -> io::Result<()> {
            Ok(())
        }

        fn read_log(&self, log: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
            let bytes = lock(&self.0).get(log).cloned();
            Ok(bytes.map(|bytes| Box::new(Cursor::new(bytes)) as _))
        }

        fn begin(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
            lock(&self.0).insert(log.to_owned(), bytes.to_vec());
            Ok(())
        }

        fn append(&self, log: &str, bytes: &[u8]) -> io::Result<()> {
            lock(&self.0).get_mut(log).ok_or(io::ErrorKind::NotFound)?.extend_from_slice(bytes);
            Ok(())
        }

        fn clear(&self) -> io::Result<()> {
            lock(&self.0).clear();
            Ok(())
        }
    }

    fn fates(logs: &Logs, log: u128) -> [Fate; 3] {
        let changes = Changes::read(logs, name(log)).unwrap().unwrap();
        ["a", "b", "c"].map(|key| changes.fate(key, &[]))
    }

    #[test]
    fn changes_during_a_save_are_found_from_the_old_snapshot_and_from_the_new() {
        let logs = Arc::new(Logs::default());
        let journal = Journal::idle(logs.clone());
        journal.note(&LogRecord::Change(Message::Key("b")).bytes());
        assert!(lock(&logs.0).is_empty(), "there is no snapshot that it could make wrong");
        let old = journal.turn().unwrap();
        assert!(journal.settle(old));
        journal.note(&LogRecord::Change(Message::Key("a")).bytes());
        let new = journal.turn().unwrap();
        journal.note(&LogRecord::Change(Message::StaleKey("b")).bytes());
        assert_eq!(fates(&logs, old), [Fate::Gone, Fate::Stale, Fate::Kept]);
        assert_eq!(fates(&logs, new), [Fate::Kept, Fate::Stale, Fate::Kept]);
        // The save fails, and another begins.
        let newer = journal.turn().unwrap();
        journal.note(&LogRecord::Change(Message::Key("c")).bytes());
        assert_eq!(fates(&logs, old), [Fate::Gone, Fate::Stale, Fate::Gone]);
        assert_eq!(fates(&logs, newer), [Fate::Kept, Fate::Kept, Fate::Gone]);
    }

    #[test]
    fn a_log_that_becomes_too_long_says_that_all_is_gone() {
        let logs = Arc::new(Logs::default());
        let journal = Journal::idle(logs.clone()).with_limit(200);
        let log = journal.turn().unwrap();
        journal.settle(log);
        let warnings = (0..100)
            .filter(|_| journal.note(&LogRecord::Change(Message::Key("a")).bytes()).is_long)
            .count();
        assert!(warnings > 0);
        assert_eq!(fates(&logs, log), [Fate::Gone; 3]);
        assert!(lock(&logs.0).values().all(|log| log.len() < 250));
        let next = journal.turn().unwrap();
        assert_eq!(fates(&logs, next), [Fate::Kept; 3]);
    }

    #[test]
    fn saves_that_fail_leave_as_many_logs_as_their_limit_allows() {
        let logs = Arc::new(Logs::default());
        let journal = Journal::idle(logs.clone()).with_limit(10 * EMPTY_LOG);
        let log = journal.turn().unwrap();
        assert!(journal.settle(log));
        for _ in 0..100 {
            assert_eq!(journal.turn().unwrap(), log, "nothing has been noted in it");
        }
        let mut most = 0;
        for _ in 0..100 {
            journal.note(&LogRecord::Change(Message::Key("a")).bytes());
            journal.turn().unwrap();
            most = most.max(lock(&logs.0).len());
        }
        assert_eq!(most, 11);
    }

    #[test]
    fn what_was_restored_without_a_log_is_kept_until_the_next_is_there() {
        let logs = Arc::new(Logs::default());
        logs.begin("another's", &[]).unwrap();
        let journal = Journal::sealed(logs.clone());
        let log = journal.turn().unwrap();
        assert_eq!(journal.turn().unwrap(), log, "the first save failed");
        assert!(lock(&logs.0).contains_key("another's"), "it was not cleared");
        assert!(journal.settle(log));
        journal.note(&LogRecord::Change(Message::Key("a")).bytes());
        assert_eq!(fates(&logs, log), [Fate::Gone, Fate::Kept, Fate::Kept]);

        let journal = Journal::sealed(logs.clone());
        let log = journal.turn().unwrap();
        assert!(!journal.note(&LogRecord::Change(Message::Key("a")).bytes()).is_lost);
        assert!(lock(&logs.0).is_empty(), "a change takes it away");
        assert!(!journal.settle(log));
    }

    #[test]
    fn a_log_that_is_torn_or_missing_is_not_appended_to() {
        let logs = Arc::new(Logs::default());
        let journal = Journal::idle(logs.clone());
        let log = journal.turn().unwrap();
        journal.note(&LogRecord::Change(Message::Key("a")).bytes());
        let torn = LogRecord::Change(Message::Key("b")).bytes();
        logs.append(&name(log), &torn[..torn.len() - 1]).unwrap();
        let changes = Changes::read(&*logs, name(log)).unwrap().unwrap();
        assert!(changes.is_torn);
        assert_eq!(changes.fate("a", &[]), Fate::Gone);
        let next = Journal::after(logs.clone(), log, &changes);
        assert!(next.note(&LogRecord::Change(Message::Key("c")).bytes()).failure.is_none());
        assert!(
            Changes::read(&*logs, name(log)).unwrap().is_none(),
            "the snapshot is removed instead"
        );
    }
}
