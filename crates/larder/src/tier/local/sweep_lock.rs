//! Sweeps of one tier take turns.

use std::cell::Cell;
use std::sync::TryLockError;

use larder_core::Timestamp;

use crate::support::sync::atomic::{AtomicBool, AtomicU32};
use crate::support::sync::{Mutex, MutexGuard, lock};

/// What the sweeps of a tier share.
#[derive(Default)]
pub(super) struct Sweeps {
    /// Whether somebody sweeps without being asked to.
    pub(super) is_kept: AtomicBool,
    /// The process whose janitor has been woken for a walk that has not begun; zero for none. A forked
    /// child's has not been.
    pub(super) woken_in: AtomicU32,
    /// Held by whoever sweeps, also while listeners run: a sweep ends when what others have taken
    /// is told, too.
    pub(super) lock: Mutex<Swept>,
}

/// How far sweeps have come.
pub(super) struct Swept {
    /// The count of endings up to which all entries have been looked at.
    pub(super) endings: u64,
    /// Whether the wheel has been emptied to be made anew, and lacks entries.
    pub(super) is_wheel_partial: bool,
    /// When the janitor may walk again.
    pub(super) next_walk: Timestamp,
}

impl Default for Swept {
    fn default() -> Self {
        Self { endings: 0, is_wheel_partial: false, next_walk: Timestamp::ZERO }
    }
}

/// A sweep under way: one at a time, whose end the others wait for.
pub(super) struct SweepLock<'a> {
    pub(super) swept: MutexGuard<'a, Swept>,
    was_inside: bool,
}

impl<'a> SweepLock<'a> {
    /// Within a sweep it does not wait: a listener or the end of a value has asked, and may be what
    /// the other one waits for. None then: what is dead is about to be freed.
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
    /// Whether this thread sweeps.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}
