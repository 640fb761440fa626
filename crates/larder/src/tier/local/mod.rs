//! The local tier: typed values in this process.
//!
//! Lock order: the flight stripe of the caller, then the engine's shard; the wheel's lock is a
//! leaf, taken alone. The user's code that may run under a shard's lock is `Eq`, `Clone` and an
//! injected clock. The engine survives a panic of any of them.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Weak};
use std::time::Duration;

use larder_core::{Life, Timestamp};

use crate::lookup::Lookup;
pub(crate) use crate::observe::listener::Dropped;
use crate::observe::listener::{Cause, Teller};
use crate::observe::stats::{Count, Counters};
use crate::support::clock::LocalClock;
pub(crate) use crate::tier::local::candidate::{Candidate, EntryMetadata, View};
pub(crate) use crate::tier::local::config::{LocalConfig, Weigher};
pub(crate) use crate::tier::local::edit::Edition;
use crate::tier::local::engine::{Engine, Outgoing, Weigh};
use crate::tier::local::slot::{Idle, Meta, Reader, Slot, UNTRACKED};
use crate::tier::local::sweep_lock::Sweeps;
use crate::tier::local::wheel::Wheel;
use crate::tier::marks::here::Marks;

mod candidate;
mod config;
mod edit;
mod engine;
mod find;
pub(crate) mod persist;
mod put_if;
mod slot;
mod stored_key;
mod sweep;
mod sweep_lock;
mod wheel;

/// Typed values, bounded, with lives, tags and an epoch. `N` is metadata that the tier's owner
/// keeps with an entry.
pub(crate) struct LocalTier<K, V, N: EntryMetadata = ()> {
    engine: Engine<K, Slot<V, N>>,
    marks: Marks,
    clock: LocalClock,
    // The hasher's fast form leaves keys in order in a few shards, in one process of a thousand.
    hasher: foldhash::quality::RandomState,
    idle: Option<Idle>,
    grace: Duration,
    keeps: bool,
    weigher: Option<Weigher<K, V>>,
    teller: Arc<Teller<K, V>>,
    wheel: Wheel,
    sweeps: Sweeps,
    this: Weak<Self>,
}

impl<K, V, N> LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: EntryMetadata,
{
    pub(crate) fn new(config: LocalConfig<K, V>) -> Arc<Self> {
        let shape = config.shape();
        Arc::new_cyclic(|this| Self {
            engine: Engine::new(shape),
            marks: Marks::telling({
                let this: Weak<Self> = Weak::clone(this);
                move || this.upgrade().iter().for_each(|this| this.sweep_soon())
            }),
            clock: config.clock,
            hasher: foldhash::quality::RandomState::default(),
            idle: config.tti.map(Idle::new).or_else(|| config.tracks_use.then(Idle::endless)),
            grace: config.grace,
            keeps: config.keeps,
            weigher: config.weigher,
            teller: Arc::new(Teller::new(config.listener)),
            wheel: Wheel::new(),
            sweeps: Sweeps::default(),
            this: Weak::clone(this),
        })
    }

    /// Returns the one hash of a key: for the engine, the flights and the wheel.
    #[inline]
    pub(crate) fn hash<Q: ?Sized + Hash>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Returns the grace of an entry that has none of its own.
    pub(crate) const fn grace(&self) -> Duration {
        self.grace
    }

    /// Returns the weight of the value. Runs the user's weigher: call it before any lock is taken.
    pub(crate) fn weigh(&self, key: &K, value: &V) -> u32 {
        // The engine would keep a weightless entry for ever.
        self.weigher.as_ref().map_or(1, |weigher| weigher(key, value).max(1))
    }

    /// Puts an entry in the place of the one under its key. An entry that is dead already, or too
    /// heavy, leaves nothing there.
    pub(crate) fn put(&self, hash: u64, key: K, candidate: Candidate<V, N>) -> Dropped<K, V> {
        let now = self.clock.now();
        let is_dead = !self.keeps
            || candidate.kept_until <= now
            || !self.marks.is_current(&candidate.generation);
        if is_dead || u64::from(candidate.weight) > self.engine.max_weight() {
            return self.refuse(hash, key, candidate, is_dead, now);
        }
        let last_used = self.idle.map_or(UNTRACKED, |idle| idle.tick(now));
        let slot = self.slot(candidate, last_used, now);
        let due = self.due(&slot, now);
        let outgoing = self.engine.put(hash, key, slot);
        self.schedule(hash, due, outgoing.replaced.as_ref(), now);
        self.collect(outgoing, now)
    }

