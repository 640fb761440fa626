//! Edits: changes that leave an entry's value as it is, or remove it. Pure functions of its times.
//!
//! `LocalCache`, `Cache` and `Swap` decide by them, so that a verb means the same everywhere.

use std::time::Duration;

use larder_core::{Kind, Life, NEVER, Record, Times, Version};

use crate::ops::step::Step;

/// A change of an entry that needs no new value. A new ttl begins now, so `touch` restarts the
/// entry's ttl.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    /// Removes the entry.
    Remove,
    /// Ends the entry's freshness: it is kept for its own grace, and dies no later than before.
    MarkStale,
    /// Gives a fresh entry this ttl, with its own grace.
    SetTtl(Duration),
    /// Restarts a fresh entry's life at its old length.
    Touch,
    /// Gives an entry this ttl, with its own grace, also if it is stale.
    Revive(Duration),
}

/// The state of an entry that an edit decides by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) times: Times,
    /// The entry's life by its times and its marks.
    pub(crate) life: Life,
    /// True if a mark has made the entry stale before its time.
    pub(crate) is_marked: bool,
    pub(crate) is_absent: bool,
}

/// The result of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// The entry stays as it is.
    Kept,
    /// The entry is removed.
    Removed,
    /// The entry is stale and has these times: loads that began before do not replace it.
    Stale(Times),
    /// The entry has these times.
    Retimed(Times),
}

/// Returns the record as a new write.
pub(crate) fn renewed(record: &Record) -> Record {
    let mut record = record.clone();
    record.header.version = Version::next();
    record.header.token = None;
    record
}

impl Subject {
    /// Returns the state of a record without marks. None for a lease, which is no entry, and for a
    /// dead record.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        let header = &record.header;
        let (life, is_absent) = (header.times.life(), header.kind == Kind::Absent);
        let is_entry = header.kind != Kind::Lease && life != Life::Dead;
        is_entry.then_some(Self { times: header.times, life, is_marked: false, is_absent })
    }
}

impl Edit {
    /// Applies the edit to the entry that is there, or to the lease or dead entry in its place.
    ///
    /// The grace of an entry without end is not stored: the entry gets the default grace.
    pub(crate) fn of(self, there: Option<Subject>, default_grace: Duration) -> Edited {
        let Some(there) = there.filter(|there| self.fits(there)) else { return self.otherwise() };
        let Times { fresh_for, kept_for, .. } = there.times;
        let own = if kept_for == NEVER { NEVER } else { kept_for.saturating_sub(fresh_for) };
        let grace = if fresh_for == NEVER { default_grace } else { own };
        match self {
            Self::Remove => Edited::Removed,
            Self::MarkStale => {
                let left = grace.min(there.times.kept_left());
                // The entry is fresh for no time: a store's clock that is set back makes nothing
                // fresh again.
                let times = Times::new(Duration::ZERO, left);
                if left.is_zero() { Edited::Removed } else { Edited::Stale(times) }
            }
            Self::SetTtl(ttl) | Self::Revive(ttl) if ttl.is_zero() => Edited::Removed,
            Self::SetTtl(ttl) | Self::Revive(ttl) => {
                Edited::Retimed(Times::new(ttl, ttl.saturating_add(grace)))
            }
            Self::Touch => Edited::Retimed(Times::new(fresh_for, kept_for)),
        }
    }

    /// True if the edit applies to an entry like this. A known absence can only be removed, and a
    /// value that a mark has made stale cannot be revived: its mark stays.
    pub(crate) fn fits(self, there: &Subject) -> bool {
        match self {
            Self::Remove => true,
            Self::MarkStale => !there.is_absent,
            Self::SetTtl(_) | Self::Touch => !there.is_absent && there.life == Life::Fresh,
            Self::Revive(_) => !there.is_absent && !there.is_marked,
        }
    }

