//! The memory backend behind gates: every call is on its way until the scheduler lets it arrive.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Backend, Capabilities, Clock as _, Codec as _, Delete, Error, ErrorKind, Incarnation, Key,
    Kind, Outcome, Page, Record, Result, Retime, StoreTime, Timestamp, Write,
};
use larder_testkit::ManualClock;

use crate::codec::MessagePack;
use crate::memory::MemoryBackend;
use crate::simulation::gate::{Gates, Order, Place};
use crate::simulation::oracle::Oracle;
use crate::support::sync::lock;

/// The time that a change may be on its way when nobody waits for it any more.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// A store that is as slow and as unlucky as the scheduler wants.
#[derive(Clone)]
pub(super) struct Remote {
    memory: MemoryBackend,
    gates: Gates,
    /// The late changes, each with the time until which it may arrive.
    late: Arc<Mutex<Vec<(Change, Timestamp)>>>,
    clock: ManualClock,
    oracle: Arc<Mutex<Oracle>>,
}

/// A change that may still arrive when nobody waits for it any more.
#[derive(Clone)]
enum Change {
    Write(Write),
    Retime(Retime),
    Delete(Delete),
}

impl Remote {
    pub(super) fn new(clock: ManualClock, gates: Gates, oracle: Arc<Mutex<Oracle>>) -> Self {
        let memory = MemoryBackend::new(Arc::new(clock.clone()));
        Self { memory, gates, late: Arc::default(), clock, oracle }
    }

    pub(super) fn memory(&self) -> &MemoryBackend {
        &self.memory
    }

    /// Returns the number of changes that may still arrive although nobody waits for them.
    pub(super) fn late(&self) -> usize {
        lock(&self.late).len()
    }

    /// Lets one of the late changes arrive.
    pub(super) async fn arrive(&self, index: usize) {
        let (change, _) = lock(&self.late).remove(index);
        drop(self.apply(&change).await);
    }

    /// Lets time pass. Changes that may not arrive later arrive before.
    pub(super) async fn pass(&self, duration: Duration) {
        let end = self.clock.now().after(duration);
        loop {
            let is_due = |(_, last): &(Change, Timestamp)| *last < end;
            let Some(index) = lock(&self.late).iter().position(is_due) else { break };
            self.arrive(index).await;
        }
        self.clock.advance(duration);
    }

    fn be_late(&self, change: Change) {
        lock(&self.late).push((change, self.clock.now().after(SETTLES_WITHIN)));
    }

    async fn apply(&self, change: &Change) -> Vec<Outcome> {
        match change {
            Change::Write(write) => {
                let outcomes = self.memory.write(std::slice::from_ref(write)).await;
                if matches!(outcomes.first(), Some(Outcome::Done)) {
                    self.tell(&write.record, Oracle::store);
                }
                outcomes
            }
            Change::Retime(retime) => {
                let outcomes = self.memory.retime(std::slice::from_ref(retime)).await;
                if let Ok(Some(record)) = self.memory.read_one(&retime.key).await
                    && matches!(outcomes.first(), Some(Outcome::Done))
                {
                    self.tell(&record, Oracle::retime);
                }
                outcomes
            }
            Change::Delete(delete) => self.memory.delete(std::slice::from_ref(delete)).await,
        }
    }

    /// Tells the oracle about a stored value.
    fn tell(&self, record: &Record, tell: impl FnOnce(&mut Oracle, u64, Timestamp)) {
        if record.header.kind == Kind::Value
            && let Ok(value) = MessagePack.decode(&record.payload)
        {
            tell(&mut lock(&self.oracle), value, self.clock.now());
        }
    }

    async fn change(&self, change: Change) -> Outcome {
        let mut sent = Sent { remote: self, change: Some(change) };
        let order = self.gates.pass(Place::Change).await;
        let Some(change) = sent.change.take() else { return Outcome::Unknown(lost()) };
        match order {
            Order::Fail => {
                let message = "the store refused the connection";
                return Outcome::Failed(Error::new(ErrorKind::Unavailable, "change", message));
            }
            Order::Late => {
                self.be_late(change);
                return Outcome::Unknown(lost());
            }
            _ => {}
        }
        let outcome = self.apply(&change).await.remove(0);
        let is_lost = order == Order::Lose
            || (order == Order::Go && self.gates.pass(Place::ChangeAnswer).await == Order::Lose);
        if is_lost { Outcome::Unknown(lost()) } else { outcome }
    }
}

/// A change on its way. A caller that gives up waiting does not call it back.
struct Sent<'a> {
    remote: &'a Remote,
    change: Option<Change>,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.change.take().into_iter().for_each(|change| self.remote.be_late(change));
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "call", "the answer was lost")
}

impl Backend for Remote {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities().with_settles_within(SETTLES_WITHIN)
    }

    /// Reads each key in a step of its own: the contract does not say that a batch is one step.
    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        let mut answers = Vec::with_capacity(keys.len());
        let mut parks = false;
        for key in keys {
            let order = self.gates.pass(Place::Read).await;
            parks |= order == Order::Go;
            answers.push(match order {
                Order::Fail | Order::Lose | Order::Late => Err(lost()),
                _ => self.memory.read_one(key).await,
            });
        }
        if parks && self.gates.pass(Place::ReadAnswer).await == Order::Lose {
            return keys.iter().map(|_| Err(lost())).collect();
        }
        answers
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            outcomes.push(self.change(Change::Write(write.clone())).await);
        }
        outcomes
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(retimes.len());
        for retime in retimes {
            outcomes.push(self.change(Change::Retime(retime.clone())).await);
        }
        outcomes
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(deletes.len());
        for delete in deletes {
            outcomes.push(self.change(Change::Delete(delete.clone())).await);
        }
        outcomes
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        self.memory.scan(prefix, cursor, limit).await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.memory.purge(limit).await
    }

    async fn clock(&self) -> Result<StoreTime> {
        self.memory.clock().await
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        self.memory.incarnation().await
    }

    async fn close(&self) -> Result<()> {
        self.memory.close().await
    }
}
