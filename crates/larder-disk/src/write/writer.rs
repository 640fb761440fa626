//! The one thread that writes: changes asked for at once become one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use larder_core::{Error, ErrorKind, Key, Outcome, Result, StoreTime};
use rusqlite::Connection;

use crate::bound::claim::Need;
use crate::error::{damage, is_busy, is_damage, is_full, of_sqlite};
use crate::event::DiskEvent;
use crate::record::change::drop_damaged;
use crate::shared::Shared;
use crate::shared::job::Job;
use crate::shared::queue::Taken;
use crate::store::Store;
use crate::store::transaction::{Broken, finish};
use crate::store::wal::{KeptLog, empty_log};
use crate::time::clock::{coarse, exact};
use crate::time::wait::{Until, pause};
use crate::write::call::{Call, Item, apply, fail};
use crate::write::checkpoint::{Checkpoints, wait_and_truncate};
use crate::write::space::DiskSpace;

/// The thread's own state.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) open: Option<(Arc<Store>, Connection)>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) space: DiskSpace,
    /// The longest wait of a change for others.
    pub(crate) patience: Duration,
    /// The log that could not be emptied, and the time since when.
    pub(crate) kept_log: Option<KeptLog>,
    /// True if all of the log is in the database, and nothing has been written since.
    pub(crate) is_log_empty: bool,
    /// The time at which this process began to write without a pause for others.
    turn_began: Option<i64>,
    /// The time of the last upkeep.
    tidied: i64,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            patience: shared.config.busy_timeout,
            shared,
            open: None,
            checkpoints: Checkpoints::default(),
            space: DiskSpace::default(),
            kept_log: None,
            is_log_empty: false,
            turn_began: None,
            tidied: coarse(),
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        loop {
            match self.shared.writes.take(self.shared.config.purge_every) {
                Taken::Jobs(jobs, weight) => {
                    self.guarded(|writer| writer.work(jobs));
                    self.shared.writes.done(weight);
                }
                Taken::Idle => {}
                Taken::Closed => break,
            }
            // The upkeep is also done where changes never end.
            let every = self.shared.config.purge_every.map(|every| every.as_micros());
            if every.is_some_and(|every| i128::from(coarse() - self.tidied) >= every.cast_signed())
            {
                self.guarded(|writer| writer.unasked(Self::tidy));
                self.tidied = coarse();
            }
        }
        self.guarded(|writer| writer.unasked(Self::tidy_at_the_end));
        self.checkpoints.finish();
    }

    /// Catches a panic, of a callback for events say, so that no caller waits for ever.
    fn guarded(&mut self, run: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| run(self))).is_err() {
            self.open = None;
            self.patience = self.shared.config.busy_timeout;
        }
    }

    /// True if the store is in its folder. A store that has been removed is made anew for a
    /// caller's call, but not for upkeep.
    pub(crate) fn is_present(&self) -> bool {
        self.shared.present("purge").is_ok_and(|store| store.is_current())
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let (mut calls, mut items) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Changes(changes, asked, answer) => {
                    let (call, count) = (calls.len(), changes.len());
                    calls.push(Call { count, answer });
                    let item = |change| Item { call, change, asked, outcome: None };
                    items.extend(changes.into_iter().map(item));
                }
                // Changes that were asked for before this job are made before it.
                Job::Purge(limit, answer) => {
                    self.answer(&mut calls, &mut items);
                    if !answer.is_closed() {
                        let _ = answer.send(self.purge(limit));
                    }
                }
                Job::Tidy => {
                    self.answer(&mut calls, &mut items);
                    self.unasked(Self::tidy);
                }
                Job::Uses => {
                    self.answer(&mut calls, &mut items);
                    self.unasked(Self::flush_marks);
                }
                Job::DropDamaged(id, key) => {
                    self.answer(&mut calls, &mut items);
                    self.unasked(|writer| writer.drop_damaged(id, &key));
                }
                Job::Check(store, error, answer) => {
                    self.answer(&mut calls, &mut items);
                    let _ = answer.send(self.check(&store, error));
                }
            }
        }
        self.answer(&mut calls, &mut items);
    }

    /// Makes all changes, and sends each caller the outcomes of its own.
    fn answer(&mut self, calls: &mut Vec<Call>, items: &mut Vec<Item>) {
        let max = self.shared.bound.get().transaction_bytes();
        let mut rest = &mut items[..];
        while !rest.is_empty() {
            let connection = self.open.as_ref().map(|(_, connection)| connection);
            let mut need = Need::due(0);
            let mut fits = |item: &Item| {
                need = need.and(item.change.need_in(connection));
                need.log_bytes() <= max
            };
            let count = rest.iter().take(MAX_CHANGES).take_while(|item| fits(item)).count();
            let (now, later) = rest.split_at_mut(count.max(1));
            self.group(calls, now);
            rest = later;
        }
        let mut outcomes = items.drain(..).map(|item| item.outcome);
        for Call { count, answer } in calls.drain(..) {
            let lost = || Outcome::Failed(Error::new(ErrorKind::Unavailable, "write", "not done"));
            let own = outcomes.by_ref().take(count).map(|outcome| outcome.unwrap_or_else(lost));
            // The caller may have gone.
            let _ = answer.send(own.collect());
        }
    }

    /// Makes changes in one transaction. If that fails, each in its own, so that a change that
    /// cannot be stored harms no other.
    fn group(&mut self, calls: &[Call], items: &mut [Item]) {
        // Without a waiting caller no room is made, and no lock is waited for.
        if !items.iter().any(|item| item.is_waited_for(calls)) {
            return;
        }
        let bytes = items.iter().map(|item| item.change.bytes()).sum::<usize>();
        self.checkpoints.note(items.len(), bytes);
        if self.checkpoints.is_due(self.shared.bound.get()) {
            self.empty_log();
        }
        match self.attempt(calls, items, bytes) {
            Ok(Ok(())) => {}
            Ok(Err(Broken::Undone(error))) if items.len() == 1 || is_busy(&error) => {
                fail(items, Outcome::Failed, &of_sqlite("write", error));
            }
            Ok(Err(Broken::Undone(_))) => self.each_alone(calls, items),
            Ok(Err(Broken::Unclear(error))) => {
                fail(items, Outcome::Unknown, &of_sqlite("write", error));
            }
            // Deletes need no room of their own.
            Err(error) if error.kind() == ErrorKind::NoSpace && items.len() > 1 => {
                self.each_alone(calls, items);
            }
            Err(error) => fail(items, Outcome::Failed, &error),
        }
    }

    fn each_alone(&mut self, calls: &[Call], items: &mut [Item]) {
        for item in items {
            self.group(calls, std::slice::from_mut(item));
        }
    }

    fn attempt(
        &mut self,
        calls: &[Call],
        items: &mut [Item],
        bytes: usize,
    ) -> Result<Result<(), Broken>> {
        match self.make_room_on_disk(bytes as u64) {
            // Deletes need no room here: their room on the disk is reserved.
            Err(_) if bytes == 0 => {}
            made => made?,
        }
        let mut done = self.apply(calls, items)?;
        let ran_out = matches!(&done, Err(Broken::Undone(error)) if is_full(error));
        if bytes == 0 && ran_out && self.open()?.0.give_up_reserve() {
            self.empty_log_now();
            done = self.apply(calls, items)?;
        }
        if done.is_ok() && self.space.is_scarce() {
            self.empty_log_now();
        }
        Ok(done)
    }

    fn apply(&mut self, calls: &[Call], items: &mut [Item]) -> Result<Result<(), Broken>> {
        let connection = self.open.as_ref().map(|(_, connection)| connection);
        let needs = items.iter().map(|item| item.change.need_in(connection));
        let need = needs.fold(Need::due(0), Need::and);
        self.within_bound(&need, |connection, now| apply(calls, items, connection, now))
    }

    /// Runs a transaction in the present database. Runs it once more if the database is damaged, in
    /// the next one, or if the disk is full, after the log is emptied.
    pub(crate) fn transaction<T>(
        &mut self,
        until: Until,
        mut run: impl FnMut(&Connection, StoreTime) -> rusqlite::Result<T>,
    ) -> Result<Result<T, Broken>> {
        self.is_log_empty = false;
        self.give_way();
        for is_last in [false, true] {
            let (store, connection) = self.open()?;
            let done = match store.begin(connection, until)? {
                Ok(Some(_hold)) => {
                    Some(finish(connection, |connection| run(connection, store.clock.now())))
                }
                Ok(None) => None,
                Err(error) => Some(Err(Broken::Undone(error))),
            };
            let Some(done) = done else {
                self.open = None;
                continue;
            };
            match done {
                Err(Broken::Undone(error)) if is_damage(&error) && !is_last => {
                    let store = Arc::clone(store);
                    self.check(&store, Some(error))?;
                }
                // The changes may be stored. A second try would be judged by the result of the
                // first.
                Err(Broken::Unclear(error)) if is_damage(&error) => {
                    let store = Arc::clone(store);
                    let _ = self.check(&store, Some(damage()));
                    return Ok(Err(Broken::Unclear(error)));
                }
                Err(Broken::Undone(error)) if is_full(&error) && !is_last => {
                    // The log keeps the room of undone changes until it is emptied.
                    wait_and_truncate(store, connection, store.log_run(), until);
                }
                done => {
                    self.checkpoints.note(1, 0);
                    return Ok(done);
                }
            }
        }
        let message = "the database was replaced at every try";
        Err(Error::new(ErrorKind::Unavailable, "write", message))
    }

    /// Lets others write first, if some wait and this process has written for a while.
    fn give_way(&mut self) {
        let now = exact();
        let began = *self.turn_began.get_or_insert(now);
        if now - began < TURN {
            return;
        }
        if let Some((store, _)) = &self.open
            && store.queue.is_awaited()
        {
            pause(GIVEN_WAY);
        }
        self.turn_began = None;
    }

    /// Moves the log's content into the database, as far as readers and the disk allow it. The log
    /// keeps its length, for later changes.
    fn empty_log_now(&mut self) {
        let Some((_, connection)) = &self.open else { return };
        self.is_log_empty = empty_log(connection).unwrap_or(false);
    }

    /// Returns the present database and the connection that writes into it.
    pub(crate) fn open(&mut self) -> Result<(&Arc<Store>, &Connection)> {
        let present = self.shared.present("write")?;
        let is_open = self.open.as_ref().is_some_and(|(store, _)| Arc::ptr_eq(store, &present));
        if !is_open || !present.is_current() {
            self.open = None;
            let store = self.shared.replace("write", &present)?;
            let opened = store.writer(&self.shared.config, self.shared.bound.get());
            let connection = opened.map_err(|error| of_sqlite("write", error))?;
            self.open = Some((store, connection));
        }
        let open = self.open.as_ref().map(|(store, connection)| (store, connection));
        open.ok_or_else(|| Error::new(ErrorKind::Unavailable, "write", "the database is not open"))
    }

    /// Opens the database in the folder, if that is not this store, or this store is damaged.
    fn check(&mut self, store: &Arc<Store>, error: Option<rusqlite::Error>) -> Result<()> {
        self.open = None;
        if let Some(error) = error.filter(|_| store.is_current()) {
            let config = self.shared.config.again(self.shared.bound.get());
            store.on_damage(&config, error)?;
        }
        self.shared.replace("read", store).map(drop)
    }

    fn drop_damaged(&mut self, id: i64, key: &Key) {
        let dropped = self.upkeep("read", 1, |connection, _| drop_damaged(connection, id, key));
        if matches!(dropped, Ok(true)) {
            self.shared.config.observer.tell(&DiskEvent::Damaged);
        }
    }

    /// Runs a transaction of upkeep that changes this many records and frees, or hardly grows. The
    /// transaction can wait, and a sure failure and a possible one are the same to its caller.
    pub(crate) fn upkeep<T>(
        &mut self,
        operation: &'static str,
        records: u64,
        run: impl FnMut(&Connection, StoreTime) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let done = self.within_bound(&Need::upkeep(records), run)?;
        done.map_err(|broken| of_sqlite(operation, broken.error()))
    }
}

/// The most changes in one transaction: others must not wait for long.
const MAX_CHANGES: usize = 4_096;
/// Microseconds for which a process writes before it checks whether others wait.
const TURN: i64 = 10_000;
/// A pause that is long enough for waiting processes to look once or twice.
const GIVEN_WAY: Duration = Duration::from_millis(2);
