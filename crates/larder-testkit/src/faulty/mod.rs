//! A backend that fails as told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Backend, Clock, Delete, ErrorKind, Expect, Key, NEVER, Outcome, Record, Times, Write,
};

use self::change::Late;
pub use self::control::Call;
use self::control::Control;
pub use self::hold::Held;

mod change;
mod control;
mod hold;
mod spoil;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `read` and `read_one`.
    Read,
    /// `write`.
    Write,
    /// `retime`.
    Retime,
    /// `delete`.
    Delete,
    /// `scan`.
    Scan,
    /// `purge`.
    Purge,
    /// `clock`.
    Clock,
    /// `incarnation`.
    Incarnation,
    /// `close`.
    Close,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Retime => "retime",
            Self::Delete => "delete",
            Self::Scan => "scan",
            Self::Purge => "purge",
            Self::Clock => "clock",
            Self::Incarnation => "incarnation",
            Self::Close => "close",
        }
    }
}

/// The fault that a call meets.
///
/// Where a call changes nothing, `ApplyLate` answers as `LoseAnswer` does. `Corrupt` is for reads
/// and does nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Fails with this kind; the change is surely not applied.
    Fail(ErrorKind),
    /// Applies the call and loses its answer. The answer is [`Outcome::Unknown`], or an error of
    /// kind `Unavailable`.
    LoseAnswer,
    /// Loses the answer, and applies the change at [`Faulty::release_late`]. The answer is that of
    /// `LoseAnswer`.
    ApplyLate,
    /// Waits this long on the clock, then applies the call.
    Delay(Duration),
    /// Waits for [`Faulty::release`], then applies the call.
    Hold,
    /// Applies the call, and its answer waits for [`Faulty::release`].
    HoldAnswer,
    /// Applies the call twice and returns the first answer.
    Duplicate,
    /// Makes each record that is read undecodable: an error of kind `Codec`.
    Corrupt,
}

/// A backend that passes everything through until it is told to fail.
///
/// Clones share all, so a test keeps control while a cache owns the backend. Faults that concern
/// some keys of a batch leave the others alone; waiting concerns the whole call. Nothing is
/// random: the same calls and orders have the same outcome.
///
/// ```
/// use std::sync::Arc;
/// use larder_core::{Backend, Class, ErrorKind, Key, Namespace};
/// use larder_testkit::{Fault, Faulty, ManualClock, Operation, block_on};
/// # fn demo(memory: impl Backend, key: Key) {
///
/// let backend = Faulty::new(memory, Arc::new(ManualClock::new()));
/// backend.next(Operation::Read, Fault::Fail(ErrorKind::Unavailable));
/// assert!(block_on(backend.read_one(&key)).is_err());
/// assert!(block_on(backend.read_one(&key)).is_ok());
/// assert_eq!(backend.count(Operation::Read), 2);
/// # }
/// ```
#[derive(Debug)]
pub struct Faulty<B>(Arc<Inner<B>>);

#[derive(Debug)]
struct Inner<B> {
    backend: B,
    clock: Arc<dyn Clock>,
    control: Control,
}

impl<B: Backend> Faulty<B> {
    /// Wraps a backend. Delays wait on this clock.
    #[must_use]
    pub fn new(backend: B, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { backend, clock, control: Control::default() }))
    }

    /// Returns the backend behind the faults.
    #[must_use]
    pub fn inner(&self) -> &B {
        &self.0.backend
    }

    /// Orders a fault for the next call of the kind without an earlier order.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.nth(operation, 1, fault);
    }

    /// Orders a fault for the n-th call of the kind from now. 1 is the next.
    pub fn nth(&self, operation: Operation, n: usize, fault: Fault) {
        self.0.control.order_once(operation, n, fault);
    }

    /// Orders a fault for every call of the kind, until [`clear`](Self::clear).
    pub fn every(&self, operation: Operation, fault: Fault) {
        self.0.control.order_every(operation, None, fault);
    }

    /// Orders a fault for the keys for which `is_meant` holds. The fault meets them in every call
    /// of the kind, until [`clear`](Self::clear).
    pub fn every_where(
        &self,
        operation: Operation,
        fault: Fault,
        is_meant: impl Fn(&Key) -> bool + Send + Sync + 'static,
    ) {
        self.0.control.order_every(operation, Some(Arc::new(is_meant)), fault);
    }

    /// Takes back all orders. Calls that are held stay held, late changes stay late.
    pub fn clear(&self) {
        self.0.control.clear();
    }

    /// Returns the calls that are held, the longest first.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        self.0.control.gates.held()
    }

    /// Waits until at least this many calls are held.
    pub async fn until_held(&self, count: usize) {
        self.0.control.gates.until_held(count).await;
    }

    /// Lets a held call go on. Returns true if there was one of this id.
    #[must_use]
    pub fn release(&self, id: u64) -> bool {
        self.0.control.gates.release(id)
    }

    /// Lets all held calls go on, the longest held first.
    pub fn release_all(&self) {
        for held in self.held() {
            let _ = self.release(held.id);
        }
    }

    /// Returns the number of changes that [`Fault::ApplyLate`] keeps back.
    #[must_use]
    pub fn late(&self) -> usize {
        self.0.control.late()
    }

    /// Applies the changes that were kept back, past all orders. The oldest is first. Returns their
    /// outcomes.
    pub async fn release_late(&self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for late in self.0.control.take_late() {
            outcomes.extend(match late {
                Late::Write(write) => self.0.backend.write(&[write]).await,
                Late::Retime(retime) => self.0.backend.retime(&[retime]).await,
                Late::Delete(delete) => self.0.backend.delete(&[delete]).await,
            });
        }
        outcomes
    }

    /// Declares in the capabilities that a change may land this late after it was sent. Default:
    /// the backend's own. A test that orders [`Fault::ApplyLate`] keeps to it.
    pub fn settle_within(&self, duration: Duration) {
        self.0.control.settle_within(duration);
    }

    /// Drops a record behind everybody's back, as a store that evicts does.
    pub async fn lose(&self, key: &Key) {
        let delete = Delete { key: key.clone(), expect: Expect::Any };
        let _ = self.0.backend.delete(&[delete]).await;
    }

    /// Replaces the record under a key's name with one of another key. That is what a clash of
    /// digests or damage leaves: reading the key is an error of kind `Codec` until it is
    /// overwritten.
    pub async fn damage(&self, key: &Key) {
        let full = [key.full(), b" of somebody else"].concat();
        let key = Key::from_stored(key.name_bytes(), Some(Bytes::from(full)));
        let times = Times::new(NEVER, NEVER);
        let record = Record::value(Bytes::from_static(b"damaged"), times);
        let _ = self.0.backend.write(&[Write { key, record, expect: Expect::Any }]).await;
    }

    /// Returns all calls since the last [`forget_calls`](Self::forget_calls), in the order they
    /// began.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.0.control.calls()
    }

    /// Counts the calls of the kind since the last [`forget_calls`](Self::forget_calls).
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.0.control.count(operation)
    }

    /// Empties the log.
    pub fn forget_calls(&self) {
        self.0.control.forget_calls();
    }
}

impl<B> Clone for Faulty<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
