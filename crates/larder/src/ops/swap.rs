//! Changes that depend on the record found, in a bounded loop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{
    Backend, Clock, Delete, Error, ErrorKind, Expect, Header, Key, Kind, Life, NEVER, Outcome,
    Record, Result, Retime, Times, Version, Write,
};

use crate::ops::edit::{Edit, Subject};
use crate::ops::key_lock::{KeyLock, KeyLocks};
use crate::ops::step::Step;
use crate::ops::tries::Tries;
use crate::support::runtime::unless;

/// Changes of one backend's records that depend on the records found.
///
/// Every method is atomic: it reads, decides, and changes exactly the record that it read. If
/// another change was faster, it starts again. After 16 tries it fails with
/// [`Unavailable`](ErrorKind::Unavailable). Clones share the backend, and their changes of one key
/// wait for each other instead of competing: keep one per process and clone it.
///
/// Leases, known absences and records past their ttl count as nothing where a method asks whether a
/// value is there; the change still replaces exactly the record that was read, so it fences loads.
///
/// # Errors
/// Besides the backend's own: [`Unsupported`](ErrorKind::Unsupported) without conditional writes,
/// [`Unavailable`](ErrorKind::Unavailable) under contention, and the error of a lost answer where
/// nothing tells any more whether the change was applied.
///
/// # Cancel safety
/// A dropped call has applied its change or not.
///
/// ```
/// use std::sync::Arc;
///
/// use larder::MemoryBackend;
/// use larder::backend::{Class, Key, NEVER, Namespace, Record, Times};
/// use larder::ops::Swap;
///
/// # larder_testkit::block_on(async {
/// let clock = Arc::new(larder_testkit::ManualClock::new());
/// let swap = Swap::new(MemoryBackend::new(clock.clone()), clock);
/// let key = Key::new(&Namespace::new("shop")?, Class::Entry, b"soup");
///
/// let record = |text| Record::value(bytes::Bytes::from_static(text), Times::new(NEVER, NEVER));
/// assert!(swap.set_if_absent(&key, record(b"leek")).await?);
/// assert!(!swap.set_if_absent(&key, record(b"pea")).await?);
/// assert_eq!(&swap.take(&key).await?.unwrap().payload[..], b"leek");
/// # Ok::<_, larder::backend::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Swap<B> {
    backend: B,
    clock: Arc<dyn Clock>,
    key_locks: Arc<KeyLocks>,
    /// The time after which a change whose answer was lost is not sent again.
    patience: Duration,
}

/// Outcome of an update: the record found, and the step taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Update {
    /// Record that was there. None if nothing was, or nothing that can be decoded.
    pub before: Option<Record>,
    /// Step that was taken.
    pub step: Step,
}

impl Update {
    const fn is_change(&self) -> bool {
        !matches!(self.step, Step::Keep)
    }
}

impl<B: Backend> Swap<B> {
    /// Opens changes in this backend, pausing by this clock when contended.
    #[must_use]
    pub fn new(backend: B, clock: Arc<dyn Clock>) -> Self {
        Self { backend, clock, key_locks: Arc::default(), patience: NEVER }
    }

    /// Returns this `Swap` for a caller with so little time: in an outage, one lost answer is
    /// enough.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Applies the step that `decide` chooses for the record that is there. Every other method is
    /// one of these.
    ///
    /// `decide` may be called several times, each time with the record that is there by then.
    ///
    /// # Errors
    /// The errors of the type and of `decide`. [`InvalidInput`](ErrorKind::InvalidInput) for a
    /// retime of nothing.
    pub async fn update<F>(&self, key: &Key, mut decide: F) -> Result<Update>
    where
        F: FnMut(Option<&Record>) -> Result<Step> + Send,
    {
        let mut attempts = self.attempts(key).await?;
        while attempts.next().await {
            let before = self.read(key).await?;
            let step = decide(before.as_ref())?;
            let there = before.as_ref().map(|record| &record.header);
            if attempts.apply(&self.backend, there, &step).await? {
                return Ok(Update { before, step });
            }
        }
        Err(contended("update"))
    }

    /// Waits for the key lock. For a change that reads by itself the record that is there.
    pub(crate) async fn attempts<'a>(&'a self, key: &'a Key) -> Result<Attempts<'a, B>> {
        self.require_conditional()?;
        let key_lock = self.key_locks.enter(key);
        // The wait is bounded: a key lock only saves tries in vain, and its owner may need the very
        // thread that waits for it here.
        unless(self.clock.sleep(LONGEST_WAIT), key_lock.wait()).await;
        Ok(Attempts { swap: self, key, tries: self.tries(), _key_lock: Some(key_lock) })
    }

