//! Sweeps: the local tier frees dead entries without being asked.
//!
//! The wheel finds entries that are dead by time. Entries that a change of a tag or of everything
//! has ended are found by a walk over all entries, in steps, which begins after each such change.

use std::hash::Hash;
use std::sync::Weak;
use std::time::Duration;

use larder_core::{Sweep, Timestamp};

use crate::observe::listener::{Cause, Dropped};
use crate::support::clock::LocalClock;
use crate::support::janitor;
use crate::support::sync::atomic::Ordering;
use crate::tier::local::LocalTier;
use crate::tier::local::candidate::EntryMetadata;
use crate::tier::local::slot::{Reader, Slot};
use crate::tier::local::sweep_lock::{SweepLock, Swept};

/// The pace of a sweep: with pauses for other threads, or without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Gentle,
    AtOnce,
}

impl<K, V, N> LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: EntryMetadata,
{
    /// Frees the entries that are dead by now, and waits for the sweeps of other threads.
    pub(crate) fn sweep(&self) {
        self.sweep_at(Pace::AtOnce);
    }

    /// Like [`sweep`](Self::sweep), unless another sweep is under way. Returns true if it swept.
    pub(crate) fn try_sweep(&self) -> bool {
        let turn = SweepLock::try_take(&self.sweeps.lock);
        turn.map(|turn| self.sweep_in(turn, Pace::AtOnce)).is_some()
    }

    fn sweep_at(&self, pace: Pace) {
        if let Some(turn) = SweepLock::take(&self.sweeps.lock) {
            self.sweep_in(turn, pace);
        }
    }

    fn sweep_in(&self, mut turn: SweepLock<'_>, pace: Pace) {
        let mut step = Step { dropped: Dropped::none(), visited: 0, pace };
        self.walk(&mut turn.swept, &mut step);
        while let Some(hashes) = self.wheel.take_due(self.clock.now()) {
            for hash in hashes {
                self.visit(hash, true, &mut step);
            }
        }
        step.dropped.deliver();
    }

    /// Visits all entries if a change has ended some of them or the wheel is to be made anew.
    fn walk(&self, swept: &mut Swept, step: &mut Step<K, V>) {
        let began = self.clock.now();
        let has_ended = swept.endings != self.marks.endings();
        let is_due = has_ended && (step.pace == Pace::AtOnce || began >= swept.next_walk);
        let is_littered = self.wheel.len() > self.engine.len() * MAX_LITTER + MIN_LITTERED;
        swept.is_wheel_partial |= is_littered;
        if !is_due && !swept.is_wheel_partial {
            return;
        }
        // The flag is cleared before the count is read: a change after that wakes the janitor
        // again.
        self.sweeps.woken_in.store(0, Ordering::SeqCst);
        let endings = self.marks.endings();
        if swept.is_wheel_partial {
            // The wheel is cleared first: a put from here on either pushes, or is met by this walk.
            self.wheel.clear();
        }
        let mut hashes = self.engine.hashes();
        let mut next = || {
            // A listener may have read in between.
            Reader::NOBODY.announce();
            hashes.next()
        };
        while let Some(hash) = next() {
            self.visit(hash, swept.is_wheel_partial, step);
        }
        let ended = self.clock.now();
        let pause = ended.since(began).saturating_mul(RESTS_PER_WALK).min(LONGEST_PAUSE);
        let next_walk = ended.after(pause);
        *swept = Swept { endings, is_wheel_partial: false, next_walk };
    }

    /// Takes the dead entries under this hash. With `is_place_gone` the others get a place in the
    /// wheel.
    fn visit(&self, hash: u64, is_place_gone: bool, step: &mut Step<K, V>) {
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
            step.dropped.add(&self.teller, key, slot.value, cause);
        });
        if is_place_gone && next != Timestamp::FAR {
            self.wheel.push(hash, next);
        }
        step.end();
    }

    /// Keeps the wheel's invariant for an entry that has just been put.
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

    /// Makes a sweep free soon the entries that a change has just ended.
    pub(super) fn sweep_soon(&self) {
        self.keep_swept();
        let is_system = matches!(self.clock, LocalClock::System);
        let pid = std::process::id();
        if is_system && self.sweeps.woken_in.swap(pid, Ordering::SeqCst) != pid {
            janitor::wake();
        }
    }

    /// Ensures that sweeps run: by the clock, if it drives them, or by the janitor.
    #[inline]
    fn keep_swept(&self) {
        if !self.sweeps.is_kept.load(Ordering::Relaxed) {
            self.start_sweeping();
        }
    }

    #[cold]
    fn start_sweeping(&self) {
        if self.sweeps.is_kept.swap(true, Ordering::Relaxed) {
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
    N: EntryMetadata,
{
    fn sweep(&self) {
        self.sweep_at(match &self.clock {
            // The janitor sweeps gently: other threads may need this core, or a shard, more
            // urgently.
            LocalClock::System => Pace::Gentle,
            LocalClock::Injected(_) => Pace::AtOnce,
        });
    }
}

/// The entries that a sweep has taken and not yet freed.
struct Step<K, V> {
    dropped: Dropped<K, V>,
    visited: usize,
    pace: Pace,
}

impl<K, V> Step<K, V> {
    /// Counts a visit. After each `STEP` entries the taken ones are freed, and a gentle sweep
    /// pauses.
    fn end(&mut self) {
        self.visited += 1;
        if self.visited.is_multiple_of(STEP) {
            std::mem::replace(&mut self.dropped, Dropped::none()).deliver();
            if self.pace == Pace::Gentle {
                std::thread::park_timeout(REST);
            }
        }
    }
}

/// The wheel is made anew when it has this many hashes for each entry, and `MIN_LITTERED` more.
const MAX_LITTER: usize = 2;
const MIN_LITTERED: usize = 1 << 14;

/// The number of entries that a sweep visits before it frees the dead ones among them.
const STEP: usize = 1024;

/// The janitor's rest after each step: a million entries take a quarter of a second more.
const REST: Duration = Duration::from_micros(20);

/// The janitor's rest after a walk, in lengths of the walk: where something is invalidated all the
/// time, walks take a tenth of one core.
const RESTS_PER_WALK: u32 = 9;

/// The longest rest after a walk, also after a slow listener.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use larder_core::{Clock, Timestamp};
    use larder_testkit::ManualClock;

    use super::{MAX_LITTER, MIN_LITTERED};
    use crate::support::clock::LocalClock;
    use crate::tier::local::{Candidate, LocalConfig, LocalTier};

    fn tier(clock: &ManualClock, capacity: u64) -> Arc<LocalTier<u64, u64, u8>> {
        let clock = LocalClock::Injected(Arc::new(clock.clone()));
        LocalTier::new(LocalConfig::new(capacity, clock))
    }

    fn put(tier: &LocalTier<u64, u64, u8>, key: u64, until: Timestamp, metadata: Option<u8>) {
        let candidate = Candidate {
            value: key,
            weight: 1,
            attend_at: until,
            fresh_until: until,
            kept_until: until,
            generation: tier.marks().see(&[]),
            metadata,
        };
        tier.put(tier.hash(&key), key, candidate).deliver();
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
        assert_eq!(tier.look(hash, &1, |view| view.metadata), Some(Some(7)));
        let (_, dropped) = tier.retime(hash, &1, until, until, until, Some(8));
        dropped.deliver();
        assert_eq!(tier.get(hash, &1), Some(1));
        assert_eq!(tier.look(hash, &1, |view| view.metadata), Some(Some(8)));
    }
}
