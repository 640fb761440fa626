//! A backend on which the next changes fail as the test says.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use larder::backend::{
    AnyBackend, Backend, Capabilities, Class, Delete, Error, ErrorKind, Expect, Incarnation, Key,
    NEVER, Namespace, Outcome, Page, Record, Result, Retime, StoreTime, Times, Write,
};
use larder::ops::{Counter, Swap};
use larder_test_support::Rig;
use larder_testkit::{ManualClock, block_on};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const ENDLESS: Times = Times::new(NEVER, NEVER);

/// The fate of the next change.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The change is applied, and the answer is lost.
    LostAnswer,
    /// The change never arrives, which is noticed after half a second.
    LostRequest,
    /// The change is applied and replaced by another, and the answer is lost.
    LostAndReplaced,
    /// The change is refused, as if another caller had been faster.
    Refused,
    /// The change takes a second, half of it before it is applied.
    Slow,
}

#[derive(Clone)]
pub(crate) struct Faulty {
    inner: AnyBackend,
    pub(crate) clock: ManualClock,
    pub(crate) faults: Arc<Mutex<VecDeque<Fault>>>,
    is_conditional: bool,
    pub(crate) rig: Rig,
}

impl Faulty {
    /// A faulty backend over memory.
    pub(crate) fn new() -> Self {
        Self::over(Rig::shared())
    }

    /// A faulty backend over each store.
    pub(crate) fn on_each() -> [Self; 2] {
        Rig::with_store().map(Self::over)
    }

    fn over(rig: Rig) -> Self {
        let (inner, clock) = (rig.store().inner().clone(), rig.clock.clone());
        Self { inner, clock, faults: Arc::default(), is_conditional: true, rig }
    }

    pub(crate) fn without_conditional() -> Self {
        Self { is_conditional: false, ..Self::new() }
    }

    pub(crate) fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub(crate) fn swap(&self) -> Swap<Self> {
        Swap::new(self.clone(), Arc::new(self.clock.clone()))
    }

    pub(crate) fn counter(&self, times: Times) -> Counter<Self> {
        Counter::new(self.swap(), key(), times)
    }

    pub(crate) fn put(&self, record: Record) {
        let write = Write { key: key(), record, expect: Expect::Any };
        assert!(block_on(self.inner.write(&[write])).remove(0).is_done());
    }

    pub(crate) fn there(&self) -> Option<Record> {
        block_on(self.inner.read_one(&key())).unwrap()
    }

    async fn change(&self, apply: impl Future<Output = Vec<Outcome>>) -> Vec<Outcome> {
        let fault = self.faults.lock().unwrap().pop_front();
        let lost = || vec![Outcome::Unknown(Error::new(ErrorKind::Timeout, "test", "lost"))];
        match fault {
            None => apply.await,
            Some(Fault::LostRequest) => {
                self.clock.advance(SECOND / 2);
                lost()
            }
            Some(Fault::LostAnswer) => {
                apply.await;
                lost()
            }
            Some(Fault::LostAndReplaced) => {
                apply.await;
                self.put(Record::counter(1_000, ENDLESS));
                lost()
            }
            Some(Fault::Refused) => vec![Outcome::Refused(None)],
            Some(Fault::Slow) => {
                self.clock.advance(SECOND / 2);
                let outcomes = apply.await;
                self.clock.advance(SECOND / 2);
                outcomes
            }
        }
    }
}

impl Backend for Faulty {
    fn capabilities(&self) -> Capabilities {
        let capabilities = self.inner.capabilities();
        if self.is_conditional { capabilities } else { capabilities.without_conditional() }
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        self.inner.read(keys).await
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        self.change(self.inner.write(writes)).await
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        self.change(self.inner.retime(retimes)).await
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        self.change(self.inner.delete(deletes)).await
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        self.inner.scan(prefix, cursor, limit).await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.inner.purge(limit).await
    }

    async fn clock(&self) -> Result<StoreTime> {
        self.inner.clock().await
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        self.inner.incarnation().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

pub(crate) fn key() -> Key {
    Key::new(&Namespace::new("shop").unwrap(), Class::Entry, b"soup")
}

pub(crate) fn value(text: &'static str, times: Times) -> Record {
    Record::value(Bytes::from_static(text.as_bytes()), times)
}

pub(crate) fn life(fresh_for: u32, kept_for: u32) -> Times {
    Times::new(SECOND * fresh_for, SECOND * kept_for)
}

/// Runs to the end, moving the time on by a millisecond whenever the future sleeps.
pub(crate) fn run<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => return output,
            Poll::Pending if clock.sleepers() > 0 => clock.advance(Duration::from_millis(1)),
            Poll::Pending => std::thread::yield_now(),
        }
    }
}
