//! What the local tier holds for a cache: a value or a known absence, and what is noted beside it.

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
    /// As callers see it: a known absence is no value.
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

/// What is noted beside a held value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Metadata {
    /// The version of the record it is a copy of.
    pub(crate) version: Version,
    pub(crate) written_at: Timestamp,
    /// From when on a hit starts a refresh.
    pub(crate) refresh_at: Timestamp,
    /// From when on the epoch and the tags must be compared with the authority's.
    pub(crate) marks_due: Timestamp,
    /// From when on the copy itself must be compared.
    pub(crate) copy_due: Timestamp,
    /// What the load cost, and how eager XFetch is about it.
    pub(crate) cost: Duration,
    pub(crate) early_refresh: f64,
    /// How often a load has failed since, and until when the next one waits.
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
    /// Whether the copy may be served without being compared with the authority's.
    pub(crate) fn is_trusted(&self, now: Timestamp) -> bool {
        now < self.marks_due.min(self.copy_due)
    }

    /// Whether it is right but for its marks, which may have changed.
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

/// A held value as a closer look finds it.
#[derive(Clone)]
pub(crate) struct Entry<V> {
    pub(crate) content: Content<V>,
    pub(crate) life: Life,
    /// Whether only a mark has made it stale, before its time.
    pub(crate) is_marked: bool,
    pub(crate) fresh_until: Timestamp,
    pub(crate) kept_until: Timestamp,
    pub(crate) metadata: Metadata,
    /// The epoch and its tags as this process counted them when it was loaded.
    pub(crate) generation: Generation,
}

impl<V> Entry<V> {
    /// A value that stays fresh and is kept for this long from now on. No mark has made it stale.
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

    /// The entry as an edit sees it.
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

    /// Whether it is a value, and fresh.
    pub(crate) fn is_fresh_value(&self) -> bool {
        self.life == Life::Fresh && matches!(self.content, Content::Value(_))
    }

    /// The same value, to be renewed as the settings say.
    pub(crate) fn with_refresh(mut self, settings: &Settings) -> Self {
        self.metadata.refresh_at = self.metadata.written_at.after(settings.refresh_after);
        self.metadata.early_refresh = settings.early_refresh;
        self
    }
}
