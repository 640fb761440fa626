//! A model of the marks: the epoch, and one tag with the count of tag changes.

use crate::flaw::Flaw;
use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};

pub(crate) struct Marks {
    epoch: AtomicU64,
    tag_changes: AtomicU64,
    tag: AtomicU64,
    flaw: Option<Flaw>,
}

/// What an entry was loaded under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    epoch: u64,
    tag: Option<u64>,
}

impl Marks {
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        let [epoch, tag_changes, tag] = std::array::from_fn(|_| AtomicU64::new(0));
        Self { epoch, tag_changes, tag, flaw }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    pub(crate) fn tag_changes(&self) -> u64 {
        self.tag_changes.load(SeqCst)
    }

    pub(crate) fn see_untagged(&self) -> Seen {
        Seen { epoch: self.epoch(), tag: None }
    }

    pub(crate) fn see_tagged(&self) -> Seen {
        self.see_untagged().with_tag(self)
    }

    pub(crate) fn is_current(&self, seen: &Seen) -> bool {
        seen.epoch == self.epoch() && seen.tag.is_none_or(|tag| tag == self.tag.load(SeqCst))
    }

    pub(crate) fn invalidate_all(&self) {
        self.epoch.fetch_add(1, SeqCst);
    }

    pub(crate) fn invalidate_tag(&self) {
        let [first, second] = match self.flaw {
            Some(Flaw::CellBeforeCount) => [&self.tag, &self.tag_changes],
            _ => [&self.tag_changes, &self.tag],
        };
        first.fetch_add(1, SeqCst);
        second.fetch_add(1, SeqCst);
    }
}

impl Seen {
    pub(crate) fn with_tag(self, marks: &Marks) -> Self {
        Self { tag: Some(marks.tag.load(SeqCst)), ..self }
    }
}
