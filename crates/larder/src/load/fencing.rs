//! Taking a load's fence at the authority.
//!
//! Before a loader runs, the authority holds a record for the commit to compare with. Where there
//! is no record, or one that may not be served any more, the load leaves a lease under the key.
//! Over a record that may be served the fence is the record's version; a lease beside it
//! (`beside.rs`) keeps other processes from loading the same version. A change of the key takes the
//! lease or the version away, and the commit is refused. A commit never expects "absent": a record
//! that was absent before the load may have been written and deleted meanwhile.
//!
//! A lease under the key carries the epoch and the versions of the tags that are known before the
//! load. Where one of them has changed, the load cannot be kept, so others replace the lease at
//! once instead of waiting for it.

use std::time::Duration;

use larder_core::{Expect, Header, Key, Kind, Outcome, Record, Result, Timestamp, Version};

use crate::load::fence::{Lease, OwnLease, Term};
use crate::ops::swap::contended;
use crate::options::Settings;
use crate::support::mutation::{self, Rule};
use crate::tier::entry::Entry;
use crate::tier::marks::current::{Age, Current};
use crate::tier::marks::here::Marks;
use crate::tier::shared::{Found, Shared};

/// How often a load tries to take its fence over records that change meanwhile.
pub(crate) const TRIES: usize = 16;

/// The result of an attempt to fence a load.
pub(crate) enum Fenced<V> {
    /// The load may run. The lease comes with the usable value that is there.
    Taken(Box<Lease>, Option<Entry<V>>),
    /// Another process's load has the answer.
    Answered(Entry<V>),
    /// Another process's load of the key has just failed. Its failure comes with the value that is
    /// there, and with how long the next load waits.
    Failed(Option<Entry<V>>, Duration),
    /// Another process is loading the key, and this load need not run.
    Left,
}

/// The arguments for taking a load's fence.
pub(crate) struct Fencing<'a, V> {
    pub(crate) shared: &'a Shared<V>,
    pub(crate) marks: &'a Marks,
    pub(crate) key: &'a Key,
    pub(crate) settings: &'a Settings,
    pub(crate) late_tags: bool,
    /// True if the load has to run, however an earlier one has ended.
    pub(crate) is_forced: bool,
    pub(crate) others: Others,
    /// The longest life of a lease. None if this load cannot renew it.
    pub(crate) lease_limit: Option<Duration>,
    /// Until when the load waits for other processes' loads.
    pub(crate) patience: Timestamp,
    /// True if a value that is found meanwhile answers the load's callers.
    pub(crate) is_answer: Predicate<'a, V>,
    /// True if a value may be served after a failed load.
    pub(crate) is_fallback: Predicate<'a, V>,
    /// Takes back a lease that is of no use, without anybody waiting for it.
    pub(crate) take_back: &'a (dyn Fn(OwnLease) + Send + Sync),
}

type Predicate<'a, V> = &'a (dyn Fn(&Entry<V>) -> bool + Send + Sync);

/// The way to treat another process's lease of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Wait for its load.
    Wait,
    /// Load too: the first result is kept.
    Race,
    /// Leave the key to it.
    Leave,
}

/// The next step of an attempt.
pub(crate) enum Step<V> {
    Done(Fenced<V>),
    /// Another record is there now.
    Again(Found<V>),
}

impl<V: Clone + 'static> Fencing<'_, V> {
    /// Fences a load over the record that is there.
    pub(crate) async fn fence(&self, mut found: Found<V>) -> Result<Fenced<V>> {
        let mut refused = 0;
        // The lease whose load this one has waited for.
        let mut awaited = None;
        while refused < TRIES {
            if let Some(lease) = self.live_lease(&found).await? {
                match self.others {
                    Others::Leave => return Ok(Fenced::Left),
                    Others::Wait if !self.is_out_of_patience() => {
                        awaited = Some(lease.version);
                        found = self.outlast(lease).await?;
                    }
                    Others::Race | Others::Wait => {
                        let expect = Expect::exactly(&lease);
                        let lease = self.hold(expect, None).await?;
                        return Ok(Fenced::Taken(Box::new(lease), None));
                    }
                }
            } else {
                refused += 1;
                found = match self.fence_over(found, &mut awaited).await? {
                    Step::Done(fenced) => return Ok(fenced),
                    Step::Again(found) => found,
                };
            }
            if let Found::Usable(entry, _) = &found
                && (self.is_answer)(entry)
            {
                return Ok(Fenced::Answered(entry.clone()));
            }
            if let Some(left) = self.failure_of(&mut awaited, &found).await? {
                return Ok(Fenced::Failed(found.into_entry(), left));
            }
        }
        Err(contended("lease"))
    }

