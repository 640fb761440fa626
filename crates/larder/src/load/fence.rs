//! The fence of a load, which must still be valid when the load commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_core::{Expect, Key, Outcome, Record, Result, StoreTime, Timestamp, Version};

use crate::support::mutation::{self, Rule};
use crate::tier::marks::current::{Age, Current};
use crate::tier::marks::here::{Generation, Marks};
use crate::tier::shared::Shared;
use crate::tier::shared::authority::Authority;

/// The fence of a load, which must still be valid when it commits, with the marks of its beginning.
pub(crate) enum Fence<V> {
    /// The flight alone: the local tier is the authority.
    Flight(Generation),
    /// A lease or a version at the authority, and the flight.
    Lease(Arc<Shared<V>>, Key, Box<Lease>),
    /// The flight alone, because the authority cannot be reached.
    Degraded(Generation),
}

/// A load's fence at the authority, and the marks as they were before the loader ran.
pub(crate) struct Lease {
    /// The expectation of the commit.
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
    /// True once the store has confirmed the lease. An unconfirmed lease may still land.
    pub(crate) is_answered: bool,
}

/// A lease under the key, to be written over a record that dies before its load has to end.
pub(crate) struct Successor {
    pub(crate) record: Record,
    /// The time to write it.
    pub(crate) at: Timestamp,
    pub(crate) term: Term,
    /// True if it may have been written.
    pub(crate) is_sent: AtomicBool,
    /// True if the store has answered.
    pub(crate) is_answered: AtomicBool,
}

/// The life of a new lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) length: Duration,
    /// True if the lease is shorter than the load may take.
    pub(crate) is_renewed: bool,
}

impl Term {
    /// The life of a lease for a load with this hard timeout, over a backend with this timeout.
    pub(crate) fn new(hard_timeout: Duration, backend: Duration, limit: Option<Duration>) -> Self {
        let load = hard_timeout.min(LONGEST_LOAD);
        let margin = backend.min(LONGEST_LOAD).saturating_add(MARGIN);
        let whole = load.saturating_add(margin);
        let Some(limit) = limit else { return Self { length: whole, is_renewed: false } };
        // A caller that waits as long as this load may take has half of that left once its process
        // is dead.
        let length = margin.max(load / 2).min(limit).min(whole);
        Self { length, is_renewed: length < whole }
    }
}

impl Successor {
    /// Returns the lease under the entry's key, to be renewed and taken back.
    pub(crate) fn lease(&self, key: &Key) -> OwnLease {
        let (version, term) = (self.record.header.version, self.term);
        let is_answered = self.is_answered.load(Ordering::SeqCst);
        OwnLease { key: key.clone(), version, term, is_answered }
    }
}

impl Lease {
    /// Writes the result of the load over its fence.
    pub(crate) async fn write(&self, authority: &Authority, key: &Key, record: &Record) -> Outcome {
        let outcome = authority.remote.write(key, record.clone(), self.expect.clone()).await;
        match self.met_successor(&outcome) {
            Some(expect) => authority.remote.write(key, record.clone(), expect).await,
            None => outcome,
        }
    }

    /// Deletes the record that the load is fenced over.
    pub(crate) async fn delete(&self, authority: &Authority, key: &Key) -> Outcome {
        let outcome = authority.remote.delete(key, self.expect.clone()).await;
        match self.met_successor(&outcome) {
            Some(expect) => authority.remote.delete(key, expect).await,
            None => outcome,
        }
    }

    /// Returns the marks with tags that only the loader's answer named. None if any tag of the
    /// namespace has changed since the fence.
    pub(crate) async fn with_late_tags(
        &self,
        authority: &Authority,
        marks: &Marks,
        late: &[Arc<str>],
    ) -> Result<Option<Current>> {
        if late.is_empty() {
            return Ok(Some(self.current.clone()));
        }
        let added = authority.current(marks, late, Age::Now).await?;
        // The versions come first and the sequence second, so that a change in between shows.
        let sequence = authority.sequence().await?;
        if mutation::holds(Rule::LateTags) && self.sequence != Some(sequence) {
            return Ok(None);
        }
        let mut current = self.current.clone();
        current.add_tags(added.tags, &added.generation);
        Ok(Some(current))
    }

    /// Returns the successor, if it may be under the key.
    pub(crate) fn sent_successor(&self) -> Option<&Successor> {
        self.successor.as_ref().filter(|successor| successor.is_sent.load(Ordering::SeqCst))
    }

    /// Returns the new expectation, if a change was refused by this load's own successor.
    fn met_successor(&self, outcome: &Outcome) -> Option<Expect> {
        let version = self.sent_successor()?.record.header.version;
        let Outcome::Refused(Some(there)) = outcome else { return None };
        (there.version == version).then_some(Expect::Version(version, None))
    }
}

/// A lease outlives its load by this and the backend's timeout.
const MARGIN: Duration = Duration::from_secs(1);
/// A load without a hard timeout is fenced for this long: a lease that is lost must end some day.
pub(crate) const LONGEST_LOAD: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::NEVER;

    use super::Term;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_that_cannot_be_renewed_outlives_its_load() {
        for (hard_timeout, length) in [(30, 33), (600, 603), (u64::MAX, 3_603)] {
            let term = Term::new(secs(hard_timeout), secs(2), None);
            assert_eq!(term, Term { length: secs(length), is_renewed: false });
        }
    }

    #[test]
    fn a_lease_that_is_renewed_leaves_a_waiter_half_of_its_time() {
        for (hard_timeout, length) in [(30, 15), (100, 50), (600, 60), (4, 3)] {
            let term = Term::new(secs(hard_timeout), secs(2), Some(secs(60)));
            assert_eq!(term, Term { length: secs(length), is_renewed: true });
        }
        let limited = Term::new(NEVER, NEVER, Some(secs(2)));
        assert_eq!(limited, Term { length: secs(2), is_renewed: true });
    }

    #[test]
    fn a_lease_as_long_as_its_load_is_not_renewed() {
        let term = Term::new(Duration::ZERO, secs(2), Some(secs(60)));
        assert_eq!(term, Term { length: secs(3), is_renewed: false });
    }
}
