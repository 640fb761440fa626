//! Kinds of histories: their operations, faults and settings.

use std::time::Duration;

use fastrand::Rng;

use crate::simulation::oracle::Bounds;

/// An operation of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Load,
    LoadLate,
    LoadEarly,
    Refresh,
    GetWith,
    Get,
    GetStale,
    Peek,
    Insert,
    InsertIfAbsent,
    Replace,
    Remove,
    Invalidate,
    MarkStale,
    Touch,
    SetTtl,
    InvalidateTag,
    MarkTagStale,
    InvalidateAll,
    MarkAllStale,
}

/// A kind of histories.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings of a kind")]
pub(super) struct Mix {
    pub(super) name: &'static str,
    /// The operations of callers, with their weights.
    verbs: &'static [(Verb, u32)],
    tags: bool,
    /// True if so much time passes that tags die, and processes forget their marks.
    tag_lives: bool,
    /// True if loaders are slow, and tagged values become stale and are kept long.
    slow: bool,
    /// True if time passes during a history, and values have a ttl and grace.
    lives: bool,
    /// The share of histories in which callers have soft timeouts.
    impatience: f64,
    /// True if calls fail, are lost, come late or take too long.
    faults: bool,
}

/// Loads, inserts and changes of one key.
pub(super) const KEYS: Mix = Mix {
    name: "keys",
    verbs: &[
        (Verb::Load, 36),
        (Verb::GetWith, 4),
        (Verb::Get, 20),
        (Verb::Insert, 12),
        (Verb::Invalidate, 14),
        (Verb::Remove, 4),
        (Verb::InsertIfAbsent, 3),
        (Verb::Replace, 3),
        (Verb::MarkStale, 3),
        (Verb::Refresh, 3),
        (Verb::Peek, 2),
    ],
    tags: false,
    tag_lives: false,
    slow: false,
    lives: false,
    impatience: 0.3,
    faults: false,
};

/// Tags known early and late, and the epoch.
pub(super) const TAGS: Mix = Mix {
    name: "tags",
    verbs: &[
        (Verb::Load, 24),
        (Verb::LoadLate, 22),
        (Verb::LoadEarly, 10),
        (Verb::Get, 14),
        (Verb::InvalidateTag, 24),
        (Verb::InvalidateAll, 5),
        (Verb::Insert, 5),
        (Verb::Invalidate, 4),
        (Verb::Refresh, 3),
        (Verb::MarkTagStale, 3),
        (Verb::MarkAllStale, 2),
        (Verb::InsertIfAbsent, 3),
        (Verb::Replace, 2),
        (Verb::Remove, 3),
    ],
    tags: true,
    tag_lives: false,
    slow: false,
    lives: false,
    impatience: 0.3,
    faults: false,
};

/// Only loads that name their tag late, and changes of the tag.
pub(super) const LATE: Mix = Mix {
    name: "late",
    verbs: &[(Verb::LoadLate, 5), (Verb::InvalidateTag, 4), (Verb::Get, 1)],
    ..TAGS
};

/// Tags die, while values have no end.
pub(super) const TAG_LIVES: Mix = Mix {
    name: "tag lives",
    verbs: &[
        (Verb::Insert, 22),
        (Verb::InsertIfAbsent, 10),
        (Verb::Replace, 10),
        (Verb::Remove, 6),
        (Verb::InvalidateTag, 16),
        (Verb::MarkTagStale, 2),
        (Verb::Get, 14),
        (Verb::Load, 10),
        (Verb::LoadLate, 6),
        (Verb::LoadEarly, 4),
        (Verb::Touch, 2),
    ],
    tag_lives: true,
    ..TAGS
};

/// Only inserts, changes of their tag, and checks that the values are there.
pub(super) const TAG_ENDS: Mix = Mix {
    name: "tag ends",
    verbs: &[(Verb::Insert, 5), (Verb::InvalidateTag, 3), (Verb::Replace, 4)],
    ..TAG_LIVES
};

