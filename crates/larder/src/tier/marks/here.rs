//! Invalidations as this process knows them: of everything, and of tags.
//!
//! An entry keeps the versions of its tags as they were when its load began, and the count of all
//! changes. The entry is out of date as soon as one of its tags has another version, or everything
//! has been changed since. An invalidation therefore takes a few additions, however many entries it
//! ends, and a load that it overtakes cannot store anything that counts.
//!
//! A hit compares the count alone. Where the count has grown, a comparison of the tags tells
//! whether the changes concerned this entry; if not, the entry is settled up to the new count.
//!
//! Invariants: a change is made before it is counted, and a reader reads the count before it
//! judges. An entry settled up to a count is therefore untouched by all the changes that it counts.
//! A reader that finds an entry no longer fresh waits until the change is counted: no reader
//! notices a change and then misses it again.

use std::collections::HashMap;

use larder_core::Life;

use crate::support::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::support::sync::{Arc, Mutex, RwLock, lock, read, write};

/// The epoch and the versions of all tags that are referenced.
#[derive(Default)]
pub(crate) struct Marks {
    /// The count of all changes. It wraps, and comparisons allow for that.
    changes: AtomicU32,
    /// The counts of the last changes of everything. Low half: entries from before are not fresh.
    /// High half: entries from before are dead. Both are in one word, so that no reader gets one
    /// without the other.
    epochs: AtomicU64,
    tag_changes: AtomicU64,
    /// The count of changes that end entries, each counted after it is made.
    endings: AtomicU64,
    /// A function that is called after each of them, with no lock of this table taken.
    on_ending: Option<Box<dyn Fn() + Send + Sync>>,
    /// The lock under which a change is made and counted. It is a leaf: no other lock is taken
    /// under it.
    counting: Mutex<()>,
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    cells: HashMap<Arc<str>, Arc<TagCell>>,
    prune_at: usize,
}

/// One tag with its versions: each change makes another one.
pub(crate) struct TagCell {
    name: Arc<str>,
    /// High half: the hard version; low half: the soft one. Both are in one word, so that a hit
    /// compares once. An overflow of the soft one would count as a hard change, which is safe.
    versions: AtomicU64,
}

/// The count of changes and some tags' versions at one moment: the start of a load.
#[derive(Clone, Default)]
pub(crate) struct Generation {
    pub(crate) changes: u32,
    /// None when untagged.
    pub(crate) tags: Option<Arc<[TagGeneration]>>,
}

/// A tag with its versions at one moment.
#[derive(Clone)]
pub(crate) struct TagGeneration {
    cell: Arc<TagCell>,
    versions: u64,
}

impl Marks {
    /// Makes marks that call `on_ending` after each change that ends entries.
    pub(crate) fn telling(on_ending: impl Fn() + Send + Sync + 'static) -> Self {
        Self { on_ending: Some(Box::new(on_ending)), ..Self::default() }
    }

    /// Returns the count of changes that have ended entries. A walk that begins after this is read
    /// meets all entries that they ended.
    pub(crate) fn endings(&self) -> u64 {
        self.endings.load(Ordering::SeqCst)
    }

    /// Returns the epoch, which grows with every change of everything, hard or soft.
    #[inline]
    pub(crate) fn epoch(&self) -> u32 {
        low(self.epochs.load(Ordering::Acquire))
    }

    /// Returns the count of all changes. An entry settled up to it is unchanged.
    #[inline]
    pub(crate) fn changes(&self) -> u32 {
        self.changes.load(Ordering::Acquire)
    }

    /// Returns the oldest epoch that is not dead. It grows with every hard change of everything.
    #[inline]
    pub(crate) fn floor(&self) -> u32 {
        high(self.epochs.load(Ordering::Acquire))
    }

    /// Returns the count of tag changes, hard or soft. It grows before the tag's own version does:
    /// a reader that reads versions first and this count second cannot miss a change in between.
    pub(crate) fn tag_changes(&self) -> u64 {
        self.tag_changes.load(Ordering::SeqCst)
    }

    /// Removes from a table all tags to which no entry, load or fetch has a reference.
    pub(crate) fn retain_held<T>(&self, tags: &mut HashMap<Arc<str>, T>) {
        let table = read(&self.table);
        let is_held =
            |tag: &str| table.cells.get(tag).is_some_and(|cell| Arc::strong_count(cell) > 1);
        tags.retain(|tag, _| is_held(tag));
    }

    /// Returns the count of changes, and after it these tags' versions.
    pub(crate) fn see(&self, tags: &[Arc<str>]) -> Generation {
        let changes = self.changes();
        Generation { changes, tags: (!tags.is_empty()).then(|| self.see_tags(tags)) }
    }

    /// Makes all entries that were loaded or inserted before count as nothing.
    pub(crate) fn invalidate_all(&self) {
        self.count(HARD, |change, _| Some((change, change)));
    }

    /// Makes all entries that were loaded or inserted before stale.
    pub(crate) fn mark_all_stale(&self) {
        self.count(SOFT, |change, floor| Some((change, floor)));
    }

