//! The queue of changes that are to be written into the log.
//!
//! Where an append waits for a device, a thread makes it, and no task waits with its own thread.
//! Changes that arrive while one append is under way are written by the next, all at once. A caller
//! is told that its change is confirmed when the append that has its change is done.

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder_core::{Error, Result};

use crate::snapshot::journal::{Journal, LIMIT, Noted};
use crate::snapshot::log::LogRecord;
use crate::support::park::block_on;
use crate::support::runtime::Notify;
use crate::support::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, lock, thread};
use crate::tier::message::{Message, Text};

/// The log, and the changes that are still to be written into it.
pub(super) struct Notes {
    queue: Arc<Queue>,
}

/// A change that is in the log, or will be.
#[derive(Debug)]
#[must_use = "a change is confirmed when its note is written"]
pub(super) enum Ticket {
    Written(Noted),
    /// The change is in the append of this number.
    Queued(u64),
}

impl Ticket {
    /// The ticket of a change that need not be logged.
    const fn needless() -> Self {
        Self::Written(Noted::none())
    }
}

struct Queue {
    journal: Journal,
    state: Mutex<State>,
    /// Wakes the thread: there are records to write, or there never will be again.
    filled: Condvar,
    written: Notify,
}

struct State {
    /// Records that are in no append yet, one after the other. Never longer than a log may be.
    records: Vec<u8>,
    /// The number of the append that will write them.
    next: u64,
    /// The last append that is done.
    written: u64,
    /// The last append after which an older value may come back.
    lost: u64,
    /// A result that nobody has been told yet.
    untold: Noted,
    /// The process that runs the thread.
    runs_in: Option<u32>,
    has_ended: bool,
}

impl State {
    /// Takes over in a forked child, which has the queue of its parent and not the thread. The
    /// parent writes the records that its thread was writing.
    fn take_over(&mut self, pid: u32) {
        if self.runs_in.is_some_and(|runs_in| runs_in != pid) {
            self.runs_in = None;
            self.written = self.next - 1;
            self.lost = self.written;
        }
    }
}

impl Notes {
    pub(super) fn new(journal: Journal) -> Self {
        let state = State {
            records: Vec::new(),
            next: 1,
            written: 0,
            lost: 0,
            untold: Noted::none(),
            runs_in: None,
            has_ended: false,
        };
        let (filled, written) = (Condvar::new(), Notify::new());
        Self { queue: Arc::new(Queue { journal, state: Mutex::new(state), filled, written }) }
    }

    /// Logs a change that has been made, now or with the next append.
    pub(super) fn note(&self, change: Text<'_>) -> Ticket {
        let queue = &self.queue;
        let record = LogRecord::Change(change).bytes();
        if !queue.journal.waits() {
            return Ticket::Written(queue.journal.note(&record));
        }
        if queue.journal.is_needless() {
            return Ticket::needless();
        }
        let pid = std::process::id();
        let mut state = lock(&queue.state);
        state.take_over(pid);
        if state.records.len() + record.len() > LIMIT {
            state.records = LogRecord::Change(Message::All).bytes();
        } else {
            state.records.extend_from_slice(&record);
        }
        let number = state.next;
        if state.runs_in.is_some() || self.start() {
            state.runs_in = Some(pid);
            queue.filled.notify_one();
        } else {
            // Without a thread the caller that makes a change waits.
            drop(queue.write(state));
        }
        Ticket::Queued(number)
    }

    /// Waits until the change is logged. Returns the result.
    pub(super) async fn noted(&self, ticket: Ticket) -> Noted {
        match ticket {
            Ticket::Written(noted) => noted,
            Ticket::Queued(number) => self.queue.done(number).await,
        }
    }

    /// Returns the log of a save, which begins when all earlier changes are in the old log.
    ///
    /// # Errors
    /// The sink's error, if the log cannot be written.
    pub(super) fn turn(&self) -> Result<u128> {
        let mut state = lock(&self.queue.state);
        state.take_over(std::process::id());
        if state.runs_in.is_none() && !state.records.is_empty() {
            state = self.queue.write(state);
        }
        // An append that is under way has all changes except those that wait for the next.
        let last = if state.records.is_empty() { state.next - 1 } else { state.next };
        drop(state);
        block_on(self.queue.wait(last));
        self.queue.journal.turn()
    }

    /// Marks the snapshot that names this log as saved. True if the log is still good.
    pub(super) fn settle(&self, log: u128) -> bool {
        self.queue.journal.settle(log)
    }

    fn start(&self) -> bool {
        let queue = Arc::clone(&self.queue);
        let name = "larder-notes".to_owned();
        thread::Builder::new().name(name).spawn(move || queue.run()).is_ok()
    }
}

impl Queue {
    /// Writes the queued changes until there are none, and never will be again.
    fn run(&self) {
        let mut state = lock(&self.state);
        loop {
            if !state.records.is_empty() {
                state = self.write(state);
            } else if state.has_ended {
                return;
            } else {
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Writes the queued changes with one append.
    fn write<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let records = std::mem::take(&mut state.records);
        let number = state.next;
        state.next += 1;
        drop(state);
        let write = AssertUnwindSafe(|| self.journal.note(&records));
        let panicked = |_| Noted::lost(Error::panicked("note"));
        let noted = catch_unwind(write).unwrap_or_else(panicked);
        let mut state = lock(&self.state);
        state.written = state.written.max(number);
        if noted.is_lost {
            state.lost = state.lost.max(number);
        }
        state.untold.add(noted);
        self.written.notify_waiters();
        state
    }

    /// Waits for an append. Returns its result, with the results of others that nobody waited for.
    async fn done(&self, number: u64) -> Noted {
        self.wait(number).await;
        let mut state = lock(&self.state);
        let is_lost = state.lost >= number;
        Noted { is_lost, ..std::mem::replace(&mut state.untold, Noted::none()) }
    }

    async fn wait(&self, number: u64) {
        loop {
            let written = self.written.notified();
            if lock(&self.state).written >= number {
                return;
            }
            written.await;
        }
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        lock(&self.queue.state).has_ended = true;
        self.queue.filled.notify_one();
    }
}
