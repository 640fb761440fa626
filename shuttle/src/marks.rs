//! The product's marks with one tag, and what a change of it does wrong with the flaw.

use std::sync::Arc;

use larder_core::Life;

use crate::flaw::Flaw;
use crate::here::{self, Generation};
use crate::support::sync::atomic::{AtomicU64, Ordering::SeqCst};

const TAG: &str = "tag";
const OTHER: &str = "other";

#[derive(Default)]
pub(crate) struct Marks {
    product: here::Marks,
    flaw: Option<Flaw>,
    /// Counts in place of the product's, one step too late.
    late_changes: AtomicU64,
}

impl Marks {
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        Self { flaw, ..Self::default() }
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.product.epoch()
    }

    pub(crate) fn tag_changes(&self) -> u64 {
        if self.counts_late() { self.late_changes.load(SeqCst) } else { self.product.tag_changes() }
    }

    pub(crate) fn see_untagged(&self) -> Generation {
        self.product.see(&[])
    }

    pub(crate) fn see_tagged(&self) -> Generation {
        self.product.see(&[Arc::from(TAG)])
    }

    /// The same, and the tag as it is now.
    pub(crate) fn add_tag(&self, generation: &Generation) -> Generation {
        Generation { changes: generation.changes, ..self.see_tagged() }
    }

    /// Whether what was seen is current; if nothing has happened to it, it is settled by now.
    pub(crate) fn settle(&self, generation: &mut Generation) -> bool {
        if generation.changes == self.product.changes() {
            return true;
        }
        let tags = generation.tags.as_deref().unwrap_or_default();
        let (life, settled) = if self.flaw == Some(Flaw::SettledTooFar) {
            (self.product.life_of(generation.changes, tags), self.product.changes())
        } else {
            self.product.settle(generation.changes, tags)
        };
        if life == Life::Fresh {
            generation.changes = settled;
        }
        life != Life::Dead
    }

    /// The same by a closer look, which asks the marks themselves and not only their count.
    pub(crate) fn is_current(&self, generation: &Generation) -> bool {
        self.product.is_current(generation)
    }

    pub(crate) fn invalidate_all(&self) {
        self.product.invalidate_all();
    }

    pub(crate) fn invalidate_tag(&self) {
        self.product.invalidate_tag(TAG);
        if self.counts_late() {
            self.late_changes.fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn invalidate_other_tag(&self) {
        // One that somebody has seen: else there is nothing to change.
        self.product.see(&[Arc::from(OTHER)]);
        self.product.invalidate_tag(OTHER);
    }

    fn counts_late(&self) -> bool {
        self.flaw == Some(Flaw::CellBeforeCount)
    }
}
