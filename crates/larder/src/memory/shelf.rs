//! The place of the records, and the sweeps that free the dead ones.

use std::sync::Weak;

use larder_core::{Clock, Sweep};

use crate::memory::store::Store;
use crate::support::janitor;
use crate::support::sync::atomic::{AtomicBool, Ordering};
use crate::support::sync::{Arc, Mutex, lock};

/// The store of a backend and its clones. Sweeps begin with the first record that has an end.
pub(super) struct Shelf {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Mutex<Store>,
    is_swept: AtomicBool,
    this: Weak<Self>,
}

impl Shelf {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            clock,
            store: Mutex::default(),
            is_swept: AtomicBool::new(false),
            this: Weak::clone(this),
        })
    }

    /// Ensures that sweeps run: by the clock, if it drives them, or by the janitor.
    pub(super) fn keep_swept(&self) {
        if self.is_swept.load(Ordering::Relaxed) || self.is_swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let this: Weak<dyn Sweep> = self.this.clone();
        if !self.clock.drive(Weak::clone(&this)) {
            janitor::keep_swept(this);
        }
    }
}

impl Sweep for Shelf {
    fn sweep(&self) {
        while lock(&self.store).purge(self.clock.now(), STEP) == STEP {}
    }
}

/// The number of records that are freed while others wait for the store.
const STEP: usize = 256;
