//! Copies of entries for snapshots, and the way back into another local tier.

use std::hash::Hash;
use std::time::Duration;

use larder_core::Timestamp;

use crate::tier::local::candidate::EntryMetadata;
use crate::tier::local::slot::{Reader, Slot, UNTRACKED};
use crate::tier::local::{Candidate, LocalTier};

/// A copy of an entry that is not dead, as a candidate that would put it again.
pub(crate) struct EntryCopy<V, N> {
    pub(crate) candidate: Candidate<V, N>,
    /// The time since the last use; zero where that is not tracked.
    pub(crate) idle: Duration,
}

impl<K, V, N> LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: EntryMetadata,
{
    /// Returns the hashes of all entries, those used last first. Each takes 16 bytes. A hash that
    /// several keys have is there once for each.
    ///
    /// Times since the last use that differ by less than a 32nd count as one. Entries of such a
    /// class stay in the engine's own order, in which copying them later is quickest.
    pub(crate) fn hottest(&self) -> Vec<u64> {
        Reader::NOBODY.announce();
        let now = self.clock.now();
        let mut found = Vec::with_capacity(self.engine.len());
        found.extend(self.engine.slots().map(|(hash, slot)| {
            let ticks = self.idle.map_or(0, |idle| idle.ticks_since(slot.last_used(), now));
            (hash, class(ticks))
        }));
        found.sort_by_key(|&(_, class)| class);
        found.into_iter().map(|(hash, _)| hash).collect()
    }

    /// Returns the keys with this hash.
    pub(crate) fn keys_by_hash(&self, hash: u64) -> Vec<K> {
        self.engine.keys_by_hash(hash)
    }

    /// Copies the entry under this key, if it is not dead by now, with its times as they were at
    /// `began`.
    ///
    /// An entry that a mark has made stale is copied as stale by its time, and only if it has a
    /// grace of its own: a tier that puts it again knows nothing of the mark.
    pub(crate) fn copy_since(
        &self,
        hash: u64,
        key: &K,
        began: Timestamp,
    ) -> Option<EntryCopy<V, N>> {
        // A use after `began` may be so much later that, counted from `began`, its ticks would wrap
        // to those of a use long ago.
        let now = self.clock.coarse().max(began);
        let copy = |slot: &Slot<V, N>| {
            let candidate = self.unmarked(slot, began, now)?;
            let idle = self.idle.map(|idle| idle.time_since(slot.last_used(), now));
            let idle = idle.unwrap_or_default().saturating_sub(now.since(began));
            Some(EntryCopy { candidate, idle })
        };
        self.engine.view(hash, key, copy).flatten()
    }

    /// Begins to put the entries of a snapshot.
    pub(crate) fn refill(&self) -> Refill<'_, K, V, N> {
        let free = self.engine.capacity().saturating_sub(self.engine.weight());
        Refill { tier: self, now: self.clock.now(), free, reserved: 0 }
    }

    fn unmarked(
        &self,
        slot: &Slot<V, N>,
        began: Timestamp,
        now: Timestamp,
    ) -> Option<Candidate<V, N>> {
        let is_marked = self.view(slot, now)?.is_marked;
        let candidate = self.copy(slot, now)?;
        if is_marked { self.stale(candidate, began) } else { Some(candidate) }
    }

    /// Returns the candidate as no longer fresh; none if it has no grace.
    fn stale(&self, candidate: Candidate<V, N>, now: Timestamp) -> Option<Candidate<V, N>> {
        let grace = match candidate.fresh_until {
            // The grace of an entry that never ends is not stored with it.
            Timestamp::FAR => self.grace,
            until => candidate.kept_until.since(until),
        };
        let kept_until = candidate.kept_until.min(now.after(grace));
        (kept_until > now).then_some(Candidate { fresh_until: now, kept_until, ..candidate })
    }
}

/// A writer that puts entries of a snapshot into a tier that nobody else uses yet, while capacity
/// is left.
pub(crate) struct Refill<'a, K, V, N: EntryMetadata> {
    tier: &'a LocalTier<K, V, N>,
    pub(crate) now: Timestamp,
    /// The weight that still fits.
    free: u64,
    /// The number of entries the engine is prepared for.
    reserved: u64,
}

impl<K, V, N> Refill<'_, K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: EntryMetadata,
{
    /// Returns the tier.
    pub(crate) const fn tier(&self) -> &LocalTier<K, V, N> {
        self.tier
    }

    /// Prepares the engine for the entries that are announced: not all at once, since the number
    /// may be wrong.
    pub(crate) fn expect(&mut self, come: u64, more: u64) {
        if come >= self.reserved {
            let entries = more.min((come + 1).saturating_mul(TRUST)).min(self.free);
            self.tier.engine.reserve(usize::try_from(entries).unwrap_or(0));
            self.reserved = come.saturating_add(entries).max(come + 1);
        }
    }

