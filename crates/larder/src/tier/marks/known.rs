//! What this process knows of the marks at the authority.
//!
//! Invariants: a fetched mark is installed only if this process has not changed the mark since the
//! fetch began. After its own change a mark is asked for again, because another process's change
//! may have come after; what was written stays for comparison.
//!
//! A tag is forgotten only while nobody here holds it: no local copy, no load, no fetch. So no copy
//! is left that could not be compared, and no fetch that began before a change is still under way,
//! which would put the old version back once the change is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use larder_core::{Epoch, TagVersion, Timestamp};

use crate::support::rule::{Rule, holds};
use crate::tier::marks::current::Current;
use crate::tier::marks::here::{Generation, Marks};

/// What is known of the namespace's marks.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) epoch: Known<Epoch>,
    tags: HashMap<Arc<str>, Known<TagVersion>>,
    /// Counts own changes of the marks: never goes back.
    changes: u64,
    /// The size at which tags that nobody holds are forgotten.
    forget_at: usize,
}

/// A mark, as far as it is known.
pub(crate) struct Known<T> {
    pub(crate) value: Option<T>,
    /// When it was asked for; zero if it must be asked for again.
    checked: Timestamp,
    /// The table's count at the last own change.
    changed: u64,
    /// Until when it lives at the authority: zero if that is not known.
    lasts: Timestamp,
}

/// Marks as the authority had them.
pub(crate) struct Fetched {
    /// When they were asked for.
    pub(crate) began: Timestamp,
    pub(crate) epoch: Epoch,
    /// Each tag, and until when it lives there.
    pub(crate) tags: Vec<(TagVersion, Timestamp)>,
}

impl Table {
    /// What is known, if all of it is recent enough; else how much has been changed here so far, and
    /// the tags are held until they are fetched.
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

    /// Takes over what was fetched, when `before` changes had been made here.
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

    /// What is known of a tag, and the count of own changes, the one that is to be noted included.
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

    /// Those of these versions that are not known to live until then.
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

    /// Notes until when a version lives at the authority.
    pub(crate) fn lasts(&mut self, tag: &TagVersion, until: Timestamp) {
        let known = std::str::from_utf8(&tag.name).ok().and_then(|name| self.tags.get_mut(name));
        if let Some(known) = known.filter(|known| known.value.as_ref() == Some(tag)) {
            known.lasts = until;
        }
    }

    fn make_room(&mut self, marks: &Marks, wanted: usize) {
        if self.tags.len() + wanted > self.forget_at.max(LEAST_KEPT) {
            self.forget(marks);
            // Each time as many have come as are looked through.
            self.forget_at = (self.tags.len() + wanted) * 2;
        }
    }

    /// Forgets the tags that nobody here holds.
    pub(crate) fn forget(&mut self, marks: &Marks) {
        if holds(Rule::ForgetUnheld) {
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

    /// Whether what was asked for at `began`, after `before` changes, is news.
    fn takes(&self, began: Timestamp, before: u64) -> bool {
        !holds(Rule::InstallGuard) || (self.changed <= before && self.checked <= began)
    }

    fn set(&mut self, value: T, checked: Timestamp, lasts: Timestamp) {
        (self.value, self.checked, self.lasts) = (Some(value), checked, lasts);
    }

    /// Notes an own change; what it wrote, if that is sure, is what the next answer is compared
    /// with.
    pub(crate) fn changed_here(&mut self, written: Option<T>, changes: u64) {
        self.value = written.or_else(|| self.value.take());
        (self.checked, self.lasts) = (Timestamp::ZERO, Timestamp::ZERO);
        self.changed = changes;
    }
}

/// The size below which no tag is forgotten.
const LEAST_KEPT: usize = 1 << 16;
