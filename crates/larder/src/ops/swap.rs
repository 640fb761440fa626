//! Changes that depend on what is there, in a bounded loop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{
    Backend, Clock, Delete, Error, ErrorKind, Expect, Header, Key, Kind, Life, Outcome, Record,
    Result, Retime, Times, Version, Write,
};

use crate::ops::tries::Tries;
use crate::ops::turns::Turns;
use crate::support::runtime::unless;

/// Changes of one backend's records that depend on what is there.
///
/// Every method is atomic: it reads, decides, and changes exactly what it read, again from the
/// start if somebody was faster. After 16 tries it fails with
/// [`Unavailable`](ErrorKind::Unavailable). Clones share the backend, and their changes of one key
/// wait for each other instead of competing: keep one per process and clone it.
///
/// Leases, known absences and what is past its ttl count as nothing where a method asks whether a
/// value is there; the change still replaces exactly what was read, so it fences loads.
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
    turns: Arc<Turns>,
}

/// What to do about the record that is there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Leave it.
    Keep,
    /// Write this over it.
    Write(Record),
    /// Give it this life from now on, and leave its version.
    Retime(Times),
    /// Delete it.
    Delete,
}

/// What an update found and did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Update {
    /// The record that was there; none if nothing was, or nothing that can be decoded.
    pub before: Option<Record>,
    /// What was done about it.
    pub step: Step,
}

impl Update {
    const fn is_change(&self) -> bool {
        !matches!(self.step, Step::Keep)
    }
}

impl<B: Backend> Swap<B> {
    /// Changes in this backend, pausing by this clock when contended.
    #[must_use]
    pub fn new(backend: B, clock: Arc<dyn Clock>) -> Self {
        Self { backend, clock, turns: Arc::default() }
    }

    /// Does what `decide` says about the record that is there: every other method is one of these.
    ///
    /// `decide` may be called several times, each time with what is there by then.
    ///
    /// # Errors
    /// As the type's, and what `decide` returns. [`InvalidInput`](ErrorKind::InvalidInput) for a
    /// retime of nothing.
    pub async fn update<F>(&self, key: &Key, mut decide: F) -> Result<Update>
    where
        F: FnMut(Option<&Record>) -> Result<Step> + Send,
    {
        self.require_conditional()?;
        let turn = self.turns.enter(key);
        // A turn saves tries in vain and nothing else: whoever has it may need the very thread that
        // waits for it here.
        unless(self.clock.sleep(LONGEST_TURN), turn.wait()).await;
        let mut tries = self.tries();
        while tries.next(&*self.clock).await {
            let before = self.read(key).await?;
            let step = decide(before.as_ref())?;
            let there = before.as_ref().map(|record| &record.header);
            if self.apply(&mut tries, key, there, &step).await? {
                return Ok(Update { before, step });
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "update", "contended"))
    }

    /// Writes if no fresh value is there; whether it did.
    #[doc(alias("add", "setnx", "put_if_absent"))]
    pub async fn set_if_absent(&self, key: &Key, record: Record) -> Result<bool> {
        let decide = |before: Option<&Record>| {
            let is_taken = before.is_some_and(is_fresh_value);
            Ok(if is_taken { Step::Keep } else { Step::Write(record.clone()) })
        };
        Ok(self.update(key, decide).await?.is_change())
    }

    /// Writes if a fresh value is there; whether it did.
    pub async fn replace(&self, key: &Key, record: Record) -> Result<bool> {
        let decide = |before: Option<&Record>| {
            let is_there = before.is_some_and(is_fresh_value);
            Ok(if is_there { Step::Write(record.clone()) } else { Step::Keep })
        };
        Ok(self.update(key, decide).await?.is_change())
    }

    /// Writes if the very record that this header was read from is still there; whether it did.
    #[doc(alias = "cas")]
    pub async fn compare_and_set(&self, key: &Key, read: &Header, record: Record) -> Result<bool> {
        self.require_conditional()?;
        let mut tries = self.tries();
        tries.next(&*self.clock).await;
        self.apply(&mut tries, key, Some(read), &Step::Write(record)).await
    }

    /// Deletes what is there and returns it, if it is a value or a counter, also a stale one.
    ///
    /// Of any number of takers one gets it.
    #[doc(alias("pop", "getdel"))]
    pub async fn take(&self, key: &Key) -> Result<Option<Record>> {
        let decide =
            |before: Option<&Record>| Ok(if before.is_some() { Step::Delete } else { Step::Keep });
        Ok(self.update(key, decide).await?.before.filter(is_value))
    }

    /// Ends the freshness of what is there and keeps it for its grace; whether there was any.
    ///
    /// The record gets a new version, so loads that began before are refused. A lease is deleted.
    #[doc(alias = "soft_expire")]
    pub async fn mark_stale(&self, key: &Key) -> Result<bool> {
        let decide = |before: Option<&Record>| {
            let Some(before) = before.filter(|record| record.header.kind != Kind::Lease) else {
                return Ok(Step::Delete);
            };
            let mut record = renewed(before);
            record.header.times.fresh_for = Duration::ZERO;
            Ok(Step::Write(record))
        };
        Ok(matches!(self.update(key, decide).await?.step, Step::Write(_)))
    }