    /// Gives an entry that is not dead another life, and metadata if there is any; keeps its value,
    /// tags and idle time. Returns true if the entry was there. The caller holds the key's stripe
    /// lock, so that no write comes between; no listener is told.
    pub(crate) fn retime<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
        attend_at: Timestamp,
        fresh_until: Timestamp,
        kept_until: Timestamp,
        metadata: Option<N>,
    ) -> (bool, Dropped<K, V>) {
        self.alter(hash, key, |candidate| {
            let metadata = metadata.or(candidate.metadata);
            Some(Candidate { attend_at, fresh_until, kept_until, metadata, ..candidate })
        })
    }

    /// Replaces an entry that is not dead by the result of `alter`, without telling listeners.
    fn alter<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
        alter: impl FnOnce(Candidate<V, N>) -> Option<Candidate<V, N>>,
    ) -> (bool, Dropped<K, V>) {
        let now = self.clock.now();
        let mut dropped = Dropped::none();
        let copy = |slot: &Slot<V, N>| Some((self.copy(slot, now)?, slot.last_used()));
        let Some((candidate, last_used)) = self.engine.view(hash, key, copy).flatten() else {
            return (false, dropped);
        };
        let Some(candidate) = alter(candidate) else { return (false, dropped) };
        let slot = self.slot(candidate, last_used, now);
        let due = self.due(&slot, now);
        match self.engine.swap(hash, key.to_key(), slot) {
            Ok(outgoing) => {
                self.schedule(hash, due, outgoing.replaced.as_ref(), now);
                if let Some((key, slot)) = outgoing.replaced {
                    dropped.add_quietly(key, Some(slot.value));
                }
                (true, dropped)
            }
            // The entry has been evicted meanwhile.
            Err((key, slot)) => {
                dropped.add_quietly(key, Some(slot.value));
                (false, dropped)
            }
        }
    }

    /// Copies an entry that is not dead, as a candidate that would put it again.
    fn copy(&self, slot: &Slot<V, N>, now: Timestamp) -> Option<Candidate<V, N>> {
        let view = self.view(slot, now)?;
        Some(Candidate {
            value: view.value.clone(),
            weight: slot.weight(),
            attend_at: view.attend_at,
            fresh_until: view.fresh_until,
            kept_until: view.kept_until,
            generation: view.generation(),
            metadata: view.metadata,
        })
    }

    /// Removes the key's entry and returns its value if it was fresh.
    pub(crate) fn remove<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
    ) -> (Option<V>, Dropped<K, V>) {
        let mut dropped = Dropped::none();
        let Some((key, slot)) = self.engine.remove(hash, key) else { return (None, dropped) };
        let now = self.clock.now();
        if self.view(&slot, now).is_none_or(|view| view.life != Life::Fresh) {
            let cause = self.death(&slot, now).unwrap_or(Cause::Removed);
            dropped.add(&self.teller, key, slot.value, cause);
            return (None, dropped);
        }
        if self.teller.has_listener() {
            let value = slot.value.clone();
            dropped.add(&self.teller, key, slot.value, Cause::Removed);
            return (Some(value), dropped);
        }
        self.stats().add(Count::Removed);
        dropped.add_quietly(key, None);
        (Some(slot.value), dropped)
    }

    /// Returns the marks: invalidations as this process knows them. Entries that one of them ends
    /// are freed without being asked for.
    pub(crate) const fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(crate) const fn clock(&self) -> &LocalClock {
        &self.clock
    }

    #[inline]
    pub(crate) fn stats(&self) -> &Counters {
        self.teller.counters()
    }

    /// Walks over the keys of all entries, dead ones included, with their hashes.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u64, K)> {
        let mut keys = self.engine.keys();
        std::iter::from_fn(move || {
            // The thread that walks may read in between.
            Reader::NOBODY.announce();
            keys.next()
        })
    }

    /// Returns the number of entries, including those that are dead and not yet freed.
    pub(crate) fn len(&self) -> usize {
        self.engine.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.engine.weight()
    }

    fn view<'a>(&self, slot: &'a Slot<V, N>, now: Timestamp) -> Option<View<'a, V, N>> {
        if self.death(slot, now).is_some() {
            return None;
        }
        let fresh_until = slot.fresh_until();
        let is_in_time = now < fresh_until;
        let is_marked = is_in_time && slot.marked(&self.marks) != Life::Fresh;
        Some(View {
            value: &slot.value,
            life: if is_in_time && !is_marked { Life::Fresh } else { Life::Stale },
            is_marked,
            attend_at: slot.attend_at(),
            fresh_until,
            kept_until: slot.kept_until(self.grace),
            metadata: slot.metadata(),
            settled: slot.settled(),
            tags: slot.tags(),
        })
    }

    /// Returns the cause of an entry's death, if it is dead.
    fn death(&self, slot: &Slot<V, N>, now: Timestamp) -> Option<Cause> {
        if self.due(slot, now) <= now {
            Some(Cause::Expired)
        } else if slot.marked(&self.marks) == Life::Dead {
            Some(Cause::Removed)
        } else {
            None
        }
    }

    /// Returns the time at which an entry will be dead by its life or its idle time, unless it is
    /// used.
    fn due(&self, slot: &Slot<V, N>, now: Timestamp) -> Timestamp {
        let kept_until = slot.kept_until(self.grace);
        match self.idle {
            Some(idle) => kept_until.min(idle.due(slot.last_used(), now)),
            None => kept_until,
        }
    }

    fn slot(&self, candidate: Candidate<V, N>, last_used: u32, now: Timestamp) -> Slot<V, N> {
        let mut attend_at = candidate.attend_at.min(candidate.fresh_until);
        if attend_at <= now {
            // The coarse clock lags behind on a machine that is short of CPU; zero does not depend
            // on it.
            attend_at = Timestamp::ZERO;
        }
        let is_plain = attend_at == candidate.fresh_until
            && candidate.kept_until == candidate.fresh_until.after(self.grace)
            && candidate.weight == 1
            && candidate.generation.tags.is_none();
        let brief = N::brief(candidate.metadata.as_ref()).filter(|_| is_plain);
        let meta = brief.is_none().then(|| {
            Box::new(Meta {
                fresh_until: candidate.fresh_until,
                kept_until: candidate.kept_until,
                weight: candidate.weight,
                tags: candidate.generation.tags,
                metadata: candidate.metadata,
            })
        });
        let (value, settled) = (candidate.value, candidate.generation.changes);
        Slot::new(value, attend_at, settled, last_used, brief.unwrap_or_default(), meta)
    }

    /// Removes the entry that a candidate which is not stored would have replaced.
    fn refuse(
        &self,
        hash: u64,
        key: K,
        candidate: Candidate<V, N>,
        is_dead: bool,
        now: Timestamp,
    ) -> Dropped<K, V> {
        let mut dropped = Dropped::none();
        if let Some((key, slot)) = self.engine.remove(hash, &key) {
            let cause = self.death(&slot, now).unwrap_or(Cause::Replaced);
            dropped.add(&self.teller, key, slot.value, cause);
        }
        if is_dead {
            dropped.add_quietly(key, Some(candidate.value));
        } else {
            self.stats().add(Count::Rejected);
            dropped.add(&self.teller, key, candidate.value, Cause::Size);
        }
        dropped
    }

    fn collect(&self, mut outgoing: Outgoing<K, Slot<V, N>>, now: Timestamp) -> Dropped<K, V> {
        let mut dropped = Dropped::none();
        let replaced = outgoing.replaced.take().into_iter().map(|left| (left, Cause::Replaced));
        let evicted = outgoing.into_evicted().map(|left| (left, Cause::Size));
        for ((key, slot), cause) in replaced.chain(evicted) {
            let cause = self.death(&slot, now).unwrap_or(cause);
            dropped.add(&self.teller, key, slot.value, cause);
        }
        dropped
    }
}
