//! Freeing what is dead, without being asked for.

use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;

use larder_core::{Sweep, Timestamp};

use crate::clock::LocalClock;
use crate::janitor;
use crate::listener::{Cause, Dropped};
use crate::sync::atomic::Ordering;
use crate::tier::local::LocalTier;
use crate::tier::slot::{Reader, Slot};

impl<K, V, N> LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: Clone + Send + Sync + 'static,
{
    /// Frees what is dead by now.
    pub(crate) fn sweep(&self) {
        self.sweep_with(|| {});
    }

    /// The same with a rest after each batch.
    fn sweep_with(&self, rest: impl Fn()) {
        let floor = self.marks.floor();
        let is_invalidated = self.swept_floor.swap(floor, Ordering::Relaxed) != floor;
        let is_littered = self.wheel.len() > self.engine.len() * MAX_LITTER + MIN_LITTERED;
        let mut dropped = Dropped::none();
        if is_invalidated || is_littered {
            // Cleared first: whoever puts from here on either pushes, or is met by this walk.
            self.wheel.clear();
            Reader::NOBODY.announce();
            for (hash, slot) in self.engine.slots() {
                drop(slot);
                self.visit(hash, &mut dropped, &rest);
            }
        }
        while let Some(hashes) = self.wheel.take_due(self.clock.now()) {
            for hash in hashes {
                self.visit(hash, &mut dropped, &rest);
            }
        }
        deliver(dropped);
    }

    /// Takes what is dead under this hash; has the rest looked at again in time.
    fn visit(&self, hash: u64, dropped: &mut Dropped<K, V>, rest: &impl Fn()) {
        let now = self.clock.now();
        let mut next = Timestamp::FAR;
        let is_dead = |slot: &Slot<V, N>| {
            let is_dead = self.death(slot, now).is_some();
            if !is_dead {
                next = next.min(self.due(slot, now));
            }
            is_dead
        };
        self.engine.remove_dead(hash, is_dead, |key, slot| {
            let cause = self.death(&slot, now).unwrap_or(Cause::Expired);
            dropped.add(&self.teller, key, slot.value, cause);
        });
        if next != Timestamp::FAR {
            self.wheel.push(hash, next);
        }
        if dropped.len() >= BATCH {
            deliver(std::mem::replace(dropped, Dropped::none()));
            rest();
        }
    }

    /// Keeps the wheel's promise for what has just been put.
    pub(super) fn schedule(
        &self,
        hash: u64,
        due: Timestamp,
        replaced: Option<&(K, Slot<V, N>)>,
        now: Timestamp,
    ) {
        if due == Timestamp::FAR {
            return;
        }
        let is_covered = replaced.is_some_and(|(_, old)| self.due(old, now) <= due);
        if !is_covered {
            self.wheel.push(hash, due);
        }
        self.keep_swept();
    }

    /// Sees to it that somebody sweeps: the clock, if it is one that drives, or the janitor.
    #[inline]
    pub(crate) fn keep_swept(&self) {
        if !self.is_swept.load(Ordering::Relaxed) {
            self.start_sweeping();
        }
    }

    #[cold]
    fn start_sweeping(&self) {
        if self.is_swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let this: Weak<dyn Sweep> = self.this.clone();
        let is_driven = match &self.clock {
            LocalClock::System => false,
            LocalClock::Injected(clock) => clock.drive(Weak::clone(&this)),
        };
        if !is_driven {
            janitor::keep_swept(this);
        }
    }
}

impl<K, V, N> Sweep for LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: Clone + Send + Sync + 'static,
{
    fn sweep(&self) {
        match &self.clock {
            // The janitor's turn: others may need this core, or a shard, more urgently.
            LocalClock::System => self.sweep_with(|| std::thread::park_timeout(REST)),
            LocalClock::Injected(_) => self.sweep_with(|| {}),
        }
    }
}