    /// Writes the record only if there is no fresh value; returns true if written.
    #[doc(alias("add", "setnx", "put_if_absent"))]
    pub async fn set_if_absent(&self, key: &Key, record: Record) -> Result<bool> {
        let decide = |before: Option<&Record>| {
            let is_taken = before.is_some_and(is_fresh_value);
            Ok(if is_taken { Step::Keep } else { Step::Write(record.clone()) })
        };
        Ok(self.update(key, decide).await?.is_change())
    }

    /// Writes the record only over a fresh value; returns true if written.
    pub async fn replace(&self, key: &Key, record: Record) -> Result<bool> {
        let decide = |before: Option<&Record>| {
            let is_there = before.is_some_and(is_fresh_value);
            Ok(if is_there { Step::Write(record.clone()) } else { Step::Keep })
        };
        Ok(self.update(key, decide).await?.is_change())
    }

    /// Writes only over the very record that this header was read from. Returns true if written.
    #[doc(alias = "cas")]
    pub async fn compare_and_set(&self, key: &Key, read: &Header, record: Record) -> Result<bool> {
        self.require_conditional()?;
        self.apply(key, Some(read), &Step::Write(record)).await
    }

    /// Deletes the record and returns it, if it is a fresh value or counter.
    ///
    /// Of any number of takers one gets it.
    #[doc(alias("pop", "getdel"))]
    pub async fn take(&self, key: &Key) -> Result<Option<Record>> {
        Ok(self.edit(key, Edit::Remove).await?.before.filter(is_fresh_value))
    }

    /// Makes the record stale, and keeps it for its own grace. It lives no longer than before. A
    /// record without grace goes, one without end stays without end. Returns true if there was any.
    ///
    /// The record gets a new version, so loads that began before are refused. A lease is deleted.
    #[doc(alias = "soft_expire")]
    pub async fn mark_stale(&self, key: &Key) -> Result<bool> {
        let update = self.edit(key, Edit::MarkStale).await?;
        Ok(update.is_change() && update.before.as_ref().is_some_and(is_value))
    }

    /// Restarts the life of a fresh value. Returns true if one was there.
    pub async fn touch(&self, key: &Key) -> Result<bool> {
        Ok(self.edit(key, Edit::Touch).await?.is_change())
    }

    /// Gives a fresh value this life. Returns true if one was there.
    pub async fn set_life(&self, key: &Key, times: Times) -> Result<bool> {
        self.retime_if(key, times, Edit::SetTtl(NEVER)).await
    }

    /// Gives a value, fresh or stale, this life. Returns true if one was there.
    pub async fn revive(&self, key: &Key, times: Times) -> Result<bool> {
        self.retime_if(key, times, Edit::Revive(NEVER)).await
    }

    async fn edit(&self, key: &Key, edit: Edit) -> Result<Update> {
        let decide = |there: Option<&Record>| {
            let Some(record) = there else { return Ok(Step::Keep) };
            Ok(edit.of(Subject::of(record), NEVER).step(there))
        };
        self.update(key, decide).await
    }

    /// Gives the record this life, if the edit would be made to it.
    async fn retime_if(&self, key: &Key, times: Times, edit: Edit) -> Result<bool> {
        let decide = |before: Option<&Record>| {
            let subject = before.and_then(Subject::of);
            let fits = subject.is_some_and(|subject| edit.fits(&subject));
            Ok(if fits { Step::Retime(times) } else { Step::Keep })
        };
        Ok(self.update(key, decide).await?.is_change())
    }

    /// Returns the record that is there. Undecodable bytes count as none: the store takes them as
    /// absent.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Record>> {
        match self.backend.read_one(key).await {
            Err(error) if error.kind() == ErrorKind::Codec => Ok(None),
            result => result,
        }
    }

    /// Applies one step to exactly the record that was read. Returns false if another is there by
    /// now.
    pub(super) async fn apply(
        &self,
        key: &Key,
        before: Option<&Header>,
        step: &Step,
    ) -> Result<bool> {
        let mut once = Attempts { swap: self, key, tries: self.tries(), _key_lock: None };
        once.next().await;
        once.apply(&self.backend, before, step).await
    }

    fn tries(&self) -> Tries {
        Tries::new(self.backend.capabilities().scope)
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn require_conditional(&self) -> Result<()> {
        if self.backend.capabilities().conditional {
            return Ok(());
        }
        let message = "it has no conditional writes";
        Err(Error::new(ErrorKind::Unsupported, "update", message))
    }
}