    /// Returns the result for a lease, for an entry that a mark has ended, and for an entry that
    /// does not fit.
    const fn otherwise(self) -> Edited {
        match self {
            Self::Remove | Self::MarkStale => Edited::Removed,
            Self::SetTtl(_) | Self::Touch | Self::Revive(_) => Edited::Kept,
        }
    }
}

impl Edited {
    /// Returns the step that makes this edit to the record that is there.
    pub(crate) fn step(self, there: Option<&Record>) -> Step {
        match (self, there) {
            (Self::Removed, _) => Step::Delete,
            (Self::Retimed(times), Some(_)) => Step::Retime(times),
            // A change of validity is a new version, so loads that hold the old one are refused.
            (Self::Stale(times), Some(record)) => {
                let mut stale = renewed(record);
                stale.header.times = times;
                Step::Write(stale)
            }
            (Self::Kept, _) | (Self::Retimed(_) | Self::Stale(_), None) => Step::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::{Life, NEVER, Times};

    use super::{Edit, Edited, Subject};

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn times(age: u64, fresh_for: u64, kept_for: u64) -> Times {
        Times { age: secs(age), fresh_for: secs(fresh_for), kept_for: secs(kept_for) }
    }

    fn there(times: Times) -> Subject {
        Subject { times, life: times.life(), is_marked: false, is_absent: false }
    }

    #[test]
    fn an_entry_keeps_its_own_grace() {
        let fresh = Some(there(times(3, 10, 30)));
        assert_eq!(Edit::SetTtl(secs(5)).of(fresh, secs(99)), Edited::Retimed(times(0, 5, 25)));
        assert_eq!(Edit::MarkStale.of(fresh, secs(99)), Edited::Stale(times(0, 0, 20)));
        assert_eq!(Edit::Touch.of(fresh, secs(99)), Edited::Retimed(times(0, 10, 30)));
        let stale = Some(there(times(25, 10, 30)));
        assert_eq!(Edit::MarkStale.of(stale, secs(99)), Edited::Stale(times(0, 0, 5)));
        assert_eq!(Edit::Revive(secs(5)).of(stale, secs(99)), Edited::Retimed(times(0, 5, 25)));
        assert_eq!(Edit::Touch.of(stale, secs(99)), Edited::Kept);
        assert_eq!(Edit::SetTtl(secs(5)).of(stale, secs(99)), Edited::Kept);
        let endless = Some(there(Times { age: secs(3), fresh_for: NEVER, kept_for: NEVER }));
        assert_eq!(Edit::SetTtl(secs(5)).of(endless, secs(9)), Edited::Retimed(times(0, 5, 14)));
        assert_eq!(Edit::MarkStale.of(endless, secs(9)), Edited::Stale(times(0, 0, 9)));
    }

    #[test]
    fn an_entry_without_a_life_goes() {
        let fresh = Some(there(times(3, 10, 10)));
        for edit in [Edit::Remove, Edit::MarkStale, Edit::SetTtl(secs(0)), Edit::Revive(secs(0))] {
            assert_eq!(edit.of(fresh, secs(9)), Edited::Removed, "{edit:?}");
        }
    }

    #[test]
    fn marked_values_and_absences_are_not_given_a_life() {
        let marked = Subject { life: Life::Stale, is_marked: true, ..there(times(3, 10, 30)) };
        let absent = Subject { is_absent: true, ..there(times(3, 10, 30)) };
        for edit in [Edit::SetTtl(secs(5)), Edit::Touch, Edit::Revive(secs(5))] {
            for there in [Some(marked), Some(absent), None] {
                assert_eq!(edit.of(there, secs(9)), Edited::Kept, "{edit:?}");
            }
        }
        assert_eq!(Edit::MarkStale.of(Some(absent), secs(9)), Edited::Removed);
        assert_eq!(Edit::MarkStale.of(Some(marked), secs(9)), Edited::Stale(times(0, 0, 20)));
    }
}