/// Frees what a sweep has gathered. A value that panics when dropped must not end the sweep, which
/// holds hashes that nobody else does.
fn deliver<K, V>(dropped: Dropped<K, V>) {
    let _ = catch_unwind(AssertUnwindSafe(|| dropped.deliver()));
}

/// The wheel is made anew when it holds this many hashes for each entry, and `MIN_LITTERED` more.
const MAX_LITTER: usize = 2;
const MIN_LITTERED: usize = 1 << 14;

/// How many entries a sweep holds on to before it frees them.
const BATCH: usize = 1024;

/// How long the janitor rests after each batch: a million entries take a quarter of a second more.
const REST: std::time::Duration = std::time::Duration::from_micros(20);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use larder_core::{Clock, Timestamp};
    use larder_testkit::ManualClock;

    use super::{MAX_LITTER, MIN_LITTERED};
    use crate::clock::LocalClock;
    use crate::tier::local::{Draft, LocalConfig, LocalTier};

    fn tier(clock: &ManualClock, capacity: u64) -> Arc<LocalTier<u64, u64, u8>> {
        LocalTier::new(LocalConfig {
            capacity,
            weigher: None,
            largest_weight: None,
            grace: Duration::ZERO,
            keeps: true,
            tti: None,
            tracks_use: false,
            listener: None,
            clock: LocalClock::Injected(Arc::new(clock.clone())),
        })
    }

    fn put(tier: &LocalTier<u64, u64, u8>, key: u64, until: Timestamp, note: Option<u8>) {
        let draft = Draft {
            value: key,
            weight: 1,
            attend_at: until,
            fresh_until: until,
            kept_until: until,
            seen: tier.marks().see(&[]),
            note,
        };
        tier.put(tier.hash(&key), key, draft).deliver();
    }

    #[test]
    fn places_of_entries_that_are_gone_do_not_pile_up() {
        let clock = ManualClock::new();
        let tier = tier(&clock, 300);
        let until = clock.now().after(Duration::from_secs(3_600));
        for key in 0..200_000 {
            put(&tier, key % 3_000, until, None);
            if key % 1_000 == 0 {
                tier.sweep();
            }
        }
        assert!(tier.wheel.len() <= 300 * MAX_LITTER + MIN_LITTERED + 1_000);
        clock.advance(Duration::from_secs(3_601));
        assert_eq!((tier.len(), tier.wheel.len()), (0, 0));
    }

    #[test]
    fn a_longer_life_keeps_its_place_and_a_shorter_one_gets_its_own() {
        let clock = ManualClock::new();
        let tier = tier(&clock, 300);
        let at = |seconds| clock.now().after(Duration::from_secs(seconds));
        put(&tier, 1, at(10), None);
        put(&tier, 1, at(20), None);
        assert_eq!(tier.wheel.len(), 1);
        put(&tier, 1, at(5), None);
        assert_eq!(tier.wheel.len(), 2);
        clock.advance(Duration::from_secs(6));
        assert_eq!(tier.len(), 0);
    }

    #[test]
    fn a_hit_asks_for_a_closer_look_until_it_is_put_off() {
        let clock = ManualClock::new();
        let tier = tier(&clock, 300);
        let until = clock.now().after(Duration::from_secs(10));
        put(&tier, 1, until, Some(7));
        let hash = tier.hash(&1_u64);
        let now = clock.now();
        let (there, dropped) = tier.retime(hash, &1, now, until, until, None);
        dropped.deliver();
        assert!(there);
        assert_eq!(tier.get(hash, &1), None);
        assert_eq!(tier.look(hash, &1, |view| view.note.copied()), Some(Some(7)));
        let (_, dropped) = tier.retime(hash, &1, until, until, until, Some(8));
        dropped.deliver();
        assert_eq!(tier.get(hash, &1), Some(1));
        assert_eq!(tier.look(hash, &1, |view| view.note.copied()), Some(Some(8)));
    }
}