impl<B> fmt::Debug for Swap<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swap").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// The tries of one change, each over the record that is there by then.
pub(crate) struct Attempts<'a, B> {
    swap: &'a Swap<B>,
    key: &'a Key,
    tries: Tries,
    _key_lock: Option<KeyLock<'a>>,
}

impl<B: Backend> Attempts<'_, B> {
    /// Waits until the next try is due. Returns false if there is none.
    pub(crate) async fn next(&mut self) -> bool {
        self.tries.next(&*self.swap.clock).await
    }

    /// Applies one step to exactly the record that was read. Returns false if another is there by
    /// now.
    ///
    /// A step whose answer is lost is sent again, as it is: a write is applied once at most, and a
    /// new life given twice is the same. It is not sent again once `patience` is over.
    pub(crate) async fn apply(
        &mut self,
        backend: &impl Backend,
        before: Option<&Header>,
        step: &Step,
    ) -> Result<bool> {
        let clock = &*self.swap.clock;
        let began = clock.now();
        let mut lost = None;
        loop {
            // A life counts from the call, not from the last time it was sent.
            let late = clock.now().since(began);
            match send(backend, self.key, before, step, late).await? {
                Outcome::Done => return Ok(true),
                Outcome::Failed(error) => return Err(lost.unwrap_or(error)),
                Outcome::Refused(there) => {
                    return lost.map_or(Ok(false), |lost| judge(step, before, there, lost));
                }
                Outcome::Unknown(error) if clock.now().since(began) >= self.swap.patience => {
                    return Err(error);
                }
                Outcome::Unknown(error) if self.tries.next(clock).await => lost = Some(error),
                Outcome::Unknown(error) => {
                    let there = self.swap.read(self.key).await?.map(|record| record.header.version);
                    return if is_own(step, there) { Ok(true) } else { Err(error) };
                }
            }
        }
    }
}

async fn send(
    backend: &impl Backend,
    key: &Key,
    before: Option<&Header>,
    step: &Step,
    late: Duration,
) -> Result<Outcome> {
    let key = key.clone();
    let expect = before.map_or(Expect::Absent, Expect::exactly);
    let outcomes = match step {
        Step::Keep => return Ok(Outcome::Done),
        Step::Write(record) => {
            let mut record = record.clone();
            record.header.times.age = record.header.times.age.saturating_add(late);
            backend.write(&[Write { key, record, expect }]).await
        }
        Step::Retime(times) => {
            let Some(Header { version, token, .. }) = before.cloned() else {
                let message = "nothing is there to retime";
                return Err(Error::new(ErrorKind::InvalidInput, "update", message));
            };
            let times = Times { age: times.age.saturating_add(late), ..*times };
            backend.retime(&[Retime { key, version, token, times }]).await
        }
        Step::Delete => backend.delete(&[Delete { key, expect }]).await,
    };
    let missing = || Error::new(ErrorKind::Unavailable, "update", "no answer for the key");
    Ok(outcomes.into_iter().next().unwrap_or_else(|| Outcome::Unknown(missing())))
}

/// Interprets a refusal after a lost answer: the refused change may have been applied before.
fn judge(
    step: &Step,
    before: Option<&Header>,
    there: Option<Box<Header>>,
    lost: Error,
) -> Result<bool> {
    let there = there.map(|header| header.version);
    match step {
        _ if is_own(step, there) => Ok(true),
        // Only the record's token has changed: neither the lost change nor this one is applied.
        _ if there.is_some() && there == before.map(|header| header.version) => Ok(false),
        // A new life that was applied twice is the same as one applied once.
        Step::Retime(_) => Ok(false),
        _ => Err(lost),
    }
}

fn is_own(step: &Step, there: Option<Version>) -> bool {
    matches!(step, Step::Write(record) if there == Some(record.header.version))
}

pub(super) fn is_fresh_value(record: &Record) -> bool {
    is_value(record) && record.header.times.life() == Life::Fresh
}

fn is_value(record: &Record) -> bool {
    matches!(record.header.kind, Kind::Value | Kind::Counter)
}

/// The time that a change waits for earlier changes of the same key in this process.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Returns the error of a change that lost to other changes at every try.
pub(crate) fn contended(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "others changed it at every try")
}
