//! What a load must still hold at the authority when it commits.
//!
//! Before a loader runs, the authority holds something to compare with. Over nothing, and over what
//! nobody may be served any more, the load leaves a lease under the key. Over a record that may be
//! served it is the record's version; a lease beside it (`beside.rs`) keeps other processes from
//! loading the same version. Whoever changes the key takes the lease or the version away, and the
//! commit is refused. A commit never expects "absent": what was absent before the load may have been
//! written and deleted meanwhile.
//!
//! A lease under the key carries the epoch and the versions of the tags that are known before the
//! load. Where one of them has changed, the load cannot be kept, so others replace the lease at once
//! instead of waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_core::{
    Error, ErrorKind, Expect, Header, Key, Kind, Outcome, Record, Result, StoreTime, Timestamp,
    Version,
};

use crate::load::renewal::Term;
use crate::options::Settings;
use crate::rule::{Rule, holds};
use crate::tier::held::Looked;
use crate::tier::mark::{Age, Current};
use crate::tier::shared::{Found, Shared};
use crate::tier::tag::Marks;

/// How often a lease is tried over what turns up meanwhile.
pub(crate) const TRIES: usize = 16;

/// A load's fence at the authority, and the marks as they were before the loader ran.
pub(crate) struct Lease {
    /// What the commit is written over.
    pub(crate) expect: Expect,
    /// The lease that other processes wait for while the loader runs. None if the load has none.
    pub(crate) own: Option<OwnLease>,
    /// The lease that replaces the record before that dies. None if it outlives the load.
    pub(crate) successor: Option<Successor>,
    pub(crate) current: Current,
    /// The tag sequence, read only where the loader may name tags.
    pub(crate) sequence: Option<Version>,
    /// When the load began, by the store's clock.
    pub(crate) born: StoreTime,
}

/// A lease that the load has written.
#[derive(Clone)]
pub(crate) struct OwnLease {
    /// The entry's key, or the name beside it.
    pub(crate) key: Key,
    pub(crate) version: Version,
    pub(crate) term: Term,
    /// Whether the store has answered that it is there. One that is not may still land.
    pub(crate) is_answered: bool,
}

/// A lease under the key, to be written over a record that dies before its load has to end.
pub(crate) struct Successor {
    pub(crate) record: Record,
    /// When to write it.
    pub(crate) at: Timestamp,
    pub(crate) term: Term,
    /// Whether it may have been written.
    pub(crate) is_sent: AtomicBool,
    /// Whether the store has answered.
    pub(crate) is_answered: AtomicBool,
}

/// What an attempt to fence a load comes to.
pub(crate) enum Fenced<V> {
    /// The load may run. Beside the fence, the usable value that is there.
    Held(Box<Lease>, Option<Looked<V>>),
    /// Another process's load answers it.
    Answered(Looked<V>),
    /// Another process's load of it has just failed. Beside the value that is there, how long the
    /// next load waits.
    Failed(Option<Looked<V>>, Duration),
    /// Another process is loading the key, which is enough.
    Left,
}

/// What a load wants fenced.
pub(crate) struct Wanted<'a, V> {
    pub(crate) key: &'a Key,
    pub(crate) settings: &'a Settings,
    pub(crate) late_tags: bool,
    /// Whether the load has to run, whatever has come of an earlier one.
    pub(crate) is_forced: bool,
    pub(crate) others: Others,
    /// How long a lease lives at most; none if this load cannot renew it.
    pub(crate) lease_limit: Option<Duration>,
    /// Until when it waits for other processes' loads.
    pub(crate) patience: Timestamp,
    /// Whether a value that turns up answers the load's callers.
    pub(crate) is_answer: Judge<'a, V>,
    /// Whether a value may be served after a failed load.
    pub(crate) is_fallback: Judge<'a, V>,
    /// Takes back a lease that is of no use, without anybody waiting for it.
    pub(crate) take_back: &'a (dyn Fn(OwnLease) + Send + Sync),
}

type Judge<'a, V> = &'a (dyn Fn(&Looked<V>) -> bool + Send + Sync);

/// What to do where another process holds the key's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Wait for its load.
    Wait,
    /// Load too: the first result is kept.
    Race,
    /// Leave the key to it.
    Leave,
}

