//! Marks as the authority has them, and the lives that they leave to records.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder_core::{Epoch, Error, ErrorKind, Header, Kind, Life, Result, TagVersion, Timestamp};

use crate::tier::marks::here::Generation;

/// Marks as the authority has them.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) epoch: Epoch,
    pub(crate) tags: Vec<TagVersion>,
    /// The marks as this process counts them, taken in the same step.
    pub(crate) generation: Generation,
    /// The time at which the oldest of the marks was asked for.
    pub(crate) checked: Timestamp,
}

impl Current {
    /// Adds tags that were read later. A tag that is there already stays as it was.
    pub(crate) fn add_tags(&mut self, tags: Vec<TagVersion>, generation: &Generation) {
        for tag in tags {
            if self.tags.iter().all(|there| there.name != tag.name) {
                self.tags.push(tag);
            }
        }
        self.generation = std::mem::take(&mut self.generation).with_tags_of(generation);
    }
}

/// The age that an answer may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Asked for during this call.
    Now,
    /// Within the interval of checks.
    Checked,
}

/// The part of a mark that a change makes anew.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkChange {
    /// All records with the mark count as nothing from now on.
    Hard,
    /// All records with the mark are stale from now on.
    Soft,
}

/// Returns a record's life, by its times and by the marks: the worse of the two.
pub(crate) fn life(header: &Header, current: &Current) -> Life {
    match (standing(header, current), header.times.life()) {
        (Some(MarkChange::Hard), _) | (_, Life::Dead) => Life::Dead,
        (Some(MarkChange::Soft), _) => Life::Stale,
        (None, life) => life,
    }
}

/// True if a mark has changed since a record's load.
pub(crate) fn is_marked(header: &Header, current: &Current) -> bool {
    standing(header, current).is_some()
}

/// Returns the worst change of a mark since a record's load: the record is nothing after a hard
/// change, stale after a soft one.
fn standing(header: &Header, current: &Current) -> Option<MarkChange> {
    let is_bare = header.epoch == Epoch::NONE && header.tags.is_empty();
    if matches!(header.kind, Kind::Counter | Kind::Lease) && is_bare {
        // The record was made without a cache, and knows of no epoch.
        return None;
    }
    let now = |name: &Bytes| current.tags.iter().find(|tag| tag.name == *name);
    let hard = header.epoch.hard != current.epoch.hard
        || header.tags.iter().any(|tag| now(&tag.name).is_none_or(|now| now.hard != tag.hard));
    if hard {
        return Some(MarkChange::Hard);
    }
    let soft = header.epoch.soft != current.epoch.soft
        || header.tags.iter().any(|tag| now(&tag.name).is_none_or(|now| now.soft != tag.soft));
    soft.then_some(MarkChange::Soft)
}

/// Returns the time from which on the marks of a record's local copy must be compared.
pub(crate) fn marks_due(checked: Timestamp, every: Duration) -> Timestamp {
    checked.after(every)
}

/// Returns the names of a record's tags.
pub(crate) fn names(header: &Header) -> Result<Vec<Arc<str>>> {
    let name = |tag: &TagVersion| std::str::from_utf8(&tag.name).map(Arc::from);
    let names: std::result::Result<_, _> = header.tags.iter().map(name).collect();
    names.map_err(|error| Error::with_source(ErrorKind::Codec, "decode", error))
}
