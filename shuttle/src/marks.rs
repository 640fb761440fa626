//! The product's marks with one tag, and what a change of it does wrong with the flaw.

use std::sync::Arc;

use larder_core::Life;

use crate::flaw::Flaw;
use crate::here::{self, Seen};
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

    pub(crate) fn see_untagged(&self) -> Seen {
        self.product.see(&[])
    }

    pub(crate) fn see_tagged(&self) -> Seen {
        self.product.see(&[Arc::from(TAG)])
    }

    /// The same, and the tag as it is now.
    pub(crate) fn add_tag(&self, seen: &Seen) -> Seen {
        Seen { changes: seen.changes, ..self.see_tagged() }
    }

    /// Whether what was seen is current; if nothing has happened to it, it is settled by now.
    pub(crate) fn settle(&self, seen: &mut Seen) -> bool {
        if seen.changes == self.product.changes() {
            return true;
        }
        let tags = seen.tags.as_deref().unwrap_or_default();
        let (life, settled) = if self.flaw == Some(Flaw::SettledTooFar) {
            (self.product.life_of(seen.changes, tags), self.product.changes())
        } else {
            self.product.settle(seen.changes, tags)
        };
        if life == Life::Fresh {
            seen.changes = settled;
        }
        life != Life::Dead
    }

    /// The same by a closer look, which asks the marks themselves and not only their count.
    pub(crate) fn is_current(&self, seen: &Seen) -> bool {
        self.product.is_current(seen)
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
