//! An entry of a cache's local tier: a value or a known absence, with its metadata.

use std::time::Duration;

use larder_core::{Life, Times, Timestamp, Version};

use crate::ops::edit::Subject;
use crate::options::Settings;
use crate::tier::local::EntryMetadata;
use crate::tier::marks::here::Generation;

/// A value, or the knowledge that there is none.
#[derive(Clone, Debug)]
pub(crate) enum Content<V> {
    Value(V),
    Absent,
    /// A number, where the local tier is the authority. Only the verbs of counters see it.
    Counter(i64),
}

impl<V> Content<V> {
    /// Returns the value as callers get it: a known absence is no value.
    pub(crate) fn into_option(self) -> Option<V> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Counter(_) => None,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// Metadata of one entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Metadata {
    /// The version of the record that the entry is a copy of.
    pub(crate) version: Version,
    pub(crate) written_at: Timestamp,
    /// The time from which on a hit starts a refresh.
    pub(crate) refresh_at: Timestamp,
    /// The time from which on the epoch and the tags must be compared with the authority's.
    pub(crate) marks_due: Timestamp,
    /// The time from which on the copy itself must be compared.
    pub(crate) copy_due: Timestamp,
    /// The duration of the load, and the factor that XFetch multiplies it with.
    pub(crate) cost: Duration,
    pub(crate) early_refresh: f64,
    /// The number of loads that have failed since, and the time until which the next load waits.
    pub(crate) failures: u32,
    pub(crate) retry_at: Timestamp,
}

/// Most entries of a cache in memory alone: no load of theirs has failed, and none is refreshed or
/// compared. Only their age is kept. The cost of their load is of use only to an early refresh, and is
/// forgotten.
impl EntryMetadata for Metadata {
    /// Nanoseconds of the clock.
    type Brief = u64;

    fn brief(metadata: Option<&Self>) -> Option<u64> {
        let metadata = metadata?;
        let brief = Self::new(Version::NONE, metadata.written_at);
        let is_brief = Self { cost: metadata.cost, ..brief } == *metadata;
        is_brief.then(|| metadata.written_at.as_nanos())
    }

    fn from_brief(written_at: u64) -> Option<Self> {
        Some(Self::new(Version::NONE, Timestamp::from_nanos(written_at)))
    }
}

impl Metadata {
    /// The same metadata, to be renewed as the settings say.
    pub(crate) fn with_refresh(self, settings: &Settings) -> Self {
        let refresh_at = self.written_at.after(settings.refresh_after);
        Self { refresh_at, early_refresh: settings.early_refresh, ..self }
    }

    /// True if the copy may be served without being compared with the authority's.
    pub(crate) fn is_trusted(&self, now: Timestamp) -> bool {
        now < self.marks_due.min(self.copy_due)
    }

    /// True if the copy needs no comparison itself. Its marks may need one.
    pub(crate) fn is_copy_trusted(&self, now: Timestamp) -> bool {
        now < self.copy_due
    }

    pub(crate) fn new(version: Version, written_at: Timestamp) -> Self {
        Self {
            version,
            written_at,
            refresh_at: Timestamp::FAR,
            marks_due: Timestamp::FAR,
            copy_due: Timestamp::FAR,
            cost: Duration::ZERO,
            early_refresh: 0.0,
            failures: 0,
            retry_at: Timestamp::ZERO,
        }
    }
}

/// An entry with its life, judged at one moment.
#[derive(Clone)]
pub(crate) struct Entry<V> {
    pub(crate) content: Content<V>,
    pub(crate) life: Life,
    /// True if only a mark has made the entry stale, before its time.
    pub(crate) is_marked: bool,
    pub(crate) fresh_until: Timestamp,
    pub(crate) kept_until: Timestamp,
    pub(crate) metadata: Metadata,
    /// The epoch and the entry's tags as this process counted them when the entry was loaded.
    pub(crate) generation: Generation,
}

impl<V> Entry<V> {
    /// Makes an entry that stays fresh and is kept for this long from now on. No mark has made it
    /// stale.
    pub(crate) fn new(
        content: Content<V>,
        metadata: Metadata,
        now: Timestamp,
        (fresh_for, kept_for): (Duration, Duration),
        generation: Generation,
    ) -> Self {
        let life = if fresh_for.is_zero() { Life::Stale } else { Life::Fresh };
        let (fresh_until, kept_until) = (now.after(fresh_for), now.after(kept_for));
        Self { content, life, is_marked: false, fresh_until, kept_until, metadata, generation }
    }

    /// Returns the entry's times and state for an edit.
    pub(crate) fn subject(&self, now: Timestamp) -> Subject {
        let written_at = self.metadata.written_at;
        let times = Times {
            age: now.since(written_at),
            fresh_for: self.fresh_until.since(written_at),
            kept_for: self.kept_until.since(written_at),
        };
        let is_absent = self.content.is_absent();
        Subject { times, life: self.life, is_marked: self.is_marked, is_absent }
    }

    /// True if the entry is a fresh value.
    pub(crate) fn is_fresh_value(&self) -> bool {
        self.life == Life::Fresh && matches!(self.content, Content::Value(_))
    }

    /// Returns the entry with the refresh times of the settings.
    pub(crate) fn with_refresh(self, settings: &Settings) -> Self {
        Self { metadata: self.metadata.with_refresh(settings), ..self }
    }
}
