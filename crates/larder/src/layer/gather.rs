//! A backend that makes batches of the requests of many callers side by side.
//!
//! A call on many keys runs the protocol of one key for each of them. Their requests to the backend
//! wait here, one queue for each operation, until the task that runs the calls takes a batch.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use larder_core::{
    AnyBackend, Backend, BoxFuture, Capabilities, Delete, Error, ErrorKind, Expect, Header,
    Incarnation, Key, Outcome, Page, Record, Result, Retime, StoreTime, Write,
};

use crate::support::runtime::{Notify, oneshot};
use crate::support::sync::lock;

/// The most keys of one batch: a backend answers each batch within its time.
pub(crate) const LARGEST_BATCH: usize = 1_000;

/// Collects calls until a batch of them is [taken](Gather::take). Clones share the collected calls.
#[derive(Clone)]
pub(crate) struct Gather {
    inner: AnyBackend,
    waiting: Arc<Mutex<Waiting>>,
    /// A notification that a batch was taken.
    taken: Arc<Notify>,
}

/// The operation of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Write,
    Retime,
    Delete,
}

/// Calls that are not sent yet.
#[derive(Default)]
struct Waiting {
    reads: Queue<Key, Read>,
    writes: Queue<Write, Outcome>,
    retimes: Queue<Retime, Outcome>,
    deletes: Queue<Delete, Outcome>,
}

type Read = Result<Option<Record>>;
type Sender<T> = oneshot::Sender<T>;

impl Gather {
    pub(crate) fn new(inner: AnyBackend) -> Self {
        Self { inner, waiting: Arc::default(), taken: Arc::new(Notify::new()) }
    }

    /// Returns the number of calls that wait to be sent.
    pub(crate) fn len(&self, operation: Operation) -> usize {
        lock(&self.waiting).len(operation)
    }

    /// True if a whole batch of reads, writes or deletes waits.
    pub(crate) fn is_full(&self) -> bool {
        let waiting = lock(&self.waiting);
        [Operation::Read, Operation::Write, Operation::Delete]
            .iter()
            .any(|operation| waiting.len(*operation) >= LARGEST_BATCH)
    }

    /// Waits until no whole batch waits.
    pub(crate) async fn room(&self) {
        loop {
            let mut taken = pin!(self.taken.notified());
            taken.as_mut().enable();
            if !self.is_full() {
                return;
            }
            taken.await;
        }
    }

    /// Takes a batch out of the queue, to be sent; none if no call waits there.
    pub(crate) fn take(&self, operation: Operation) -> Option<BoxFuture<'static, ()>> {
        let sending = lock(&self.waiting).take(operation, self.inner.clone());
        self.taken.notify_waiters();
        sending
    }

    async fn outcomes<T: Ask>(
        &self,
        operation: &'static str,
        changes: &[T],
        queue: impl Fn(&mut Waiting) -> &mut Queue<T, Outcome>,
    ) -> Vec<Outcome> {
        let receivers = queue(&mut lock(&self.waiting)).put(changes);
        let mut outcomes = Vec::with_capacity(receivers.len());
        for receiver in receivers {
            outcomes.push(receiver.await.unwrap_or_else(|_| Outcome::Unknown(gone(operation))));
        }
        outcomes
    }
}

impl Waiting {
    fn len(&self, operation: Operation) -> usize {
        match operation {
            Operation::Read => self.reads.0.len(),
            Operation::Write => self.writes.0.len(),
            Operation::Retime => self.retimes.0.len(),
            Operation::Delete => self.deletes.0.len(),
        }
    }

    fn take(&mut self, operation: Operation, inner: AnyBackend) -> Option<BoxFuture<'static, ()>> {
        Some(match operation {
            Operation::Read => Box::pin(send_reads(inner, self.reads.take()?)),
            Operation::Write => Box::pin(send_writes(inner, self.writes.take()?)),
            Operation::Retime => {
                let (retimes, askers) = self.retimes.take()?;
                Box::pin(async move { answer(askers, inner.retime(&retimes).await) })
            }
            Operation::Delete => {
                let (deletes, askers) = self.deletes.take()?;
                Box::pin(async move { answer(askers, inner.delete(&deletes).await) })
            }
        })
    }
}

/// Calls of one operation, first come first served.
struct Queue<T, A>(VecDeque<(T, Sender<A>)>);

/// The callers of one call, in order.
struct Askers<A> {
    first: Sender<A>,
    others: Vec<Sender<A>>,
}

impl<A: Clone> Askers<A> {
    /// Answers the first caller, and then the others.
    fn answer(self, answer: A, for_others: impl FnOnce(&A) -> A) {
        if self.others.is_empty() {
            let _ = self.first.send(answer);
            return;
        }
        let shared = for_others(&answer);
        let _ = self.first.send(answer);
        for other in self.others {
            let _ = other.send(shared.clone());
        }
    }
}

/// A call of one key.
trait Ask: Clone {
    fn key(&self) -> &Key;

    /// True if a later call of the same key may share this call's answer.
    fn answers(&self, later: &Self) -> bool;
}

impl<T: Ask, A> Queue<T, A> {
    fn put(&mut self, asks: &[T]) -> Vec<oneshot::Receiver<A>> {
        let ask = |ask: &T| {
            let (sender, receiver) = oneshot::channel();
            self.0.push_back((ask.clone(), sender));
            receiver
        };
        asks.iter().map(ask).collect()
    }

