//! A backend that makes batches of what many callers ask of it side by side.
//!
//! A call on many keys runs the protocol of one key for each of them. What those runs ask of the
//! backend is collected here until none of them gets on without an answer; then it is asked at once.

use std::collections::HashMap;
use std::mem::take;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use larder_core::{
    AnyBackend, Backend, BoxFuture, Capabilities, Delete, Error, ErrorKind, Expect, Header,
    Incarnation, Key, Outcome, Page, Record, Result, Retime, StoreTime, Write,
};

use crate::runtime::oneshot;
use crate::sync::lock;

/// Collects calls until [`flush`](Gather::flush). Cloning shares what is collected.
#[derive(Clone)]
pub(crate) struct Gather {
    inner: AnyBackend,
    waiting: Arc<Mutex<Waiting>>,
}

/// What has been asked and not yet sent.
#[derive(Default)]
struct Waiting {
    reads: Vec<(Key, Sender<Read>)>,
    writes: Changes<Write>,
    retimes: Changes<Retime>,
    deletes: Changes<Delete>,
}

type Sender<T> = oneshot::Sender<T>;
type Changes<T> = Vec<(T, Sender<Outcome>)>;
type Read = Result<Option<Record>>;

impl Gather {
    pub(crate) fn new(inner: AnyBackend) -> Self {
        Self { inner, waiting: Arc::default() }
    }

    /// Sends what is waiting, one call for each kind; none if nothing is.
    pub(crate) fn flush(&self) -> Option<BoxFuture<'static, ()>> {
        let mut waiting = lock(&self.waiting);
        if waiting.is_empty() {
            return None;
        }
        let now = waiting.take_one_per_key();
        drop(waiting);
        let inner = self.inner.clone();
        Some(Box::pin(async move { now.send(&inner).await }))
    }

    async fn outcomes<T>(
        &self,
        operation: &'static str,
        changes: &[T],
        add: impl Fn(&mut Waiting, &T, Sender<Outcome>),
    ) -> Vec<Outcome> {
        let receivers: Vec<_> = {
            let mut waiting = lock(&self.waiting);
            let ask = |change| {
                let (sender, receiver) = oneshot::channel();
                add(&mut waiting, change, sender);
                receiver
            };
            changes.iter().map(ask).collect()
        };
        let mut outcomes = Vec::with_capacity(receivers.len());
        for receiver in receivers {
            outcomes.push(receiver.await.unwrap_or_else(|_| Outcome::Unknown(gone(operation))));
        }
        outcomes
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.reads.is_empty()
            && self.writes.is_empty()
            && self.retimes.is_empty()
            && self.deletes.is_empty()
    }

    /// Takes what may be sent together: a call's keys are all different. Reads of one key share an
    /// answer, and so do writes of one key that expect nothing there, and retimes that are the same.
    fn take_one_per_key(&mut self) -> Self {
        let (writes, more_writes) = first_of_each(take(&mut self.writes), |write| {
            (&write.key, (write.expect == Expect::Absent).then_some(()))
        });
        let (retimes, more_retimes) = first_of_each(take(&mut self.retimes), |retime| {
            (&retime.key, Some((retime.version, retime.times)))
        });
        let (deletes, more_deletes) =
            first_of_each(take(&mut self.deletes), |delete| (&delete.key, None::<()>));
        (self.writes, self.retimes, self.deletes) = (more_writes, more_retimes, more_deletes);
        Self { reads: take(&mut self.reads), writes, retimes, deletes }
    }

    async fn send(self, inner: &AnyBackend) {
        send_reads(inner, self.reads).await;
        send_writes(inner, self.writes).await;
        send_retimes(inner, self.retimes).await;
        for (deletes, senders) in chunks(self.deletes) {
            answer("delete", senders, inner.delete(&deletes).await);
        }
    }
}

/// Splits changes into the first of each key, with those that share its answer, and the others.
fn first_of_each<T, S: PartialEq>(
    changes: Changes<T>,
    key: impl Fn(&T) -> (&Key, Option<S>),
) -> (Changes<T>, Changes<T>) {
    let mut firsts: HashMap<Key, Option<S>> = HashMap::with_capacity(changes.len());
    changes.into_iter().partition(|(change, _)| {
        let (key, shares) = key(change);
        match firsts.get(key) {
            Some(first) => first.is_some() && *first == shares,
            None => firsts.insert(key.clone(), shares).is_none(),
        }
    })
}