/// How an attempt goes on.
pub(crate) enum Step<V> {
    Done(Fenced<V>),
    /// Something else is there now.
    Again(Found<V>),
}

impl<V: Clone + 'static> Shared<V> {
    /// Fences a load over what is there.
    pub(crate) async fn fence(
        &self,
        marks: &Marks,
        wanted: &Wanted<'_, V>,
        mut found: Found<V>,
    ) -> Result<Fenced<V>> {
        let mut refused = 0;
        // The lease whose load this one has waited for.
        let mut awaited = None;
        while refused < TRIES {
            if let Some(lease) = self.live_lease(marks, &found).await? {
                match wanted.others {
                    Others::Leave => return Ok(Fenced::Left),
                    Others::Wait if !self.is_out_of_patience(wanted) => {
                        awaited = Some(lease.version);
                        found = self.outlast(marks, wanted, lease).await?;
                    }
                    Others::Race | Others::Wait => {
                        let expect = Expect::exactly(&lease);
                        let lease = self.hold(marks, wanted, expect, None).await?;
                        return Ok(Fenced::Held(Box::new(lease), None));
                    }
                }
            } else {
                refused += 1;
                found = match self.fence_over(marks, wanted, found, &mut awaited).await? {
                    Step::Done(fenced) => return Ok(fenced),
                    Step::Again(found) => found,
                };
            }
            if let Found::Usable(looked, _) = &found
                && (wanted.is_answer)(looked)
            {
                return Ok(Fenced::Answered(looked.clone()));
            }
            if let Some(left) = self.failure_of(wanted, &mut awaited, &found).await? {
                return Ok(Fenced::Failed(found.into_looked(), left));
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "lease", "others changed the key at every try"))
    }

    /// Takes a fence where no other load's lease is in the way.
    async fn fence_over(
        &self,
        marks: &Marks,
        wanted: &Wanted<'_, V>,
        found: Found<V>,
        awaited: &mut Option<Version>,
    ) -> Result<Step<V>> {
        match found {
            // A load on its caller's thread cannot replace the record later.
            Found::Usable(looked, record)
                if wanted.lease_limit.is_none() && dies_soon(&record.header) =>
            {
                let expect = Expect::exactly(&record.header);
                self.leave_lease(marks, wanted, Some(looked), expect, awaited).await
            }
            Found::Usable(looked, record) => {
                self.fence_beside(marks, wanted, Some(looked), record.header).await
            }
            // It is another's number: a load that fails must leave it alone.
            Found::Unusable(header) if header.kind == Kind::Counter => {
                self.fence_beside(marks, wanted, None, header).await
            }
            Found::Unusable(header) => {
                let expect = Expect::exactly(&header);
                self.leave_lease(marks, wanted, None, expect, awaited).await
            }
            Found::Nothing if !holds(Rule::Lease) => {
                let lease = self.hold(marks, wanted, Expect::Absent, None).await?;
                Ok(Step::Done(Fenced::Held(Box::new(lease), None)))
            }
            Found::Nothing => self.leave_lease(marks, wanted, None, Expect::Absent, awaited).await,
        }
    }

    /// Leaves a lease under the key, in the place of what was looked at there.
    async fn leave_lease(
        &self,
        marks: &Marks,
        wanted: &Wanted<'_, V>,
        looked: Option<Looked<V>>,
        over: Expect,
        awaited: &mut Option<Version>,
    ) -> Result<Step<V>> {
        let mut lease = self.hold(marks, wanted, Expect::Any, None).await?;
        let term = wanted.term(self.authority.timeout);
        let record = lease_record(term, &lease.current);
        let version = record.header.version;
        lease.expect = Expect::Version(version, None);
        let own = |is_answered| OwnLease { key: wanted.key.clone(), version, term, is_answered };
        match self.authority.write(wanted.key, record, over).await {
            Outcome::Done => {
                lease.own = Some(own(true));
                Ok(Step::Done(Fenced::Held(Box::new(lease), looked)))
            }
            Outcome::Refused(there) => {
                let there = there.filter(|there| there.kind == Kind::Lease);
                *awaited = there.map(|there| there.version);
                // Whoever was faster may have the answer.
                Ok(Step::Again(self.find(wanted.key, marks, Age::Checked, None).await?))
            }
            Outcome::Failed(error) => Err(error),
            Outcome::Unknown(error) => {
                // The lease may be there, and then others would wait for it.
                (wanted.take_back)(own(false));
                Err(error)
            }
        }
    }

    /// Captures the marks, from the authority and not from what is known here.
    pub(crate) async fn hold(
        &self,
        marks: &Marks,
        wanted: &Wanted<'_, V>,
        expect: Expect,
        own: Option<OwnLease>,
    ) -> Result<Lease> {
        let tags = wanted.settings.tags();
        let current = self.authority.current(marks, tags, Age::Now).await?;
        let mut sequence = None;
        if wanted.late_tags {
            sequence = Some(self.authority.sequence().await?);
        }
        let born = self.authority.store_now().await;
        Ok(Lease { expect, own, successor: None, current, sequence, born })
    }

    /// Writes the result of a load over its fence.
    pub(crate) async fn write_over(&self, key: &Key, lease: &Lease, record: &Record) -> Outcome {
        let outcome = self.authority.write(key, record.clone(), lease.expect.clone()).await;
        match lease.met_successor(&outcome) {
            Some(expect) => self.authority.write(key, record.clone(), expect).await,
            None => outcome,
        }
    }

    /// Deletes what a load is fenced over.
    pub(crate) async fn delete_over(&self, key: &Key, lease: &Lease) -> Outcome {
        let outcome = self.authority.delete(key, lease.expect.clone()).await;
        match lease.met_successor(&outcome) {
            Some(expect) => self.authority.delete(key, expect).await,
            None => outcome,
        }
    }

    /// The marks with tags that only the loader's answer named. None if any tag of the namespace
    /// has changed since the fence.
    pub(crate) async fn with_late_tags(
        &self,
        marks: &Marks,
        lease: &Lease,
        late: &[Arc<str>],
    ) -> Result<Option<Current>> {
        if late.is_empty() {
            return Ok(Some(lease.current.clone()));
        }
        let added = self.authority.current(marks, late, Age::Now).await?;
        // The versions first and the sequence second: what changes in between shows.
        let sequence = self.authority.sequence().await?;
        if holds(Rule::LateTags) && lease.sequence != Some(sequence) {
            return Ok(None);
        }
        let mut current = lease.current.clone();
        current.add_tags(added.tags, &added.seen);
        Ok(Some(current))
    }
}