    /// Makes entries with the tag that were loaded or inserted before count as nothing.
    pub(crate) fn invalidate_tag(&self, tag: &str) {
        self.change_tag(tag, HARD);
    }

    /// Makes entries with the tag that were loaded or inserted before stale.
    pub(crate) fn mark_tag_stale(&self, tag: &str) {
        self.change_tag(tag, SOFT);
    }

    /// True if no hard change has ended the generation.
    pub(crate) fn is_current(&self, generation: &Generation) -> bool {
        self.life(generation) != Life::Dead
    }

    /// Returns the life of an entry of this generation: fresh means that no change has touched it.
    pub(crate) fn life(&self, generation: &Generation) -> Life {
        self.life_of(generation.changes, generation.tags.as_deref().unwrap_or_default())
    }

    /// Returns the life of an entry that is settled up to this count and has these tags.
    pub(crate) fn life_of(&self, settled: u32, tags: &[TagGeneration]) -> Life {
        let epochs = self.epochs.load(Ordering::Acquire);
        let life = if is_before(settled, high(epochs)) || tags.iter().any(TagGeneration::is_dead) {
            Life::Dead
        } else if is_before(settled, low(epochs)) || tags.iter().any(|tag| !tag.is_unchanged()) {
            Life::Stale
        } else {
            return Life::Fresh;
        };
        // The change may not be counted yet, and other readers hit by the count alone.
        drop(lock(&self.counting));
        life
    }

    /// Like [`life_of`](Self::life_of), with the count up to which the entry is settled now.
    pub(crate) fn settle(&self, settled: u32, tags: &[TagGeneration]) -> (Life, u32) {
        let changes = self.changes();
        match self.life_of(settled, tags) {
            Life::Fresh => (Life::Fresh, changes),
            life => (life, settled),
        }
    }

    fn change_tag(&self, tag: &str, change: u64) {
        self.tag_changes.fetch_add(1, Ordering::SeqCst);
        // A tag without a cell is referenced by no entry and no load.
        let cell = read(&self.table).cells.get(tag).cloned();
        if let Some(cell) = cell {
            self.count(change, |_, _| {
                cell.versions.fetch_add(change, Ordering::SeqCst);
                None
            });
        }
    }

    /// Makes a hard or a soft change and counts it. `make` gets the count of the change and the
    /// floor, and returns the new epoch and floor if they change.
    fn count(&self, kind: u64, make: impl FnOnce(u32, u32) -> Option<(u32, u32)>) {
        let counting = lock(&self.counting);
        let change = self.changes().wrapping_add(1);
        // Counts can be ordered over half of their range only: older entries are ended.
        let forgets = change.is_multiple_of(OLDEST).then_some((change, change));
        let epochs = make(change, self.floor());
        if let Some((epoch, floor)) = forgets.or(epochs) {
            let word = u64::from(floor) << 32 | u64::from(epoch);
            self.epochs.store(word, Ordering::SeqCst);
        }
        self.changes.store(change, Ordering::SeqCst);
        drop(counting);
        if kind == HARD || forgets.is_some() {
            self.endings.fetch_add(1, Ordering::SeqCst);
            self.on_ending.iter().for_each(|tell| tell());
        }
    }

    fn see_tags(&self, tags: &[Arc<str>]) -> Arc<[TagGeneration]> {
        let table = read(&self.table);
        let known: Option<Arc<[TagGeneration]>> =
            tags.iter().map(|tag| table.cells.get(tag).map(TagGeneration::now)).collect();
        drop(table);
        known.unwrap_or_else(|| {
            let mut table = write(&self.table);
            tags.iter().map(|tag| TagGeneration::now(table.cell(tag))).collect()
        })
    }
}

impl Table {
    fn cell(&mut self, tag: &Arc<str>) -> &Arc<TagCell> {
        if self.cells.len() >= self.prune_at {
            // Cells leave and are found under this lock only, so a cell without other references
            // can be forgotten: no entry or load will ask for its versions.
            self.cells.retain(|_, cell| Arc::strong_count(cell) > 1);
            self.prune_at = (self.cells.len() * 2).max(MIN_PRUNED);
        }
        self.cells.entry(Arc::clone(tag)).or_insert_with(|| Arc::new(TagCell::new(tag)))
    }
}

impl TagCell {
    fn new(name: &Arc<str>) -> Self {
        Self { name: Arc::clone(name), versions: AtomicU64::new(0) }
    }
}

impl Generation {
    /// Returns the generation with more tags, which were read later: the count stays.
    pub(crate) fn with_tags_of(self, later: &Self) -> Self {
        let tags = match (&self.tags, &later.tags) {
            (Some(tags), Some(more)) => Some(tags.iter().chain(more.iter()).cloned().collect()),
            (tags, more) => tags.clone().or_else(|| more.clone()),
        };
        Self { tags, ..self }
    }

    /// Returns the names of the tags.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.tags.iter().flat_map(|tags| tags.iter()).map(|tag| Arc::clone(tag.name())).collect()
    }
}

