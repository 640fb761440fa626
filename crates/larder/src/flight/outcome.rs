//! The end of a flight, and the values of it that a caller may take.
//!
//! A value that was there before the flight's own loader ran carries its marks and its death. It is
//! an offer to callers that do not wait, a copy of the backend's record, or the fallback of a
//! failed load. It may have died since it was found, and the caller may have come after the change
//! that ended it. It is therefore judged again here, and nowhere else, at the moment at which a
//! caller takes it. The one exception are callers that came before the flight began to read: they
//! get the value that it found, as from a read that takes a while.

use larder_core::{Error, Life, Timestamp};

use crate::support::mutation::{self, Rule};
use crate::tier::entry::{Content, Entry};
use crate::tier::marks::here::Marks;

/// The outcome of a flight.
#[derive(Clone)]
pub(crate) enum Landed<V> {
    /// A value or absence that the loader made: for all callers that joined in time.
    Loaded(Content<V>),
    /// A value or absence that was fresh when the flight found it.
    Found(Entry<V>),
    /// A stale value, for all callers that wait: no load is due yet, or it takes too long for them.
    Stale(Entry<V>),
    /// A failure, and the stale value that callers get in its place.
    FellBack(Entry<V>, Error),
    /// No value: there was no load.
    Miss,
    /// A failure of the load, or of the shared tier.
    Failed(Error),
}

/// The part of a flight's outcome that one caller gets.
pub(crate) enum Taken<V> {
    Fresh(Content<V>),
    /// A value that was fresh when it was found, and is stale by now.
    Aged(Content<V>),
    /// A stale value in the place of a fresh one.
    Stale(Content<V>),
    /// No value.
    Nothing,
    /// No value that counts for this caller: its next read may find more.
    Again,
    /// A value whose marks must be compared with the backend's first.
    Due(Landed<V>),
    Failed(Error),
}

/// The validity of a found value for one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validity {
    Fresh,
    Stale,
    /// The value's marks must be compared with the backend's first.
    Due,
    /// The copy must be compared with the backend's record first.
    Old,
    Dead,
}

/// The data by which a caller judges the values of a flight.
pub(crate) struct Judge<'a> {
    pub(crate) marks: &'a Marks,
    pub(crate) now: Timestamp,
    /// The start of the caller's call.
    pub(crate) arrived: Timestamp,
    /// The start of the flight.
    pub(crate) began: Timestamp,
    /// True if the caller has compared the marks, so that the known ones are current.
    pub(crate) are_marks_checked: bool,
}

impl Judge<'_> {
    /// Returns the part of an ended flight's outcome that the caller gets.
    pub(crate) fn take<V>(&self, landed: Landed<V>) -> Taken<V> {
        match landed {
            Landed::Loaded(content) => Taken::Fresh(content),
            Landed::Found(entry) if self.came_before() => Taken::Fresh(entry.content),
            Landed::Found(entry) => match self.standing(&entry) {
                Validity::Fresh => Taken::Fresh(entry.content),
                Validity::Stale => Taken::Aged(entry.content),
                Validity::Due => Taken::Due(Landed::Found(entry)),
                Validity::Old | Validity::Dead => Taken::Again,
            },
            Landed::Stale(entry) if self.came_before() => Taken::Stale(entry.content),
            Landed::Stale(entry) => self.take_offer(entry),
            Landed::FellBack(entry, error) => match self.standing(&entry) {
                Validity::Fresh | Validity::Stale => Taken::Stale(entry.content),
                Validity::Due => Taken::Due(Landed::FellBack(entry, error)),
                // The caller's next read compares the copy, and no other load is due yet.
                Validity::Old => Taken::Again,
                Validity::Dead => Taken::Failed(error),
            },
            Landed::Miss => Taken::Nothing,
            Landed::Failed(error) => Taken::Failed(error),
        }
    }

    /// Returns the part that the caller gets of a stale value that is offered while its load goes
    /// on.
    pub(crate) fn take_offer<V>(&self, entry: Entry<V>) -> Taken<V> {
        match self.standing(&entry) {
            Validity::Fresh | Validity::Stale => Taken::Stale(entry.content),
            Validity::Due => Taken::Due(Landed::Stale(entry)),
            Validity::Old | Validity::Dead => Taken::Again,
        }
    }

    /// Returns a stale value that the caller itself has found, if the caller may take it.
    pub(crate) fn take_stale<V>(&self, entry: Entry<V>) -> Option<Content<V>> {
        match self.take_offer(entry) {
            Taken::Stale(content) => Some(content),
            _ => None,
        }
    }

    fn came_before(&self) -> bool {
        self.arrived <= self.began
    }

    fn standing<V>(&self, entry: &Entry<V>) -> Validity {
        let metadata = &entry.metadata;
        let is_due = |due: Timestamp| !self.came_before() && due <= self.arrived;
        let marked = self.marks.life(&entry.generation);
        if !mutation::holds(Rule::JudgedWhenTaken) {
            return if entry.life == Life::Fresh { Validity::Fresh } else { Validity::Stale };
        }
        if marked == Life::Dead || entry.kept_until <= self.now {
            Validity::Dead
        } else if is_due(metadata.copy_due) {
            Validity::Old
        } else if is_due(metadata.marks_due) && !self.are_marks_checked {
            Validity::Due
        } else if marked == Life::Stale || entry.is_marked || entry.fresh_until <= self.now {
            Validity::Stale
        } else {
            Validity::Fresh
        }
    }
}

impl<V: Clone> Landed<V> {
    /// Returns the outcome of a flight that has found this value.
    pub(crate) fn found(entry: &Entry<V>) -> Self {
        match entry.life {
            Life::Fresh => Self::Found(entry.clone()),
            _ => Self::Stale(entry.clone()),
        }
    }
}