    /// Reads the key and judges what is there.
    pub(super) async fn find(&self, known: Option<&Entry<V>>) -> Result<Found<V>> {
        self.shared.find(self.key, self.marks, Age::Checked, known).await
    }

    /// The life of a lease for this load.
    pub(super) fn term(&self) -> Term {
        let backend = self.shared.authority.remote.timeout;
        Term::new(self.settings.hard_timeout, backend, self.lease_limit)
    }

    pub(super) fn is_out_of_patience(&self) -> bool {
        self.shared.authority.remote.clock.now() >= self.patience
    }

    /// Takes a fence where no other load's lease is in the way.
    async fn fence_over(&self, found: Found<V>, awaited: &mut Option<Version>) -> Result<Step<V>> {
        match found {
            // A load on its caller's thread cannot replace the record later.
            Found::Usable(entry, record)
                if self.lease_limit.is_none() && dies_soon(&record.header) =>
            {
                let expect = Expect::exactly(&record.header);
                self.leave_lease(Some(entry), expect, awaited).await
            }
            Found::Usable(entry, record) => self.fence_beside(Some(entry), record.header).await,
            // The record holds a number and no value: a load that fails must leave it alone.
            Found::Unusable(header) if header.kind == Kind::Counter => {
                self.fence_beside(None, header).await
            }
            Found::Unusable(header) => {
                let expect = Expect::exactly(&header);
                self.leave_lease(None, expect, awaited).await
            }
            Found::Nothing if !mutation::holds(Rule::Lease) => {
                let lease = self.hold(Expect::Absent, None).await?;
                Ok(Step::Done(Fenced::Taken(Box::new(lease), None)))
            }
            Found::Nothing => self.leave_lease(None, Expect::Absent, awaited).await,
        }
    }

    /// Writes a lease under the key, over the record that was found there.
    async fn leave_lease(
        &self,
        entry: Option<Entry<V>>,
        over: Expect,
        awaited: &mut Option<Version>,
    ) -> Result<Step<V>> {
        let mut lease = self.hold(Expect::Any, None).await?;
        let term = self.term();
        let record = lease_record(term, &lease.current);
        let version = record.header.version;
        lease.expect = Expect::Version(version, None);
        let own = |is_answered| OwnLease { key: self.key.clone(), version, term, is_answered };
        match self.shared.authority.remote.write(self.key, record, over).await {
            Outcome::Done => {
                lease.own = Some(own(true));
                Ok(Step::Done(Fenced::Taken(Box::new(lease), entry)))
            }
            Outcome::Refused(there) => {
                let there = there.filter(|there| there.kind == Kind::Lease);
                *awaited = there.map(|there| there.version);
                // Another caller was faster and may have the answer.
                Ok(Step::Again(self.find(None).await?))
            }
            Outcome::Failed(error) => Err(error),
            Outcome::Unknown(error) => {
                // The lease may have been written, and then others would wait for it.
                (self.take_back)(own(false));
                Err(error)
            }
        }
    }

    /// Captures the marks, from the authority and not from what is known here.
    pub(crate) async fn hold(&self, expect: Expect, own: Option<OwnLease>) -> Result<Lease> {
        let tags = self.settings.tags();
        let current = self.shared.authority.current(self.marks, tags, Age::Now).await?;
        let mut sequence = None;
        if self.late_tags {
            sequence = Some(self.shared.authority.sequence().await?);
        }
        let born = self.shared.authority.remote.store_now().await;
        Ok(Lease { expect, own, successor: None, current, sequence, born })
    }
}

/// Makes a lease record with the marks that its load depends on.
pub(crate) fn lease_record(term: Term, current: &Current) -> Record {
    let mut record = Record::lease(term.length);
    record.header.epoch = current.epoch;
    record.header.tags.clone_from(&current.tags);
    record
}

/// True if a load that takes twice as long as the last one would outlive the record.
fn dies_soon(header: &Header) -> bool {
    header.times.kept_left() < header.cost.saturating_mul(2)
}