    /// Takes a batch, whose keys are all different. A second call of a key waits for the next
    /// batch, unless it shares the first one's answer.
    fn take(&mut self) -> Option<(Vec<T>, Vec<Askers<A>>)> {
        let (mut asks, mut askers) = (Vec::<T>::new(), Vec::<Askers<A>>::new());
        let (mut places, mut later) = (HashMap::new(), Vec::new());
        while asks.len() < LARGEST_BATCH && later.len() < LARGEST_BATCH {
            let Some((ask, first)) = self.0.pop_front() else { break };
            if first.is_closed() {
                // No caller waits for the call any more, so it is not begun.
                continue;
            }
            let place = *places.entry(ask.key().clone()).or_insert(asks.len());
            match (asks.get(place), askers.get_mut(place)) {
                (Some(there), Some(askers)) if there.answers(&ask) => {
                    askers.others.push(first);
                }
                (Some(_), _) => later.push((ask, first)),
                (None, _) => {
                    asks.push(ask);
                    askers.push(Askers { first, others: Vec::new() });
                }
            }
        }
        later.into_iter().rev().for_each(|ask| self.0.push_front(ask));
        (!asks.is_empty()).then_some((asks, askers))
    }
}

impl<T, A> Default for Queue<T, A> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl Ask for Key {
    fn key(&self) -> &Key {
        self
    }

    fn answers(&self, _later: &Self) -> bool {
        true
    }
}

impl Ask for Write {
    fn key(&self) -> &Key {
        &self.key
    }

    fn answers(&self, later: &Self) -> bool {
        self.expect == Expect::Absent && later.expect == Expect::Absent
    }
}

impl Ask for Retime {
    fn key(&self) -> &Key {
        &self.key
    }

    fn answers(&self, later: &Self) -> bool {
        (self.version, self.times) == (later.version, later.times)
    }
}

impl Ask for Delete {
    fn key(&self) -> &Key {
        &self.key
    }

    fn answers(&self, _later: &Self) -> bool {
        false
    }
}

async fn send_reads(inner: AnyBackend, (keys, askers): (Vec<Key>, Vec<Askers<Read>>)) {
    let answers = match keys.as_slice() {
        [key] => vec![inner.read_one(key).await],
        keys => inner.read(keys).await,
    };
    for (askers, answer) in askers.into_iter().zip(answers) {
        askers.answer(answer, Read::clone);
    }
}

async fn send_writes(inner: AnyBackend, (writes, askers): (Vec<Write>, Vec<Askers<Outcome>>)) {
    let outcomes = inner.write(&writes).await;
    for ((askers, outcome), write) in askers.into_iter().zip(outcomes).zip(&writes) {
        askers.answer(outcome, |first| after(first, &write.record.header));
    }
}

/// Answers calls that share the outcome itself.
fn answer(askers: Vec<Askers<Outcome>>, outcomes: Vec<Outcome>) {
    for (askers, outcome) in askers.into_iter().zip(outcomes) {
        askers.answer(outcome, Outcome::clone);
    }
}

/// Returns the outcome of a write that expects an absent record, right after another such write.
fn after(first: &Outcome, written: &Header) -> Outcome {
    match first {
        Outcome::Done => Outcome::Refused(Some(Box::new(written.clone()))),
        other => other.clone(),
    }
}

fn gone(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the backend did not answer for the key")
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper passes everything through")]
impl Backend for Gather {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, keys: &[Key]) -> Vec<Read> {
        let receivers = lock(&self.waiting).reads.put(keys);
        let mut answers = Vec::with_capacity(receivers.len());
        for receiver in receivers {
            answers.push(receiver.await.unwrap_or_else(|_| Err(gone("read"))));
        }
        answers
    }

    async fn read_one(&self, key: &Key) -> Read {
        self.read(std::slice::from_ref(key)).await.pop().unwrap_or_else(|| Err(gone("read")))
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        self.outcomes("write", writes, |waiting| &mut waiting.writes).await
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        self.outcomes("retime", retimes, |waiting| &mut waiting.retimes).await
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        self.outcomes("delete", deletes, |waiting| &mut waiting.deletes).await
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

#[cfg(test)]
mod tests {
    use larder_core::{Class, Namespace};

    use super::*;

    fn key(text: &str) -> Key {
        Key::new(&Namespace::new("n").unwrap(), Class::Entry, text.as_bytes())
    }

    fn texts(keys: &[Key]) -> Vec<&[u8]> {
        keys.iter().map(Key::full).collect()
    }

    #[test]
    fn a_request_that_nobody_waits_for_any_more_is_not_sent() {
        let mut queue = Queue::<Key, Read>::default();
        let left = queue.put(&[key("a")]);
        drop(queue.put(&[key("b")]));
        let (keys, askers) = queue.take().unwrap();
        assert_eq!((texts(&keys), askers.len()), (texts(&[key("a")]), 1));
        drop(left);
        drop(queue.put(&[key("c")]));
        assert!(queue.take().is_none());
    }

    #[test]
    fn reads_of_one_key_share_an_answer_and_deletes_of_one_key_are_sent_in_turn() {
        let mut reads = Queue::<Key, Read>::default();
        let _waits = reads.put(&[key("a"), key("b"), key("a")]);
        let (keys, askers) = reads.take().unwrap();
        assert_eq!((keys.len(), askers.len(), askers[0].others.len()), (2, 2, 1));

        let mut deletes = Queue::<Delete, Outcome>::default();
        let delete = |text| Delete { key: key(text), expect: Expect::Any };
        let _waits = deletes.put(&[delete("a"), delete("a"), delete("b")]);
        assert_eq!(deletes.take().unwrap().0.len(), 2);
        assert_eq!(deletes.take().unwrap().0.len(), 1);
        assert!(deletes.take().is_none());
    }
}