async fn send_reads(inner: &AnyBackend, reads: Vec<(Key, Sender<Read>)>) {
    let mut senders: HashMap<Key, Vec<Sender<Read>>> = HashMap::with_capacity(reads.len());
    let mut keys = Vec::with_capacity(reads.len());
    for (key, sender) in reads {
        let askers = senders.entry(key.clone()).or_default();
        if askers.is_empty() {
            keys.push(key);
        }
        askers.push(sender);
    }
    for keys in keys.chunks(LARGEST_CALL) {
        let answers = match keys {
            [key] => vec![inner.read_one(key).await],
            keys => inner.read(keys).await,
        };
        for (key, answer) in keys.iter().zip(answers) {
            for sender in senders.remove(key).unwrap_or_default() {
                let _ = sender.send(answer.clone());
            }
        }
    }
}

async fn send_writes(inner: &AnyBackend, writes: Changes<Write>) {
    let mut sent: Vec<Write> = Vec::with_capacity(writes.len());
    let mut senders: HashMap<Key, Vec<Sender<Outcome>>> = HashMap::with_capacity(writes.len());
    for (write, sender) in writes {
        let askers = senders.entry(write.key.clone()).or_default();
        if askers.is_empty() {
            sent.push(write);
        }
        askers.push(sender);
    }
    for sent in sent.chunks(LARGEST_CALL) {
        let outcomes = inner.write(sent).await;
        for (write, outcome) in sent.iter().zip(outcomes) {
            let mut askers = senders.remove(&write.key).unwrap_or_default().into_iter();
            let Some(first) = askers.next() else { continue };
            // The others come right after it.
            let after = after(&outcome, &write.record.header);
            let _ = first.send(outcome);
            for sender in askers {
                let _ = sender.send(after.clone());
            }
        }
    }
}

async fn send_retimes(inner: &AnyBackend, retimes: Changes<Retime>) {
    let mut sent: Vec<Retime> = Vec::with_capacity(retimes.len());
    let mut senders: HashMap<Key, Vec<Sender<Outcome>>> = HashMap::with_capacity(retimes.len());
    for (retime, sender) in retimes {
        let askers = senders.entry(retime.key.clone()).or_default();
        if askers.is_empty() {
            sent.push(retime);
        }
        askers.push(sender);
    }
    for sent in sent.chunks(LARGEST_CALL) {
        let outcomes = inner.retime(sent).await;
        for (retime, outcome) in sent.iter().zip(outcomes) {
            for sender in senders.remove(&retime.key).unwrap_or_default() {
                let _ = sender.send(outcome.clone());
            }
        }
    }
}

/// What a write that expects nothing comes to right after one that did, and came to this.
fn after(first: &Outcome, written: &Header) -> Outcome {
    match first {
        Outcome::Done => Outcome::Refused(Some(Box::new(written.clone()))),
        other => other.clone(),
    }
}

/// Calls that each have a backend's time.
fn chunks<T>(changes: Changes<T>) -> impl Iterator<Item = (Vec<T>, Vec<Sender<Outcome>>)> {
    let mut changes = changes.into_iter();
    std::iter::from_fn(move || {
        let (changes, senders): (Vec<_>, Vec<_>) = changes.by_ref().take(LARGEST_CALL).unzip();
        (!changes.is_empty()).then_some((changes, senders))
    })
}

fn answer(operation: &'static str, senders: Vec<Sender<Outcome>>, outcomes: Vec<Outcome>) {
    let mut outcomes = outcomes.into_iter();
    for sender in senders {
        let outcome = outcomes.next();
        let _ = sender.send(outcome.unwrap_or_else(|| Outcome::Unknown(gone(operation))));
    }
}

fn gone(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the backend did not answer for the key")
}

impl Backend for Gather {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, keys: &[Key]) -> Vec<Read> {
        let receivers: Vec<_> = {
            let mut waiting = lock(&self.waiting);
            let ask = |key: &Key| {
                let (sender, receiver) = oneshot::channel();
                waiting.reads.push((key.clone(), sender));
                receiver
            };
            keys.iter().map(ask).collect()
        };
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
        let add = |waiting: &mut Waiting, write: &Write, sender| {
            waiting.writes.push((write.clone(), sender));
        };
        self.outcomes("write", writes, add).await
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        let add = |waiting: &mut Waiting, retime: &Retime, sender| {
            waiting.retimes.push((retime.clone(), sender));
        };
        self.outcomes("retime", retimes, add).await
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        let add = |waiting: &mut Waiting, delete: &Delete, sender| {
            waiting.deletes.push((delete.clone(), sender));
        };
        self.outcomes("delete", deletes, add).await
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

/// The most keys of one call: a backend answers each within its time.
const LARGEST_CALL: usize = 1_000;