    /// Puts an entry that was used this often. Returns true if it is there now. No listener is told
    /// of entries that it evicts.
    pub(crate) fn put(&mut self, hash: u64, key: K, copied: EntryCopy<V, N>, uses: u64) -> bool {
        let (tier, now) = (self.tier, self.now);
        let EntryCopy { candidate, idle } = copied;
        let weight = u64::from(candidate.weight);
        if weight > self.free || weight > tier.engine.max_weight() {
            return false;
        }
        let last_used = tier.idle.map_or(UNTRACKED, |tracked| tracked.tick_before(now, idle));
        let slot = tier.slot(candidate, last_used, now);
        let due = tier.due(&slot, now);
        if due <= now {
            return false;
        }
        let outgoing = tier.engine.put(hash, key, slot);
        tier.schedule(hash, due, outgoing.replaced.as_ref(), now);
        self.free -= weight;
        // The engine counts uses that only another process has made; the tier does not.
        Reader::NOBODY.announce();
        for _ in 0..uses {
            tier.engine.touch(hash);
        }
        true
    }
}

/// Returns the class of an idle time: exact below 64 ticks, then to a 32nd.
const fn class(ticks: u32) -> u32 {
    let shift = (u32::BITS - ticks.leading_zeros()).saturating_sub(6);
    (shift << 6) + (ticks >> shift)
}

/// The engine is prepared at once for this many times the entries that have come.
const TRUST: u64 = 15;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use larder_core::Timestamp;
    use larder_testkit::ManualClock;

    use super::{EntryCopy, class};
    use crate::support::clock::LocalClock;
    use crate::tier::local::{Candidate, LocalConfig, LocalTier};

    fn tier(clock: &ManualClock, capacity: u64) -> Arc<LocalTier<u64, u64>> {
        tier_with(clock, capacity, None)
    }

    fn tier_with(
        clock: &ManualClock,
        capacity: u64,
        tti: Option<Duration>,
    ) -> Arc<LocalTier<u64, u64>> {
        let clock = LocalClock::Injected(Arc::new(clock.clone()));
        let config = LocalConfig::new(capacity, clock);
        LocalTier::new(LocalConfig { tti, tracks_use: true, ..config })
    }

    fn candidate(tier: &LocalTier<u64, u64>, value: u64) -> Candidate<u64> {
        let until = Timestamp::FAR;
        Candidate {
            value,
            weight: 1,
            attend_at: until,
            fresh_until: until,
            kept_until: until,
            generation: tier.marks().see(&[]),
            metadata: None,
        }
    }

    #[test]
    fn what_was_used_last_comes_first_and_walks_are_no_uses() {
        let clock = ManualClock::new();
        let tier = tier(&clock, 100);
        for key in 0..50 {
            tier.put(tier.hash(&key), key, candidate(&tier, key)).deliver();
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(tier.get(tier.hash(&7_u64), &7), Some(7));
        for _ in 0..2 {
            let hottest = tier.hottest().into_iter();
            let keys: Vec<u64> = hottest.flat_map(|hash| tier.keys_by_hash(hash)).collect();
            assert_eq!(keys[..3], [7, 49, 48]);
            assert_eq!(keys.len(), 50);
            assert!(keys[40..].iter().all(|&key| key < 15), "{keys:?}");
        }
    }

    #[test]
    fn what_is_used_while_a_walk_takes_long_is_there_and_what_dies_is_not() {
        let clock = ManualClock::new();
        let tier = tier_with(&clock, 100, Some(Duration::from_secs(1_000)));
        for key in 0..3 {
            tier.put(tier.hash(&key), key, candidate(&tier, key)).deliver();
        }
        let began = tier.clock().now();
        let idle = |key| tier.copy_since(tier.hash(&key), &key, began).map(|copied| copied.idle);
        clock.advance(Duration::from_secs(900));
        assert_eq!(tier.get(tier.hash(&0_u64), &0), Some(0));
        assert_eq!((idle(0), idle(1)), (Some(Duration::ZERO), Some(Duration::ZERO)));
        clock.advance(Duration::from_secs(200));
        assert_eq!((idle(0), idle(1)), (Some(Duration::ZERO), None));
    }

    #[test]
    fn a_smaller_tier_keeps_the_first_it_is_given() {
        let clock = ManualClock::new();
        let tier = tier(&clock, 10);
        let mut refill = tier.refill();
        for key in 0..20_u64 {
            let idle = Duration::from_secs(key);
            let copied = EntryCopy { candidate: candidate(&tier, key), idle };
            refill.expect(key, 20 - key);
            assert_eq!(refill.put(tier.hash(&key), key, copied, 0), key < 10);
        }
        assert_eq!(tier.keys_by_hash(tier.hottest()[0]), [0]);
        let copied = tier.copy_since(tier.hash(&9_u64), &9, tier.clock().now());
        assert_eq!(copied.unwrap().idle, Duration::from_secs(9));
    }

    #[test]
    fn classes_are_in_order_and_near_ones_are_told_apart_to_a_32nd() {
        let mut last = 0;
        for ticks in (0..5_000).chain((13..32).map(|bit| 1 << bit)).chain([u32::MAX]) {
            assert!(class(ticks) >= last);
            last = class(ticks);
        }
        assert!((0..64).all(|ticks| class(ticks) < class(ticks + 1)));
        assert!(class(1_000_000) < class(1_000_000 + 1_000_000 / 30));
    }
}
