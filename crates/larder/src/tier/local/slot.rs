//! Entries as the local tier stores them.

use std::cell::Cell;
use std::time::Duration;

use larder_core::{Life, Timestamp};

use crate::support::sync::Arc;
use crate::support::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::tier::local::candidate::EntryMetadata;
use crate::tier::local::engine::Weigh;
use crate::tier::marks::here::{Marks, TagGeneration};

/// A value and the data that every hit needs, inline: the value's size, 24 bytes and the brief form
/// of its metadata.
pub(super) struct Slot<V, N: EntryMetadata> {
    pub(super) value: V,
    pub(super) meta: Option<Box<Meta<N>>>,
    brief: N::Brief,
    /// Nanoseconds. Atomic, because the time is put off while other threads read.
    pub(super) attend_at: AtomicU64,
    /// The count of changes of marks up to which the entry is known to be untouched.
    settled: AtomicU32,
    last_used: AtomicU32,
}

/// The other data of an entry, present only where it does not follow from the slot and the tier's
/// settings.
pub(super) struct Meta<N> {
    pub(super) fresh_until: Timestamp,
    pub(super) kept_until: Timestamp,
    pub(super) weight: u32,
    pub(super) tags: Option<Arc<[TagGeneration]>>,
    pub(super) metadata: Option<N>,
}

impl<V, N: EntryMetadata> Slot<V, N> {
    pub(super) const fn new(
        value: V,
        attend_at: Timestamp,
        settled: u32,
        last_used: u32,
        brief: N::Brief,
        meta: Option<Box<Meta<N>>>,
    ) -> Self {
        Self {
            value,
            meta,
            brief,
            attend_at: AtomicU64::new(attend_at.as_nanos()),
            settled: AtomicU32::new(settled),
            last_used: AtomicU32::new(last_used),
        }
    }

    #[inline]
    pub(super) fn settled(&self) -> u32 {
        self.settled.load(Ordering::Relaxed)
    }

    pub(super) fn attend_at(&self) -> Timestamp {
        Timestamp::from_nanos(self.attend_at.load(Ordering::Relaxed))
    }

    /// Returns the end of freshness. Without metadata it is the time of the first closer look.
    pub(super) fn fresh_until(&self) -> Timestamp {
        self.meta.as_ref().map_or_else(|| self.attend_at(), |meta| meta.fresh_until)
    }

    /// Returns the end of the entry. Without metadata it is kept for the tier's own grace.
    pub(super) fn kept_until(&self, grace: Duration) -> Timestamp {
        let derived = || self.fresh_until().after(grace);
        self.meta.as_ref().map_or_else(derived, |meta| meta.kept_until)
    }

    pub(super) fn tags(&self) -> Option<&Arc<[TagGeneration]>> {
        self.meta.as_ref()?.tags.as_ref()
    }

    pub(super) fn metadata(&self) -> Option<N> {
        match &self.meta {
            Some(meta) => meta.metadata.clone(),
            None => N::from_brief(self.brief),
        }
    }

    pub(super) fn last_used(&self) -> u32 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// Returns the entry's life by invalidations alone. Notes the count up to which nothing touched
    /// it.
    pub(super) fn marked(&self, marks: &Marks) -> Life {
        let (life, settled) = marks.settle(self.settled(), self.all_tags());
        self.settled.store(settled, Ordering::Relaxed);
        life
    }

    fn all_tags(&self) -> &[TagGeneration] {
        self.tags().map(|tags| &**tags).unwrap_or_default()
    }

    /// True if a reader that gets only the copy must look closer.
    #[inline]
    fn needs_attention(&self) -> bool {
        self.last_used() != UNTRACKED && Reader::current().has_missed(&self.last_used)
    }
}

/// The copy that a reader gets. It is made under the engine's lock. The metadata stays behind. A
/// judgement that is possible only there is made there, with its result in `attend_at`. A copy is
/// never put.
impl<V: Clone, N: EntryMetadata> Clone for Slot<V, N> {
    #[inline]
    fn clone(&self) -> Self {
        let attend_at =
            if self.needs_attention() { 0 } else { self.attend_at.load(Ordering::Relaxed) };
        Self {
            value: self.value.clone(),
            meta: None,
            brief: N::Brief::default(),
            attend_at: AtomicU64::new(attend_at),
            settled: AtomicU32::new(self.settled()),
            last_used: AtomicU32::new(self.last_used()),
        }
    }
}

impl<V, N: EntryMetadata> Weigh for Slot<V, N> {
    #[inline]
    fn weight(&self) -> u32 {
        self.meta.as_ref().map_or(1, |meta| meta.weight)
    }
}

/// The reader, for a `clone` that takes no arguments. Set only where idle time is tracked.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    /// The time of the read, in ticks of [`Idle`].
    pub(super) now: u32,
    /// The idle time that ends an entry, in ticks.
    pub(super) limit: u32,
    /// True if the read counts as a use.
    pub(super) uses: bool,
}

impl Reader {
    /// The reader of a walk over entries: it does not use them, and they are judged elsewhere.
    pub(super) const NOBODY: Self = Self { now: 0, limit: u32::MAX, uses: false };

    #[inline]
    pub(super) fn announce(self) {
        READER.set(self);
    }

    #[inline]
    fn current() -> Self {
        READER.get()
    }

