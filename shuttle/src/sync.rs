//! The explorable twins of the product's `sync`.

pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic};
pub(crate) use shuttle::thread;

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
