//! The calls, with the faults they meet.

use bytes::Bytes;
use larder_core::{
    Backend, Capabilities, Delete, Error, ErrorKind, Incarnation, Key, Outcome, Page, Record,
    Result, Retime, StoreTime, Write,
};

use super::change::Change;
use super::control::Hit;
use super::{Fault, Faulty, Operation};

#[deny(clippy::missing_trait_methods, reason = "a wrapper passes everything through")]
impl<B: Backend> Backend for Faulty<B> {
    fn capabilities(&self) -> Capabilities {
        let capabilities = self.inner().capabilities();
        match self.0.control.settles_within() {
            Some(duration) => capabilities.with_settles_within(duration),
            None => capabilities,
        }
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        let Some(hit) = self.0.control.begin(Operation::Read, keys) else {
            return self.inner().read(keys).await;
        };
        self.wait_before(&hit).await;
        let mut answers = self.inner().read(keys).await;
        if hit.fault == Fault::Duplicate {
            drop(self.inner().read(keys).await);
        }
        self.wait_after(&hit).await;
        for (answer, _) in answers.iter_mut().zip(&hit.chosen).filter(|(_, chosen)| **chosen) {
            spoil_read(hit.fault, answer);
        }
        answers
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Record>> {
        let Some(hit) = self.0.control.begin(Operation::Read, std::slice::from_ref(key)) else {
            return self.inner().read_one(key).await;
        };
        self.wait_before(&hit).await;
        let mut answer = self.inner().read_one(key).await;
        if hit.fault == Fault::Duplicate {
            drop(self.inner().read_one(key).await);
        }
        self.wait_after(&hit).await;
        spoil_read(hit.fault, &mut answer);
        answer
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        self.change(writes).await
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        self.change(retimes).await
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        self.change(deletes).await
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        let hit = self.before(Operation::Scan).await?;
        if is_twice(hit.as_ref()) {
            drop(self.inner().scan(prefix, cursor.clone(), limit).await);
        }
        self.after(hit, self.inner().scan(prefix, cursor, limit).await).await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        let hit = self.before(Operation::Purge).await?;
        let answer = self.inner().purge(limit).await;
        if is_twice(hit.as_ref()) {
            drop(self.inner().purge(limit).await);
        }
        self.after(hit, answer).await
    }

    async fn clock(&self) -> Result<StoreTime> {
        let hit = self.before(Operation::Clock).await?;
        self.after(hit, self.inner().clock().await).await
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        let hit = self.before(Operation::Incarnation).await?;
        self.after(hit, self.inner().incarnation().await).await
    }

    async fn close(&self) -> Result<()> {
        let hit = self.before(Operation::Close).await?;
        let answer = self.inner().close().await;
        if is_twice(hit.as_ref()) {
            drop(self.inner().close().await);
        }
        self.after(hit, answer).await
    }
}

impl<B: Backend> Faulty<B> {
    async fn change<C: Change>(&self, changes: &[C]) -> Vec<Outcome> {
        let keys: Vec<_> = changes.iter().map(|change| change.key().clone()).collect();
        let Some(hit) = self.0.control.begin(C::OPERATION, &keys) else {
            return C::apply(self.inner(), changes).await;
        };
        self.wait_before(&hit).await;
        let (chosen, spared) = hit.split(changes);
        let spoiled = self.spoil(hit.fault, &chosen).await;
        let others =
            if spared.is_empty() { Vec::new() } else { C::apply(self.inner(), &spared).await };
        self.wait_after(&hit).await;
        let (mut spoiled, mut others) = (spoiled.into_iter(), others.into_iter());
        let answers = hit.chosen.iter().map(|&is_chosen| {
            let answer = if is_chosen { spoiled.next() } else { others.next() };
            answer.unwrap_or_else(|| Outcome::Unknown(lost(C::OPERATION)))
        });
        answers.collect()
    }

    /// Applies the fault to the changes that it concerns.
    async fn spoil<C: Change>(&self, fault: Fault, changes: &[C]) -> Vec<Outcome> {
        let failed = |kind| Outcome::Failed(failure(C::OPERATION, kind));
        let unknown = || changes.iter().map(|_| Outcome::Unknown(lost(C::OPERATION))).collect();
        match fault {
            Fault::Fail(kind) => changes.iter().map(|_| failed(kind)).collect(),
            Fault::LoseAnswer => {
                drop(C::apply(self.inner(), changes).await);
                unknown()
            }
            Fault::ApplyLate => {
                self.0.control.keep_late(changes.iter().cloned().map(Change::into_late));
                unknown()
            }
            Fault::Duplicate => {
                let answers = C::apply(self.inner(), changes).await;
                drop(C::apply(self.inner(), changes).await);
                answers
            }
            _ => C::apply(self.inner(), changes).await,
        }
    }

    /// Waits before a call without keys. Returns the call's error, if it is not to be made.
    async fn before(&self, operation: Operation) -> Result<Option<Hit>> {
        let Some(hit) = self.0.control.begin(operation, &[]) else { return Ok(None) };
        self.wait_before(&hit).await;
        match hit.fault {
            Fault::Fail(kind) => Err(failure(operation, kind)),
            Fault::ApplyLate => Err(lost(operation)),
            _ => Ok(Some(hit)),
        }
    }

    async fn after<T: Send>(&self, hit: Option<Hit>, answer: Result<T>) -> Result<T> {
        let Some(hit) = hit else { return answer };
        self.wait_after(&hit).await;
        if hit.fault == Fault::LoseAnswer { Err(lost(hit.call.operation)) } else { answer }
    }

    async fn wait_before(&self, hit: &Hit) {
        match hit.fault {
            Fault::Delay(duration) => self.0.clock.sleep(duration).await,
            Fault::Hold => self.0.control.gates.hold(&hit.call).await,
            _ => {}
        }
    }

    async fn wait_after(&self, hit: &Hit) {
        if hit.fault == Fault::HoldAnswer {
            self.0.control.gates.hold(&hit.call).await;
        }
    }
}

/// Spoils the answer of a read. A read changes nothing, so one that fails may have been made.
fn spoil_read(fault: Fault, answer: &mut Result<Option<Record>>) {
    match fault {
        Fault::Fail(kind) => *answer = Err(failure(Operation::Read, kind)),
        Fault::LoseAnswer | Fault::ApplyLate => *answer = Err(lost(Operation::Read)),
        Fault::Corrupt if matches!(answer, Ok(Some(_))) => {
            *answer = Err(failure(Operation::Read, ErrorKind::Codec));
        }
        _ => {}
    }
}

fn is_twice(hit: Option<&Hit>) -> bool {
    hit.is_some_and(|hit| hit.fault == Fault::Duplicate)
}

fn failure(operation: Operation, kind: ErrorKind) -> Error {
    Error::new(kind, operation.name(), "a fault of the test")
}

fn lost(operation: Operation) -> Error {
    Error::new(ErrorKind::Unavailable, operation.name(), "the answer was lost")
}