    /// True if the entry's idle time has run out; if not, a use starts it anew.
    #[inline]
    fn has_missed(self, last_used: &AtomicU32) -> bool {
        let last = last_used.load(Ordering::Relaxed);
        let idle = idle_ticks(self.now, last);
        if idle >= self.limit {
            return true;
        }
        if self.uses && idle != 0 {
            last_used.store(self.now, Ordering::Relaxed);
        }
        false
    }
}

thread_local! {
    static READER: Cell<Reader> = const { Cell::new(Reader::NOBODY) };
}

/// The unit of idle time: ticks that fit 32 bits for longer than the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    tick_nanos: u64,
    limit: u32,
}

impl Idle {
    pub(super) fn new(tti: Duration) -> Self {
        let nanos = u64::try_from(tti.as_nanos()).unwrap_or(u64::MAX);
        let tick_nanos = (nanos / MAX_LIMIT).max(MIN_TICK_NANOS);
        let limit = u32::try_from(nanos.div_ceil(tick_nanos)).unwrap_or(u32::MAX);
        Self { tick_nanos, limit: limit.max(1) }
    }

    /// Tracks uses, and ends no entry.
    pub(super) const fn endless() -> Self {
        Self { tick_nanos: ENDLESS_TICK_NANOS, limit: u32::MAX }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "ticks wrap, and are compared so")]
    pub(super) const fn tick(self, now: Timestamp) -> u32 {
        let tick = (now.as_nanos() / self.tick_nanos) as u32;
        if tick == UNTRACKED { tick - 1 } else { tick }
    }

    #[inline]
    pub(super) fn reader(self, now: Timestamp, uses: bool) -> Reader {
        Reader { now: self.tick(now), limit: self.limit, uses }
    }

    /// Returns the ticks since the last use.
    pub(super) const fn ticks_since(self, last_used: u32, now: Timestamp) -> u32 {
        idle_ticks(self.tick(now), last_used)
    }

    /// Returns the time since the last use, to the tick.
    pub(super) fn time_since(self, last_used: u32, now: Timestamp) -> Duration {
        let ticks = u64::from(self.ticks_since(last_used, now));
        Duration::from_nanos(ticks.saturating_mul(self.tick_nanos))
    }

    /// Returns the tick of a use so long ago, or of the longest idle time that can still be told.
    pub(super) fn tick_before(self, now: Timestamp, idle: Duration) -> u32 {
        let nanos = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
        let ticks = u32::try_from(nanos.div_ceil(self.tick_nanos)).unwrap_or(u32::MAX);
        let tick = self.tick(now).wrapping_sub(ticks.min(LONGEST_TOLD));
        if tick == UNTRACKED { tick - 1 } else { tick }
    }

    /// Returns the time at which an entry with this last use will have been idle for too long.
    pub(super) fn due(self, last_used: u32, now: Timestamp) -> Timestamp {
        if self.limit == u32::MAX {
            return Timestamp::FAR;
        }
        let idle = idle_ticks(self.tick(now), last_used);
        let left = u64::from(self.limit.saturating_sub(idle)).saturating_mul(self.tick_nanos);
        let begun = now.as_nanos() / self.tick_nanos * self.tick_nanos;
        Timestamp::from_nanos(begun.saturating_add(left))
    }
}

/// Returns the ticks since the last use. Of two threads' coarse readings the older may come second:
/// a use a little in the future counts as one of now.
#[inline]
const fn idle_ticks(now: u32, last_used: u32) -> u32 {
    let idle = now.wrapping_sub(last_used);
    if idle > u32::MAX - MAX_AHEAD { 0 } else { idle }
}

const MAX_AHEAD: u32 = 1 << 16;

/// Half of the range of ticks before they wrap.
const LONGEST_TOLD: u32 = 1 << 31;

/// A tenth of a second: most uses of a hot entry write nothing.
const ENDLESS_TICK_NANOS: u64 = 100_000_000;

/// The `last_used` of an entry whose idle time is not tracked.
pub(super) const UNTRACKED: u32 = u32::MAX;

/// A millisecond: a shorter tick would make every use a write.
const MIN_TICK_NANOS: u64 = 1_000_000;

/// The most ticks an idle time is divided into: about twelve days of milliseconds, a quarter of the
/// range of ticks before they wrap.
const MAX_LIMIT: u64 = 1 << 30;

const _: () =
    assert!(size_of::<Slot<[u64; 2], ()>>() == 16 + 24, "a slot is its value and 24 bytes");

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::Timestamp;

    use super::Idle;

    #[test]
    fn idle_time_is_counted_in_milliseconds_and_in_longer_ticks_when_it_is_long() {
        let at = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
        let idle = Idle::new(Duration::from_millis(1_500));
        let used = idle.tick(at(10_000));
        assert_eq!(idle.due(used, at(10_000)), at(11_500));
        assert_eq!(idle.due(used, at(11_000)), at(11_500));
        assert!(idle.due(used, at(11_500)) <= at(11_500));

        let ago = Duration::from_secs(1);
        assert_eq!(idle.time_since(idle.tick_before(at(10_000), ago), at(10_000)), ago);

        let century = Duration::from_secs(100 * 365 * 86_400);
        let idle = Idle::new(century);
        let due = idle.due(idle.tick(at(0)), at(0));
        assert!(due.since(at(0)).abs_diff(century) < Duration::from_secs(10));
        assert!(Idle::new(Duration::MAX).due(0, at(0)) > at(0).after(century));
    }
}
