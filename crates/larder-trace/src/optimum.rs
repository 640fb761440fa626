//! What no cache can beat.
//!
//! L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
//! Journal 5 (2), 1966: drop what is asked for again last. A newcomer may be that one, as it may
//! for policies that refuse.
//!
//! The keys that are kept are known by the access that asks for them next. No two have the same,
//! so a heap of these accesses is all there is; those that lie behind sink and are swept out.

use std::collections::BinaryHeap;

use crate::policy::TOLD_EVERY;
use crate::trace::Trace;

/// The most hits that a cache of so many ids can have on a trace.
///
/// Exact. It takes n log n for n accesses.
#[must_use]
pub fn optimum(trace: &Trace, capacity: usize) -> u64 {
    Next::new(trace).hits(capacity, &mut |_| ())
}

/// The [`optimum`] at each of some capacities.
///
/// `progress` is told now and then how many more accesses are done; the sum is all of them, once
/// for each capacity.
pub fn optima(trace: &Trace, capacities: &[usize], progress: &mut dyn FnMut(usize)) -> Vec<u64> {
    let next = Next::new(trace);
    capacities.iter().map(|capacity| next.hits(*capacity, progress)).collect()
}

/// For each access, the one that asks for the same key next, or [`NEVER`].
struct Next(Vec<u32>);

impl Next {
    fn new(trace: &Trace) -> Self {
        let mut latest = vec![NEVER; trace.distinct() as usize];
        let mut next = vec![NEVER; trace.ids().len()];
        let accesses = next.iter_mut().zip(trace.ids());
        // As many as there are: a trace has no more accesses than 32 bits can number.
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
    /// For each access, whether it is kept for.
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

    /// Whether this access is a hit. It is then asked for no more.
    fn take(&mut self, access: u32) -> bool {
        let is_hit = self.set(access, false);
        self.count -= usize::from(is_hit);
        is_hit
    }

    /// Keeps what is asked for next at `next`, or what comes before all others.
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

    /// Sets whether it is kept; whether it was.
    fn set(&mut self, access: u32, is_kept: bool) -> bool {
        let place = self.awaited.get_mut(access as usize);
        place.is_some_and(|place| std::mem::replace(place, is_kept))
    }
}

const NEVER: u32 = u32::MAX;
/// A heap that is smaller than twice this is not worth sweeping.
const SWEPT_FROM: usize = 1_024;
