//! The most hits that any cache can have.
//!
//! L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
//! Journal 5 (2), 1966: drop the key that is asked for again last. The key of the present access
//! may be that one: other policies, too, may refuse a new key.
//!
//! A kept key is known by the access that asks for it next. No two keys have the same one, so a
//! heap of these accesses is enough; accesses in the past sink in it and are swept out.

use std::collections::BinaryHeap;

use crate::policy::TOLD_EVERY;
use crate::trace::Trace;

/// Returns the most hits that a cache of this many ids can have on a trace.
///
/// The number is exact. For n accesses it takes time in proportion to n log n.
#[must_use]
pub fn optimum(trace: &Trace, capacity: usize) -> u64 {
    Next::new(trace).hits(capacity, &mut |_| ())
}

/// Returns the [`optimum`] at each of some capacities.
///
/// `progress` is called now and then with the number of accesses that are done since its last call.
/// The sum is all accesses, once for each capacity.
pub fn optima(trace: &Trace, capacities: &[usize], progress: &mut dyn FnMut(usize)) -> Vec<u64> {
    let next = Next::new(trace);
    capacities.iter().map(|capacity| next.hits(*capacity, progress)).collect()
}

/// For each access the next one that asks for the same key, or [`NEVER`].
struct Next(Vec<u32>);

impl Next {
    fn new(trace: &Trace) -> Self {
        let mut latest = vec![NEVER; trace.distinct() as usize];
        let mut next = vec![NEVER; trace.ids().len()];
        let accesses = next.iter_mut().zip(trace.ids());
        // Every access has a number: a trace has no more accesses than 32 bits can number.
        let numbers = (0..u32::try_from(accesses.len()).unwrap_or(NEVER)).rev();
        for ((next, id), access) in accesses.rev().zip(numbers) {
            if let Some(latest) = latest.get_mut(*id as usize) {
                *next = std::mem::replace(latest, access);
            }
        }
        Self(next)
    }

    fn hits(&self, capacity: usize, progress: &mut dyn FnMut(usize)) -> u64 {
        let mut kept = Kept::new(self.0.len(), capacity);
        let mut hits = 0;
        for (start, chunk) in (0_u32..).step_by(TOLD_EVERY).zip(self.0.chunks(TOLD_EVERY)) {
            for (access, next) in (start..).zip(chunk) {
                hits += u64::from(kept.take(access));
                if *next != NEVER {
                    kept.put(*next, access);
                }
            }
            progress(chunk.len());
        }
        hits
    }
}

/// The accesses that will be hits, as far as is known.
struct Kept {
    /// For each access, true if its key is kept until then.
    awaited: Vec<bool>,
    count: usize,
    latest_first: BinaryHeap<u32>,
    capacity: usize,
}

impl Kept {
    fn new(accesses: usize, capacity: usize) -> Self {
        let awaited = vec![false; accesses];
        Self { awaited, count: 0, latest_first: BinaryHeap::new(), capacity }
    }

    /// True if this access is a hit. Its key is then no longer kept for it.
    fn take(&mut self, access: u32) -> bool {
        let is_hit = self.set(access, false);
        self.count -= usize::from(is_hit);
        is_hit
    }

    /// Keeps the key whose next access is `next`. Beyond the capacity, drops the key whose next
    /// access is latest.
    fn put(&mut self, next: u32, now: u32) {
        self.latest_first.push(next);
        self.set(next, true);
        self.count += 1;
        if self.count > self.capacity
            && let Some(latest) = self.latest_first.pop()
        {
            self.set(latest, false);
            self.count -= 1;
        }
        if self.latest_first.len() / 2 > self.count + SWEPT_FROM {
            self.latest_first.retain(|access| *access > now);
        }
    }

    /// Sets whether a key is kept for this access. True if one was before.
    fn set(&mut self, access: u32, is_kept: bool) -> bool {
        let place = self.awaited.get_mut(access as usize);
        place.is_some_and(|place| std::mem::replace(place, is_kept))
    }
}

const NEVER: u32 = u32::MAX;
/// A heap that is smaller than twice this number is not worth sweeping.
const SWEPT_FROM: usize = 1_024;