impl TagGeneration {
    fn now(cell: &Arc<TagCell>) -> Self {
        Self { cell: Arc::clone(cell), versions: cell.versions.load(Ordering::SeqCst) }
    }

    /// Returns the name of the tag.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.cell.name
    }

    #[inline]
    pub(crate) fn is_unchanged(&self) -> bool {
        self.cell.versions.load(Ordering::Acquire) == self.versions
    }

    fn is_dead(&self) -> bool {
        high(self.cell.versions.load(Ordering::Acquire)) != high(self.versions)
    }
}

const HARD: u64 = 1 << 32;
const SOFT: u64 = 1;

/// The largest distance at which the order of two counts is known.
const OLDEST: u32 = 1 << 31;

/// True if one count comes before the other: they are at most half of their range apart.
const fn is_before(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) <= OLDEST
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
const fn low(word: u64) -> u32 {
    word as u32
}

const fn high(word: u64) -> u32 {
    low(word >> 32)
}

/// The size below which the table is not searched for unreferenced tags.
const MIN_PRUNED: usize = 1024;

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::sync::Arc;

    use larder_core::Life;

    use super::{Generation, MIN_PRUNED, Marks, OLDEST};
    use crate::support::sync::atomic::Ordering;
    use crate::support::sync::read;

    fn tags<const N: usize>(names: [&str; N]) -> [Arc<str>; N] {
        names.map(Arc::from)
    }

    #[test]
    fn a_change_of_one_tag_touches_only_what_was_seen_before_with_that_tag() {
        let marks = Marks::default();
        let before = marks.see(&tags(["a", "b"]));
        let other = marks.see(&tags(["b"]));
        marks.mark_tag_stale("a");
        assert_eq!(marks.life(&before), Life::Stale);
        assert!(marks.is_current(&before));
        marks.invalidate_tag("a");
        assert_eq!(marks.life(&before), Life::Dead);
        assert_eq!(marks.life(&other), Life::Fresh);
        assert_eq!(marks.life(&marks.see(&tags(["a"]))), Life::Fresh);
        assert_eq!(marks.tag_changes(), 2);
    }

    #[test]
    fn a_soft_epoch_after_a_hard_one_does_not_bring_anything_back() {
        let marks = Marks::default();
        let first = marks.see(&[]);
        marks.invalidate_all();
        let second = marks.see(&[]);
        marks.mark_all_stale();
        assert_eq!(marks.life(&first), Life::Dead);
        assert_eq!(marks.life(&second), Life::Stale);
        assert_eq!(marks.life(&marks.see(&[])), Life::Fresh);
        assert_eq!((marks.epoch(), marks.floor()), (2, 1));
    }

    #[test]
    fn what_a_change_does_not_concern_is_settled_up_to_it() {
        let marks = Marks::default();
        let [own, other] = ["own", "other"].map(|tag| marks.see(&tags([tag])));
        marks.invalidate_tag("nobody's");
        assert_eq!(marks.changes(), 0);
        marks.invalidate_tag("other");
        let settle = |generation: &Generation| {
            marks.settle(generation.changes, generation.tags.as_deref().unwrap())
        };
        assert_eq!(settle(&own), (Life::Fresh, 1));
        assert_eq!(settle(&other), (Life::Dead, 0));
        marks.mark_all_stale();
        assert_eq!(settle(&own), (Life::Stale, 0));
        assert_eq!(settle(&marks.see(&tags(["own"]))), (Life::Fresh, 2));
    }

    #[test]
    fn counts_that_wrap_bring_nothing_back() {
        let marks = Marks::default();
        let first = marks.see(&[]);
        for start in [OLDEST - 2, OLDEST + 7, u32::MAX - 1, 3] {
            marks.changes.store(start, Ordering::SeqCst);
            let mut generation = Vec::new();
            for _ in 0..4 {
                generation.push(marks.see(&[]));
                marks.invalidate_all();
            }
            assert!(generation.iter().all(|generation| !marks.is_current(generation)));
            assert!(marks.is_current(&marks.see(&[])));
        }
        assert!(!marks.is_current(&first));
        let marks = Marks::default();
        let [first, tagged] = [marks.see(&[]), marks.see(&tags(["own"]))];
        marks.changes.store(OLDEST - 1, Ordering::SeqCst);
        let last = marks.see(&[]);
        marks.mark_tag_stale("own");
        for generation in [first, tagged, last] {
            assert_eq!(marks.life(&generation), Life::Dead, "older than can be told apart");
        }
        assert!(marks.is_current(&marks.see(&[])));
    }

    #[test]
    fn tags_that_nobody_holds_are_forgotten_and_held_ones_are_not() {
        let marks = Marks::default();
        let held = marks.see(&tags(["held"]));
        for number in 0..10 * MIN_PRUNED {
            marks.see(&[Arc::from(number.to_string())]);
        }
        assert!(read(&marks.table).cells.len() <= MIN_PRUNED);
        marks.invalidate_tag("held");
        assert!(!marks.is_current(&held));
    }
}
