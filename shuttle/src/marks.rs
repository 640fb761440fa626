//! The product's marks with one tag, and the wrong changes of it that a flaw makes.

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
    /// A count that replaces the product's, and grows one step too late.
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

    /// Adds the tag as it is now to a generation.
    pub(crate) fn add_tag(&self, generation: &Generation) -> Generation {
        Generation { changes: generation.changes, ..self.see_tagged() }
    }

    /// True if the generation is current. A generation that nothing has touched is settled up to
    /// now.
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

    /// True if the generation is current, by the marks themselves and not only by their count.
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
        // The tag is one that has been read: otherwise there is nothing to change.
        self.product.see(&[Arc::from(OTHER)]);
        self.product.invalidate_tag(OTHER);
    }

    fn counts_late(&self) -> bool {
        self.flaw == Some(Flaw::CellBeforeCount)
    }
}