/// Time passes: values become stale, copies are compared, leases are waited for.
pub(super) const LIVES: Mix = Mix {
    name: "lives",
    verbs: &[
        (Verb::Load, 26),
        (Verb::LoadLate, 8),
        (Verb::LoadEarly, 4),
        (Verb::GetWith, 3),
        (Verb::Get, 18),
        (Verb::GetStale, 4),
        (Verb::Peek, 4),
        (Verb::MarkStale, 8),
        (Verb::MarkTagStale, 5),
        (Verb::MarkAllStale, 3),
        (Verb::InvalidateTag, 6),
        (Verb::InvalidateAll, 3),
        (Verb::Invalidate, 6),
        (Verb::Insert, 6),
        (Verb::Remove, 2),
        (Verb::Refresh, 5),
        (Verb::Touch, 3),
        (Verb::SetTtl, 3),
    ],
    tags: true,
    tag_lives: false,
    slow: false,
    lives: true,
    impatience: 0.3,
    faults: false,
};

/// Stale values are there while loads run, fail and hang: flights hand them out.
pub(super) const HAND_OUTS: Mix = Mix {
    name: "hand-outs",
    verbs: &[
        (Verb::GetWith, 30),
        (Verb::Load, 14),
        (Verb::LoadEarly, 3),
        (Verb::LoadLate, 3),
        (Verb::Get, 8),
        (Verb::GetStale, 8),
        (Verb::Refresh, 5),
        (Verb::Insert, 8),
        (Verb::InvalidateTag, 12),
        (Verb::MarkTagStale, 3),
        (Verb::InvalidateAll, 4),
        (Verb::MarkAllStale, 2),
        (Verb::Invalidate, 4),
        (Verb::MarkStale, 4),
    ],
    impatience: 0.7,
    ..LIVES
};

/// Only values with a tag, and loads by callers with short timeouts that do not name the tag.
pub(super) const OFFERS: Mix = Mix {
    name: "offers",
    verbs: &[(Verb::GetWith, 12), (Verb::Insert, 4), (Verb::InvalidateTag, 4)],
    slow: true,
    impatience: 1.0,
    ..LIVES
};

/// Only slow loads, and changes of both nodes.
pub(super) const SLOW: Mix = Mix {
    name: "slow",
    verbs: &[(Verb::GetWith, 8), (Verb::Invalidate, 3), (Verb::InvalidateTag, 2)],
    slow: true,
    impatience: 0.0,
    ..LIVES
};

/// Only loads, refreshes and a few changes of values that age.
pub(super) const STALE: Mix = Mix {
    name: "stale",
    verbs: &[
        (Verb::Load, 6),
        (Verb::GetWith, 3),
        (Verb::Refresh, 2),
        (Verb::Get, 1),
        (Verb::Insert, 1),
        (Verb::Invalidate, 1),
    ],
    tags: false,
    ..LIVES
};

/// Like [`LIVES`], over a store that fails: only a confirmed change promises anything.
pub(super) const FAULTS: Mix = Mix { name: "faults", lives: true, faults: true, ..LIVES };

/// The settings of one history.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings, drawn one by one")]
pub(super) struct Plan {
    pub(super) mix: Mix,
    pub(super) operations: u32,
    pub(super) keys: u64,
    pub(super) is_tagged: bool,
    /// True if the authority has a value when the history begins.
    pub(super) is_warm: bool,
    pub(super) waits_for_leases: bool,
    /// Short enough to be renewed in some histories, and lost where time passes.
    pub(super) lease_limit: Duration,
    pub(super) is_strict: bool,
    pub(super) loads_at_once: Option<usize>,
    pub(super) ttl: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) absent_ttl: Duration,
    pub(super) refresh_after: Option<Duration>,
    pub(super) soft_timeout: Option<Duration>,
    pub(super) hard_timeout: Duration,
    pub(super) backend_timeout: Duration,
    pub(super) local_ttl: Duration,
    pub(super) tag_check: Duration,
    pub(super) loaders_fail: bool,
    pub(super) loaders_hang: bool,
    /// The share of calls with a soft timeout.
    pub(super) impatient: f64,
    /// The share of calls that do not name the tag.
    pub(super) untagged: f64,
    pub(super) loses_records: bool,
    pub(super) drops_callers: bool,
    /// Weights of the next steps: an operation starts, a call arrives, a loader goes on.
    pub(super) start_weight: u32,
    pub(super) call_weight: u32,
    pub(super) loader_weight: u32,
    /// The largest share of operations on the first node.
    pub(super) first_node: f64,
}

impl Mix {
    pub(super) const fn has_time(&self) -> bool {
        self.lives || self.tag_lives
    }

    pub(super) const fn has_tag_lives(&self) -> bool {
        self.tag_lives
    }

