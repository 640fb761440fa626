//! The marks of the authority, as far as this process knows them.
//!
//! Invariants: a fetched mark is installed only if this process has not changed the mark since the
//! fetch began. After a change of its own, this process asks for the mark again, because another
//! process's change may have come after; the written mark stays for comparison.
//!
//! A tag is forgotten only while this process has no reference to it: no local copy, no load, no
//! fetch. So no copy is left that could not be compared. Nor is a fetch under way that began before
//! a change: it would put the old version back once the change is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use larder_core::{Epoch, TagVersion, Timestamp};

use crate::support::mutation::{self, Rule};
use crate::tier::marks::current::Current;
use crate::tier::marks::here::{Generation, Marks};

/// The known marks of the namespace.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) epoch: Known<Epoch>,
    tags: HashMap<Arc<str>, Known<TagVersion>>,
    /// The count of this process's own changes of marks. It never goes back.
    changes: u64,
    /// The size at which unreferenced tags are forgotten.
    forget_at: usize,
}

/// A mark, as far as it is known.
pub(crate) struct Known<T> {
    pub(crate) value: Option<T>,
    /// The time at which the mark was asked for; zero if it must be asked for again.
    checked: Timestamp,
    /// The table's count at the last change by this process.
    changed: u64,
    /// The time until which the mark lives at the authority: zero if that is not known.
    lasts: Timestamp,
}

/// Marks as the authority had them.
pub(crate) struct Fetched {
    /// The time at which the marks were asked for.
    pub(crate) began: Timestamp,
    pub(crate) epoch: Epoch,
    /// Each tag, and the time until which it lives there.
    pub(crate) tags: Vec<(TagVersion, Timestamp)>,
}

impl Table {
    /// Returns the known marks, if all of them are recent enough. If not, returns the count of own
    /// changes so far, and keeps a reference to the tags until they are fetched.
    pub(crate) fn answer(
        &mut self,
        marks: &Marks,
        tags: &[Arc<str>],
        oldest: Timestamp,
        pinned: &mut Option<Generation>,
    ) -> Result<Current, u64> {
        let generation = marks.see(tags);
        self.make_room(marks, tags.len());
        let mut checked = self.epoch.checked;
        let epoch = self.epoch.since(oldest).copied();
        let mut versions = Vec::with_capacity(tags.len());
        for tag in tags {
            let known = self.tags.entry(Arc::clone(tag)).or_default();
            checked = checked.min(known.checked);
            versions.extend(known.since(oldest).cloned());
        }
        match epoch {
            Some(epoch) if versions.len() == tags.len() => {
                Ok(Current { epoch, tags: versions, generation, checked })
            }
            _ => {
                *pinned = Some(generation);
                Err(self.changes)
            }
        }
    }

    /// Installs fetched marks. This process had made `before` changes when the fetch began.
    pub(crate) fn install(
        &mut self,
        marks: &Marks,
        tags: &[Arc<str>],
        before: u64,
        fetched: Fetched,
    ) {
        let began = fetched.began;
        if self.epoch.takes(began, before) {
            match self.epoch.value {
                Some(known) if known.hard != fetched.epoch.hard => marks.invalidate_all(),
                Some(known) if known.soft != fetched.epoch.soft => marks.mark_all_stale(),
                _ => {}
            }
            self.epoch.set(fetched.epoch, began, Timestamp::FAR);
        }
        for (tag, (version, until)) in tags.iter().zip(fetched.tags) {
            let known = self.tags.entry(Arc::clone(tag)).or_default();
            if !known.takes(began, before) {
                continue;
            }
            match &known.value {
                Some(known) if known.hard != version.hard => marks.invalidate_tag(tag),
                Some(known) if known.soft != version.soft => marks.mark_tag_stale(tag),
                _ => {}
            }
            known.set(version, began, until);
        }
    }

    /// Returns the known mark of a tag, and the count of own changes with the new one.
    pub(crate) fn change(
        &mut self,
        marks: &Marks,
        tag: &Arc<str>,
    ) -> (&mut Known<TagVersion>, u64) {
        self.make_room(marks, 1);
        let changes = self.count();
        (self.tags.entry(Arc::clone(tag)).or_default(), changes)
    }

    pub(crate) fn count(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// Returns those of these versions that are not known to live until then.
    pub(crate) fn ending_before<'a>(
        &self,
        tags: &'a [TagVersion],
        until: Timestamp,
    ) -> Vec<&'a TagVersion> {
        let ends = |tag: &&TagVersion| {
            let known = std::str::from_utf8(&tag.name).ok().and_then(|name| self.tags.get(name));
            let known = known.filter(|known| known.value.as_ref() == Some(tag));
            known.is_none_or(|known| known.lasts < until)
        };
        tags.iter().filter(ends).collect()
    }

    /// Notes the time until which a version lives at the authority.
    pub(crate) fn lasts(&mut self, tag: &TagVersion, until: Timestamp) {
        let known = std::str::from_utf8(&tag.name).ok().and_then(|name| self.tags.get_mut(name));
        if let Some(known) = known.filter(|known| known.value.as_ref() == Some(tag)) {
            known.lasts = until;
        }
    }

    fn make_room(&mut self, marks: &Marks, wanted: usize) {
        if self.tags.len() + wanted > self.forget_at.max(LEAST_KEPT) {
            self.forget(marks);
            // Each search follows as many new tags as there are tags to search.
            self.forget_at = (self.tags.len() + wanted) * 2;
        }
    }

    /// Forgets the tags to which this process has no reference.
    pub(crate) fn forget(&mut self, marks: &Marks) {
        if mutation::holds(Rule::ForgetUnheld) {
            marks.retain_held(&mut self.tags);
        } else {
            self.tags.clear();
        }
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        let (checked, lasts) = (Timestamp::ZERO, Timestamp::ZERO);
        Self { value: None, checked, changed: 0, lasts }
    }
}

impl<T> Known<T> {
    fn since(&self, oldest: Timestamp) -> Option<&T> {
        self.value.as_ref().filter(|_| self.checked >= oldest)
    }

    /// True if an answer asked for at `began`, after `before` own changes, is news.
    fn takes(&self, began: Timestamp, before: u64) -> bool {
        !mutation::holds(Rule::InstallGuard) || (self.changed <= before && self.checked <= began)
    }

    fn set(&mut self, value: T, checked: Timestamp, lasts: Timestamp) {
        (self.value, self.checked, self.lasts) = (Some(value), checked, lasts);
    }

    /// Notes a change by this process. The written value, if it is sure, is compared with the next
    /// answer.
    pub(crate) fn changed_here(&mut self, written: Option<T>, changes: u64) {
        self.value = written.or_else(|| self.value.take());
        (self.checked, self.lasts) = (Timestamp::ZERO, Timestamp::ZERO);
        self.changed = changes;
    }
}

/// The size below which no tag is forgotten.
const LEAST_KEPT: usize = 1 << 16;
