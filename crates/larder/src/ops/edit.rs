//! Changes of an entry that leave its value as it is, or take it away.

use std::time::Duration;

use larder_core::{Life, Record, Times, Timestamp, Version};

use crate::ops::Step;
use crate::options::{Settings, Ttl};
use crate::tier::freshness::lives;
use crate::tier::held::Looked;

/// What is to be done to an entry.
#[derive(Clone, Copy)]
pub(crate) enum Edit {
    Remove,
    MarkStale,
    SetTtl(Ttl),
    Touch,
    Revive(Ttl),
}

impl Edit {
    /// Whether it is done to what stands like this. A known absence can only be taken away, and a
    /// value that a mark has made stale cannot be revived: its mark stays.
    pub(crate) fn fits<V>(self, looked: &Looked<V>) -> bool {
        let is_value = !looked.held.is_absent();
        match self {
            Self::Remove => true,
            Self::MarkStale => is_value,
            Self::SetTtl(_) | Self::Touch => is_value && looked.life == Life::Fresh,
            Self::Revive(_) => is_value && !looked.is_marked,
        }
    }

    /// What is done to a lease, to what is dead by a mark, or to a value that does not fit.
    pub(crate) fn otherwise(self) -> Step {
        match self {
            Self::Remove | Self::MarkStale => Step::Delete,
            Self::SetTtl(_) | Self::Touch | Self::Revive(_) => Step::Keep,
        }
    }

    /// How long the value is fresh and kept from now on; none if it goes.
    pub(crate) fn lives(
        self,
        settings: &Settings,
        now: Timestamp,
        whole: Duration,
        grace: Duration,
    ) -> Option<(Duration, Duration)> {
        let (fresh, kept) = match self {
            Self::Remove => return None,
            Self::MarkStale => (Duration::ZERO, settings.grace),
            Self::SetTtl(ttl) | Self::Revive(ttl) => lives(settings, ttl, now, || 0.0),
            Self::Touch => (whole, whole.saturating_add(grace)),
        };
        (!kept.is_zero()).then_some((fresh, kept))
    }

    pub(crate) fn step(
        self,
        settings: &Settings,
        record: &Record,
        now: Timestamp,
        written_at: Timestamp,
    ) -> Step {
        let old = record.header.times;
        let grace = old.kept_for.saturating_sub(old.fresh_for);
        let Some((fresh, kept)) = self.lives(settings, now, old.fresh_for, grace) else {
            return Step::Delete;
        };
        let age = if matches!(self, Self::Touch) { Duration::ZERO } else { now.since(written_at) };
        let times =
            Times { age, fresh_for: age.saturating_add(fresh), kept_for: age.saturating_add(kept) };
        if !matches!(self, Self::MarkStale) {
            return Step::Retime(times);
        }
        // A change of validity is a new version, so loads that hold the old one are refused.
        let mut stale = record.clone();
        stale.header.version = Version::next();
        stale.header.token = None;
        stale.header.times = Times {
            fresh_for: Duration::ZERO,
            kept_for: times.kept_for.min(old.kept_for),
            ..times
        };
        Step::Write(stale)
    }
}
