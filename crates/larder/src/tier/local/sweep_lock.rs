//! The lock that lets only one sweep of a tier run at a time.

use std::cell::Cell;
use std::sync::TryLockError;

use larder_core::Timestamp;

use crate::support::sync::atomic::{AtomicBool, AtomicU32};
use crate::support::sync::{Mutex, MutexGuard, lock};

/// The state that the sweeps of a tier share.
#[derive(Default)]
pub(super) struct Sweeps {
    /// True if the clock or the janitor sweeps this tier without being asked.
    pub(super) is_kept: AtomicBool,
    /// The process whose janitor has been woken for a walk that has not begun; zero for none. The
    /// janitor of a forked child has not been woken.
    pub(super) woken_in: AtomicU32,
    /// The sweep lock, also held while listeners run: a sweep ends only when the listeners know of
    /// the entries that others have taken, too.
    pub(super) lock: Mutex<Swept>,
}

/// The progress of sweeps.
pub(super) struct Swept {
    /// The count of endings up to which all entries have been visited.
    pub(super) endings: u64,
    /// True if the wheel has been emptied to be made anew, and lacks entries.
    pub(super) is_wheel_partial: bool,
    /// The time from which on the janitor may walk again.
    pub(super) next_walk: Timestamp,
}

impl Default for Swept {
    fn default() -> Self {
        Self { endings: 0, is_wheel_partial: false, next_walk: Timestamp::ZERO }
    }
}

/// A sweep under way: one at a time, and the others wait for its end.
pub(super) struct SweepLock<'a> {
    pub(super) swept: MutexGuard<'a, Swept>,
    was_inside: bool,
}

impl<'a> SweepLock<'a> {
    /// Takes the lock. Inside a sweep it does not wait: a listener or the drop of a value has
    /// asked, and the other sweep may wait for that very thread. Returns none then: the dead
    /// entries are about to be freed.
    pub(super) fn take(turn: &'a Mutex<Swept>) -> Option<Self> {
        match Self::try_take(turn) {
            None if INSIDE.get() => None,
            None => Some(Self::new(lock(turn))),
            taken => taken,
        }
    }

    pub(super) fn try_take(turn: &'a Mutex<Swept>) -> Option<Self> {
        match turn.try_lock() {
            Ok(swept) => Some(Self::new(swept)),
            Err(TryLockError::Poisoned(poisoned)) => Some(Self::new(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn new(swept: MutexGuard<'a, Swept>) -> Self {
        Self { swept, was_inside: INSIDE.replace(true) }
    }
}

impl Drop for SweepLock<'_> {
    fn drop(&mut self) {
        INSIDE.set(self.was_inside);
    }
}

thread_local! {
    /// True while this thread sweeps.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}
