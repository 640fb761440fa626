//! Synchronization primitives, replaced by their explorable twins in `shuttle/`.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks, also after a panic under the lock: the structures here are whole at every step.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