    /// Lets a fresh value's life begin anew; whether one was there.
    pub async fn touch(&self, key: &Key) -> Result<bool> {
        let decide = |before: Option<&Record>| {
            Ok(before.filter(|record| is_fresh_value(record)).map_or(Step::Keep, |record| {
                let times = record.header.times;
                Step::Retime(Times::new(times.fresh_for, times.kept_for))
            }))
        };
        Ok(self.update(key, decide).await?.is_change())
    }

    /// Gives a fresh value this life; whether one was there.
    pub async fn set_life(&self, key: &Key, times: Times) -> Result<bool> {
        self.retime_if(key, times, is_fresh_value).await
    }

    /// Gives a value this life, also a stale one; whether one was there.
    pub async fn revive(&self, key: &Key, times: Times) -> Result<bool> {
        self.retime_if(key, times, is_value).await
    }

    async fn retime_if(&self, key: &Key, times: Times, fits: fn(&Record) -> bool) -> Result<bool> {
        let decide = |before: Option<&Record>| {
            Ok(if before.is_some_and(fits) { Step::Retime(times) } else { Step::Keep })
        };
        Ok(self.update(key, decide).await?.is_change())
    }

    /// What is there. What cannot be decoded is nothing: `Absent` is met by it.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Record>> {
        match self.backend.read_one(key).await {
            Err(error) if error.kind() == ErrorKind::Codec => Ok(None),
            result => result,
        }
    }

    pub(super) fn tries(&self) -> Tries {
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

    /// Applies one step to exactly what was read; false if something else is there by now.
    pub(super) async fn apply(
        &self,
        tries: &mut Tries,
        key: &Key,
        before: Option<&Header>,
        step: &Step,
    ) -> Result<bool> {
        let began = self.clock.now();
        let mut lost = None;
        loop {
            // A life counts from the call, not from the last time it was sent.
            let late = self.clock.now().since(began);
            match self.send(key, before, step, late).await? {
                Outcome::Done => return Ok(true),
                Outcome::Failed(error) => return Err(lost.unwrap_or(error)),
                Outcome::Refused(there) => {
                    return lost.map_or(Ok(false), |lost| judge(step, before, there, lost));
                }
                Outcome::Unknown(error) if tries.next(&*self.clock).await => lost = Some(error),
                Outcome::Unknown(error) => {
                    let there = self.read(key).await?.map(|record| record.header.version);
                    return if is_own(step, there) { Ok(true) } else { Err(error) };
                }
            }
        }
    }

    async fn send(
        &self,
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
                self.backend.write(&[Write { key, record, expect }]).await
            }
            Step::Retime(times) => {
                let Some(Header { version, token, .. }) = before.cloned() else {
                    let message = "nothing is there to retime";
                    return Err(Error::new(ErrorKind::InvalidInput, "update", message));
                };
                let times = Times { age: times.age.saturating_add(late), ..*times };
                self.backend.retime(&[Retime { key, version, token, times }]).await
            }
            Step::Delete => self.backend.delete(&[Delete { key, expect }]).await,
        };
        let missing = || Error::new(ErrorKind::Unavailable, "update", "no answer for the key");
        Ok(outcomes.into_iter().next().unwrap_or_else(|| Outcome::Unknown(missing())))
    }
}

impl<B> fmt::Debug for Swap<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swap").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// What a refusal after a lost answer means: the refused change may have been applied before.
fn judge(
    step: &Step,
    before: Option<&Header>,
    there: Option<Box<Header>>,
    lost: Error,
) -> Result<bool> {
    let there = there.map(|header| header.version);
    match step {
        _ if is_own(step, there) => Ok(true),
        // Only its token has changed: neither the lost one nor this one is applied.
        _ if there.is_some() && there == before.map(|header| header.version) => Ok(false),
        // Applied twice is applied once.
        Step::Retime(_) => Ok(false),
        _ => Err(lost),
    }
}

fn is_own(step: &Step, there: Option<Version>) -> bool {
    matches!(step, Step::Write(record) if there == Some(record.header.version))
}

/// The same record as a new write.
pub(crate) fn renewed(record: &Record) -> Record {
    let mut record = record.clone();
    record.header.version = Version::next();
    record.header.token = None;
    record
}

pub(super) fn is_fresh_value(record: &Record) -> bool {
    is_value(record) && record.header.times.life() == Life::Fresh
}

fn is_value(record: &Record) -> bool {
    matches!(record.header.kind, Kind::Value | Kind::Counter)
}

/// How long a change waits for those of the same key that came before it in this process.
const LONGEST_TURN: Duration = Duration::from_secs(1);
