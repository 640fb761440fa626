//! The product's marks with one tag, and what a change of it does wrong with the flaw.

use std::sync::Arc;

use crate::flaw::Flaw;
use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};
use crate::tag::{self, Seen};

const TAG: &str = "tag";

#[derive(Default)]
pub(crate) struct Marks {
    product: tag::Marks,
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
        Seen { epoch: seen.epoch, ..self.see_tagged() }
    }

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

    fn counts_late(&self) -> bool {
        self.flaw == Some(Flaw::CellBeforeCount)
    }
}
