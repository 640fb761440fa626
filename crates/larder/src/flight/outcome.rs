//! How a flight ends, and which of its values a caller may take.
//!
//! A value that was there before the flight's own loader ran carries its marks and its death: an
//! offer to those who do not wait, a copy of the backend's record, the fallback of a failed load. It
//! may have died since it was found, and the caller may have come after the change that ended it. So
//! it is judged again here, and nowhere else, at the moment at which a caller takes it. The one
//! exception are callers who came before the flight began to look: what it found answers them, as a
//! read does that takes a while.

use larder_core::{Error, Life, Timestamp};

use crate::support::rule::{Rule, holds};
use crate::tier::held::{Held, Looked};
use crate::tier::marks::here::Marks;

/// How a flight ends.
#[derive(Clone)]
pub(crate) enum Landed<V> {
    /// With a value or absence that its loader made: for all who joined it in time.
    Loaded(Held<V>),
    /// With a value or absence that was fresh when the flight found it.
    Found(Looked<V>),
    /// With a stale value, for all who wait: no load is due yet, or it takes too long for them.
    Stale(Looked<V>),
    /// With a failure, and the stale value that callers get in its place.
    FellBack(Looked<V>, Error),
    /// With nothing: there was no load.
    Miss,
    /// With a failure of the load, or of the shared tier.
    Failed(Error),
}

/// What a caller gets of a flight.
pub(crate) enum Taken<V> {
    Fresh(Held<V>),
    /// A value that was fresh when it was found, and is stale by now.
    Aged(Held<V>),
    /// A stale value in the place of a fresh one.
    Stale(Held<V>),
    /// Nothing.
    Nothing,
    /// Nothing that counts for this caller: the next look may find more.
    Again,
    /// Something whose marks must be compared with the backend's first.
    Due(Landed<V>),
    Failed(Error),
}

/// How a found value stands for one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Fresh,
    Stale,
    /// Its marks must be compared with the backend's first.
    Due,
    /// The copy must be compared with the backend's record first.
    Old,
    Dead,
}

/// By what a caller judges the values of a flight.
pub(crate) struct Judge<'a> {
    pub(crate) marks: &'a Marks,
    pub(crate) now: Timestamp,
    /// When the caller's call began.
    pub(crate) arrived: Timestamp,
    /// When the flight began.
    pub(crate) began: Timestamp,
    /// Whether the caller has compared the marks, so that those that are known here are of now.
    pub(crate) are_marks_checked: bool,
}

impl Judge<'_> {
    /// What the caller gets of a flight that has ended.
    pub(crate) fn take<V>(&self, landed: Landed<V>) -> Taken<V> {
        match landed {
            Landed::Loaded(held) => Taken::Fresh(held),
            Landed::Found(looked) if self.came_before() => Taken::Fresh(looked.held),
            Landed::Found(looked) => match self.standing(&looked) {
                Standing::Fresh => Taken::Fresh(looked.held),
                Standing::Stale => Taken::Aged(looked.held),
                Standing::Due => Taken::Due(Landed::Found(looked)),
                Standing::Old | Standing::Dead => Taken::Again,
            },
            Landed::Stale(looked) if self.came_before() => Taken::Stale(looked.held),
            Landed::Stale(looked) => self.take_offer(looked),
            Landed::FellBack(looked, error) => match self.standing(&looked) {
                Standing::Fresh | Standing::Stale => Taken::Stale(looked.held),
                Standing::Due => Taken::Due(Landed::FellBack(looked, error)),
                // The next look compares it, and no other load is due yet.
                Standing::Old => Taken::Again,
                Standing::Dead => Taken::Failed(error),
            },
            Landed::Miss => Taken::Nothing,
            Landed::Failed(error) => Taken::Failed(error),
        }
    }

    /// What the caller gets of a stale value that is offered while its load goes on.
    pub(crate) fn take_offer<V>(&self, looked: Looked<V>) -> Taken<V> {
        match self.standing(&looked) {
            Standing::Fresh | Standing::Stale => Taken::Stale(looked.held),
            Standing::Due => Taken::Due(Landed::Stale(looked)),
            Standing::Old | Standing::Dead => Taken::Again,
        }
    }

    /// A stale value that the caller itself has found.
    pub(crate) fn take_stale<V>(&self, looked: Looked<V>) -> Option<Held<V>> {
        match self.take_offer(looked) {
            Taken::Stale(held) => Some(held),
            _ => None,
        }
    }

    fn came_before(&self) -> bool {
        self.arrived <= self.began
    }

    fn standing<V>(&self, looked: &Looked<V>) -> Standing {
        let note = &looked.note;
        let is_due = |due: Timestamp| !self.came_before() && due <= self.arrived;
        let marked = self.marks.life(&looked.seen);
        if !holds(Rule::JudgedWhenTaken) {
            return if looked.life == Life::Fresh { Standing::Fresh } else { Standing::Stale };
        }
        if marked == Life::Dead || looked.kept_until <= self.now {
            Standing::Dead
        } else if is_due(note.copy_due) {
            Standing::Old
        } else if is_due(note.marks_due) && !self.are_marks_checked {
            Standing::Due
        } else if marked == Life::Stale || looked.is_marked || looked.fresh_until <= self.now {
            Standing::Stale
        } else {
            Standing::Fresh
        }
    }
}

impl<V: Clone> Landed<V> {
    /// How a flight ends with this value, which it has found.
    pub(crate) fn found(looked: &Looked<V>) -> Self {
        match looked.life {
            Life::Fresh => Self::Found(looked.clone()),
            _ => Self::Stale(looked.clone()),
        }
    }
}
