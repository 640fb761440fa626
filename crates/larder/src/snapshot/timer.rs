//! The timer of regular saves: the clock, if it can drive them, or a thread of the cache's own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use larder_core::{Error, ErrorKind, Sweep};

use crate::key::CacheKey;
use crate::observe::event::Event;
use crate::snapshot::keeper::Keeper;
use crate::support::clock::LocalClock;
use crate::support::sync::{Arc, lock, thread};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Keeper<K, V> {
    /// Starts the regular saves of this keeper. The thread ends with the keeper.
    pub(super) fn keep_saved(self: &Arc<Self>) {
        if self.every.is_none() {
            return;
        }
        let this = Arc::downgrade(self);
        if let LocalClock::Injected(clock) = self.local.clock()
            && clock.drive(this.clone())
        {
            return;
        }
        let run = move || {
            while let Some(keeper) = this.upgrade() {
                keeper.sweep();
                let pause = keeper.until_due().clamp(SHORTEST, LONGEST);
                // The last handle may be gone meanwhile. Then this drop ends the cache, and the
                // loop.
                drop(keeper);
                thread::park_timeout(pause);
            }
        };
        match thread::Builder::new().name("larder-snapshot".to_owned()).spawn(run) {
            Ok(started) => *lock(&self.thread) = Some(started.thread().clone()),
            Err(error) => {
                let error = Error::with_source(ErrorKind::Unavailable, "snapshot", error);
                self.tell(&Event::SnapshotFailed(error));
            }
        }
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Sweep for Keeper<K, V> {
    fn sweep(&self) {
        // A sink's panic costs one save, and does not end the saves.
        let _ = catch_unwind(AssertUnwindSafe(|| self.save_if_due()));
    }
}

impl<K, V> Drop for Keeper<K, V> {
    fn drop(&mut self) {
        if let Some(thread) = &*lock(&self.thread) {
            thread.unpark();
        }
    }
}

/// The shortest and the longest pause between two reads of the clock.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3_600);
