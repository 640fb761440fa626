//! Pool of objects that are costly to make and serve one call at a time.

use crate::support::sync::{Mutex, lock};

/// Objects that wait for their next use: as many as were in use at once.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Runs with an object, and makes one first if none is free. None if none can be made.
    pub(super) fn with<R>(
        &self,
        make: impl FnOnce() -> Option<T>,
        run: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let waiting = lock(&self.0).pop();
        let mut one = waiting.or_else(make)?;
        let result = run(&mut one);
        lock(&self.0).push(one);
        Some(result)
    }
}