impl<V> Wanted<'_, V> {
    /// The life of a lease for this load, over a backend whose calls may take so long.
    pub(crate) fn term(&self, backend: Duration) -> Term {
        Term::new(self.settings.hard_timeout, backend, self.lease_limit)
    }
}

impl Successor {
    /// The lease as it is to be renewed and taken back, under the entry's key.
    pub(crate) fn lease(&self, key: &Key) -> OwnLease {
        let (version, term) = (self.record.header.version, self.term);
        let is_answered = self.is_answered.load(Ordering::SeqCst);
        OwnLease { key: key.clone(), version, term, is_answered }
    }
}

impl Lease {
    /// The successor, if it may be under the key.
    pub(crate) fn sent_successor(&self) -> Option<&Successor> {
        self.successor.as_ref().filter(|successor| successor.is_sent.load(Ordering::SeqCst))
    }

    /// What to expect instead, if a change was refused by this load's own successor.
    fn met_successor(&self, outcome: &Outcome) -> Option<Expect> {
        let version = self.sent_successor()?.record.header.version;
        let Outcome::Refused(Some(there)) = outcome else { return None };
        (there.version == version).then_some(Expect::Version(version, None))
    }
}

/// A lease that tells which marks its load stands on.
pub(crate) fn lease_record(term: Term, current: &Current) -> Record {
    let mut record = Record::lease(term.length);
    record.header.epoch = current.epoch;
    record.header.tags.clone_from(&current.tags);
    record
}

/// Whether a load that takes twice as long as the last one would outlive the record.
fn dies_soon(header: &Header) -> bool {
    header.times.kept_left() < header.cost.saturating_mul(2)
}
