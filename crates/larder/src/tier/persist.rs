//! What a snapshot takes out of the local tier, and gives back to another.

use std::hash::Hash;
use std::time::Duration;

use larder_core::{Life, Timestamp};

use crate::tier::local::{Draft, LocalTier};
use crate::tier::slot::{Reader, Slot, UNTRACKED};

/// An entry that is not dead, as the draft that would put it again.
pub(crate) struct Copied<V, N> {
    pub(crate) draft: Draft<V, N>,
    /// The time since its last use; zero where that is not tracked.
    pub(crate) idle: Duration,
}

impl<K, V, N> LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: Clone + Send + Sync + 'static,
{
    /// The hashes of all entries, each once, those used last first. It takes 16 bytes for each.
    pub(crate) fn hottest(&self) -> Vec<u64> {
        Reader::NOBODY.announce();
        let now = self.clock.now();
        let mut found = Vec::with_capacity(self.engine.len());
        found.extend(self.engine.slots().map(|(hash, slot)| {
            let ticks = self.idle.map_or(0, |idle| idle.ticks_since(slot.last_used(), now));
            (hash, ticks)
        }));
        found.sort_unstable();
        found.dedup_by_key(|(hash, _)| *hash);
        found.sort_unstable_by_key(|&(hash, ticks)| (ticks, hash));
        found.into_iter().map(|(hash, _)| hash).collect()
    }

    /// Copies what is under this hash and not dead, one lock each.
    ///
    /// What a mark has made stale comes as stale by its time, and only if it has a grace of its own:
    /// whoever puts it again knows nothing of the mark.
    pub(crate) fn copies(&self, hash: u64) -> Vec<(K, Copied<V, N>)> {
        let now = self.clock.now();
        let mut copies = Vec::with_capacity(1);
        self.engine.show(hash, |key, slot| {
            if let Some(draft) = self.unmarked(slot, now) {
                let since = |idle: super::slot::Idle| idle.time_since(slot.last_used(), now);
                let idle = self.idle.map_or(Duration::ZERO, since);
                copies.push((key, Copied { draft, idle }));
            }
        });
        copies
    }

    /// Puts an entry of a snapshot, which was used so often; whether it is there now. Nobody is told
    /// of what it evicts.
    pub(crate) fn put_back(&self, hash: u64, key: K, copied: Copied<V, N>, uses: u64) -> bool {
        let now = self.clock.now();
        let Copied { draft, idle } = copied;
        let weight = u64::from(draft.weight);
        let has_room = self.engine.weight().saturating_add(weight) <= self.engine.capacity();
        if !has_room || weight > self.engine.max_weight() {
            return false;
        }
        let last_used = self.idle.map_or(UNTRACKED, |tracked| tracked.tick_before(now, idle));
        let slot = self.slot(draft, last_used, now);
        let due = self.due(&slot, now);
        if due <= now {
            return false;
        }
        let outgoing = self.engine.put(hash, key, slot);
        self.schedule(hash, due, outgoing.replaced.as_ref(), now);
        // The engine learns of uses that only another process has seen; the tier does not.
        Reader::NOBODY.announce();
        for _ in 0..uses {
            self.engine.touch(hash);
        }
        true
    }

    fn unmarked(&self, slot: &Slot<V, N>, now: Timestamp) -> Option<Draft<V, N>> {
        let is_marked = {
            let view = self.view(slot, now)?;
            view.life != Life::Fresh && now < view.fresh_until
        };
        let draft = self.copy(slot, now)?;
        if is_marked { self.stale(draft, now) } else { Some(draft) }
    }

    /// The same, no longer fresh; none if it has no grace.
    fn stale(&self, draft: Draft<V, N>, now: Timestamp) -> Option<Draft<V, N>> {
        let grace = match draft.fresh_until {
            // Of what never ends the grace is not written down.
            Timestamp::FAR => self.grace,
            until => draft.kept_until.since(until),
        };
        let kept_until = draft.kept_until.min(now.after(grace));
        (kept_until > now).then_some(Draft { fresh_until: now, kept_until, ..draft })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use larder_core::Timestamp;
    use larder_testkit::ManualClock;

    use super::Copied;
    use crate::clock::LocalClock;
    use crate::tier::local::{Draft, LocalConfig, LocalTier};

    fn tier(clock: &ManualClock, capacity: u64) -> Arc<LocalTier<u64, u64>> {
        LocalTier::new(LocalConfig {
            capacity,
            weigher: None,
            largest_weight: None,
            grace: Duration::ZERO,
            keeps: true,
            tti: None,
            tracks_use: true,
            listener: None,
            clock: LocalClock::Injected(Arc::new(clock.clone())),
        })
    }

    fn draft(tier: &LocalTier<u64, u64>, value: u64) -> Draft<u64> {
        let until = Timestamp::FAR;
        Draft {
            value,
            weight: 1,
            attend_at: until,
            fresh_until: until,
            kept_until: until,
            seen: tier.marks().see(&[]),
            note: None,
        }
    }

    #[test]
    fn what_was_used_last_comes_first_and_walks_are_no_uses() {
        let clock = ManualClock::new();
        let tier = tier(&clock, 100);
        for key in 0..50 {
            tier.put(tier.hash(&key), key, draft(&tier, key)).deliver();
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(tier.get(tier.hash(&7_u64), &7), Some(7));
        for _ in 0..2 {
            let keys: Vec<u64> = tier.hottest().into_iter().map(|h| tier.copies(h)[0].0).collect();
            assert_eq!(keys[..3], [7, 49, 48]);
            assert_eq!((keys.len(), keys.last()), (50, Some(&0)));
        }
    }

    #[test]
    fn a_smaller_tier_keeps_the_first_it_is_given() {
        let clock = ManualClock::new();
        let tier = tier(&clock, 10);
        for key in 0..20_u64 {
            let idle = Duration::from_secs(key);
            let copied = Copied { draft: draft(&tier, key), idle };
            assert_eq!(tier.put_back(tier.hash(&key), key, copied, 0), key < 10);
        }
        let first = tier.hottest()[0];
        assert_eq!(tier.copies(first)[0].0, 0);
        assert_eq!(tier.copies(tier.hash(&9_u64))[0].1.idle, Duration::from_secs(9));
    }
}