    pub(super) const fn is_slow(&self) -> bool {
        self.slow
    }

    pub(super) const fn has_faults(&self) -> bool {
        self.faults
    }

    /// Returns how long calls are waited for: so many seconds where they fail, and else to their
    /// end.
    fn patience(self, seconds: u64) -> Duration {
        let seconds = match self {
            Self { faults: true, .. } => seconds,
            Self { tag_lives: true, .. } => 100 * 86_400,
            _ => 3_600,
        };
        Duration::from_secs(seconds)
    }

    pub(super) fn plan(self, rng: &mut Rng) -> Plan {
        let seconds = Duration::from_secs;
        let is_tagged = self.tags && (self.slow || rng.f64() < 0.9);
        let grace =
            if self.lives && (self.slow || rng.bool()) { seconds(10) } else { Duration::ZERO };
        let loaders_hang = self.lives && rng.f64() < 0.2;
        Plan {
            mix: self,
            operations: rng.u32(3..9),
            keys: if rng.f64() < if self.tag_lives { 0.5 } else { 0.15 } { 2 } else { 1 },
            is_tagged,
            is_warm: rng.f64() < 0.4,
            waits_for_leases: rng.f64() < 0.4,
            lease_limit: seconds(if self.lives && rng.bool() { 1 } else { 60 }),
            is_strict: self.faults && rng.f64() < 0.2,
            loads_at_once: (rng.f64() < 0.1).then_some(1),
            ttl: (self.lives && (self.slow || rng.f64() < 0.7)).then_some(seconds(6)),
            grace,
            absent_ttl: if self.lives && rng.f64() < 0.3 { seconds(2) } else { Duration::ZERO },
            soft_timeout: (self.lives && rng.f64() < self.impatience)
                .then(|| Duration::from_millis(if rng.bool() { 500 } else { 0 })),
            refresh_after: (self.lives && rng.f64() < 0.3).then_some(seconds(2)),
            hard_timeout: if loaders_hang { seconds(5) } else { self.patience(5) },
            backend_timeout: self.patience(2),
            local_ttl: seconds(3),
            tag_check: seconds(1),
            loaders_fail: self.lives && rng.f64() < 0.4,
            loaders_hang,
            impatient: if rng.bool() { 1.0 } else { 0.3 },
            untagged: if rng.bool() { 0.1 } else { 0.5 },
            loses_records: rng.f64() < 0.3,
            drops_callers: rng.f64() < 0.1,
            // Damage by a lost tag shows only where no change overlaps another.
            start_weight: if self.tag_lives && rng.bool() { 1 } else { rng.u32(1..12) },
            call_weight: if self.slow { 8 } else { rng.u32(1..8) },
            loader_weight: if self.slow { 1 } else { rng.u32(1..5) },
            first_node: if rng.bool() { 1.0 } else { 0.6 },
        }
    }
}

impl Plan {
    pub(super) fn verb(&self, rng: &mut Rng) -> Verb {
        let sum = self.mix.verbs.iter().map(|(_, weight)| weight).sum();
        let mut drawn = rng.u32(0..sum);
        for &(verb, weight) in self.mix.verbs {
            if drawn < weight {
                return verb;
            }
            drawn -= weight;
        }
        Verb::Get
    }

    /// Draws the time by which the clock moves at once.
    pub(super) fn step(&self, rng: &mut Rng) -> Option<Duration> {
        let steps: &[u64] = if self.mix.tag_lives {
            &[20, 2_000, 20 * MINUTE, 45 * MINUTE, 70 * MINUTE]
        } else if self.mix.faults {
            &[20, 150, 600, 1_000, 2_000, 3_000, 5_000]
        } else if self.mix.lives {
            &[20, 150, 600, 1_000, 2_000, 3_000, 6_000]
        } else if self.waits_for_leases {
            &[20, 150]
        } else {
            return None;
        };
        rng.choice(steps).copied().map(Duration::from_millis)
    }

    pub(super) fn bounds(&self) -> Bounds {
        if self.mix.faults {
            // A value that was loaded without the authority is not compared, and its load may be
            // long.
            let most = Duration::from_secs(60);
            return Bounds { key: most, marks: most };
        }
        Bounds { key: self.local_ttl, marks: self.tag_check }
    }
}

/// A minute, in milliseconds.
const MINUTE: u64 = 60_000;
