//! Tags, the tag sequence and the epoch at the authority, and what this process knows of them.
//!
//! A mark's record has no payload: a tag's header names the tag's own versions, the epoch's header
//! holds the epoch, and the sequence is its record's version. So a refused write already says what
//! is there. Marks never expire; a mark that was lost is made anew, which invalidates.
//!
//! Invariant: a fetched mark is installed only if this process has not changed the mark since the
//! fetch began. Its own changes forget what was known, because another node's change may have come
//! between.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Class, Epoch, Error, ErrorKind, Expect, Header, Key, NEVER, Outcome, Record, Result,
    TagVersion, Times, Timestamp, Version,
};

use crate::rule::{Rule, holds};
use crate::sync::lock;
use crate::tier::authority::Authority;
use crate::tier::tag::{Marks, Seen};

/// Retries of a fetch or mint that was raced. Each needs another change at the same moment.
const TRIES: usize = 8;
/// How many tags are remembered before all are forgotten: forgetting invalidates local copies.
const MAX_TAGS: usize = 1 << 16;

/// What is known of the namespace's marks.
#[derive(Default)]
pub(crate) struct Table {
    epoch: Known<Epoch>,
    tags: HashMap<Arc<str>, Known<TagVersion>>,
}

struct Known<T> {
    value: Option<T>,
    checked: Timestamp,
    changes: u64,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { value: None, checked: Timestamp::ZERO, changes: 0 }
    }
}

/// Marks as the authority has them.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) epoch: Epoch,
    pub(crate) tags: Vec<TagVersion>,
    /// The same as this process counts them, taken in the same step.
    pub(crate) seen: Seen,
    /// When the oldest of them was asked for.
    pub(crate) checked: Timestamp,
}

impl Current {
    /// Adds tags that were read later. One that is there already stays as it was.
    pub(crate) fn add_tags(&mut self, tags: Vec<TagVersion>, seen: &Seen) {
        for tag in tags {
            if self.tags.iter().all(|there| there.name != tag.name) {
                self.tags.push(tag);
            }
        }
        self.seen = std::mem::take(&mut self.seen).with_tags_of(seen);
    }
}

/// How old an answer may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Asked for during this call.
    Now,
    /// Within the interval of checks.
    Checked,
}

/// Which part of a mark a change makes anew.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// What it marks is nothing from now on.
    Hard,
    /// What it marks is stale from now on.
    Soft,
}

impl Authority {
    /// The epoch and these tags. Those that the authority does not have are made.
    pub(crate) async fn current(
        &self,
        marks: &Marks,
        tags: &[Arc<str>],
        age: Age,
    ) -> Result<Current> {
        let mut oldest = match age {
            Age::Now => Timestamp::FAR,
            Age::Checked => {
                // A mark asked for exactly this long ago is due.
                let due = self.clock.now().before(self.tag_check);
                Timestamp::from_nanos(due.as_nanos().saturating_add(1))
            }
        };
        for _ in 0..TRIES {
            let before = match lock(&self.table).answer(marks, tags, oldest) {
                Ok(current) => return Ok(current),
                Err(changes) => changes,
            };
            let began = self.clock.now();
            let fetched = self.fetch_marks(tags).await?;
            lock(&self.table).install(marks, tags, began, before, fetched);
            oldest = began;
        }
        Err(contended("read marks"))
    }

    /// The tag sequence: it changes before and with every change of any tag.
    pub(crate) async fn sequence(&self) -> Result<Version> {
        let key = self.key(Class::Sequence, "");
        Ok(self.read_or_make(&key, mark(Vec::new(), Epoch::NONE)).await?.version)
    }

    /// Changes a tag at the authority, and then here.
    pub(crate) async fn change_tag(
        &self,
        marks: &Marks,
        tag: &Arc<str>,
        change: Change,
    ) -> Result<()> {
        let sequence = self.key(Class::Sequence, "");
        let key = self.key(Class::Tag, tag);
        let result = async {
            let first = if holds(Rule::SequenceFirst) { &sequence } else { &key };
            let second = if holds(Rule::SequenceFirst) { &key } else { &sequence };
            for place in [first, second] {
                if *place == sequence {
                    let record = mark(Vec::new(), Epoch::NONE);
                    applied(self.write(place, record, Expect::Any).await)?;
                } else {
                    self.renew(place, change, |header| tag_mark(tag, header)).await?;
                }
            }
            Ok(())
        }
        .await;
        let mut table = lock(&self.table);
        table.tags.entry(Arc::clone(tag)).or_default().forget();
        match change {
            Change::Hard => marks.invalidate_tag(tag),
            Change::Soft => marks.mark_tag_stale(tag),
        }
        result
    }

    /// Changes the epoch at the authority, and then here.
    pub(crate) async fn change_epoch(&self, marks: &Marks, change: Change) -> Result<()> {
        let key = self.key(Class::Epoch, "");
        let result = self.renew(&key, change, epoch_mark).await;
        let mut table = lock(&self.table);
        table.epoch.forget();
        match change {
            Change::Hard => marks.invalidate_all(),
            Change::Soft => marks.mark_all_stale(),
        }
        result
    }

    /// Writes a mark anew: whatever is there for a hard change, over what is there for a soft one.
    async fn renew(
        &self,
        key: &Key,
        change: Change,
        make: impl Fn(Option<&Header>) -> Record,
    ) -> Result<()> {
        if change == Change::Hard {
            return applied(self.write(key, make(None), Expect::Any).await);
        }
        let mut there = self.read(key).await?.map(|record| record.header);
        for _ in 0..TRIES {
            let expect = there.as_ref().map_or(Expect::Absent, Expect::exactly);
            match self.write(key, make(there.as_ref()), expect).await {
                Outcome::Refused(header) => there = header.map(|header| *header),
                outcome => return applied(outcome),
            }
        }
        Err(contended("write a mark"))
    }

    async fn fetch_marks(&self, tags: &[Arc<str>]) -> Result<(Epoch, Vec<TagVersion>)> {
        let mut keys = vec![self.key(Class::Epoch, "")];
        keys.extend(tags.iter().map(|tag| self.key(Class::Tag, tag)));
        let mut records = self.read_many(&keys).await.into_iter();
        let mut next = || records.next().unwrap_or(Ok(None));
        let epoch = match next()? {
            Some(record) => record.header.epoch,
            None => self.read_or_make(&self.key(Class::Epoch, ""), epoch_mark(None)).await?.epoch,
        };
        let mut versions = Vec::with_capacity(tags.len());
        for tag in tags {
            let header = if let Some(record) = next()? {
                record.header
            } else {
                self.read_or_make(&self.key(Class::Tag, tag), tag_mark(tag, None)).await?
            };
            versions.push(header.tags.into_iter().next().ok_or_else(|| damaged(tag))?);
        }
        Ok((epoch, versions))
    }

    /// Reads a mark; one that is missing is made, and who loses that race adopts the winner's.
    async fn read_or_make(&self, key: &Key, made: Record) -> Result<Header> {
        if let Some(record) = self.read(key).await? {
            return Ok(record.header);
        }
        for _ in 0..TRIES {
            match self.write(key, made.clone(), Expect::Absent).await {
                Outcome::Done => return Ok(made.header),
                Outcome::Refused(Some(header)) => return Ok(*header),
                Outcome::Refused(None) => {}
                Outcome::Failed(error) | Outcome::Unknown(error) => return Err(error),
            }
        }
        Err(contended("make a mark"))
    }
}

impl Table {
    /// What is known, if all of it is recent enough; else how often each has been changed here.
    fn answer(
        &mut self,
        marks: &Marks,
        tags: &[Arc<str>],
        oldest: Timestamp,
    ) -> Result<Current, Vec<u64>> {
        self.make_room(marks, tags.len());
        let mut changes = vec![self.epoch.changes];
        let mut checked = self.epoch.checked;
        let epoch = self.epoch.since(oldest).copied();
        let mut versions = Vec::with_capacity(tags.len());
        for tag in tags {
            let known = self.tags.entry(Arc::clone(tag)).or_default();
            changes.push(known.changes);
            checked = checked.min(known.checked);
            versions.extend(known.since(oldest).cloned());
        }
        match epoch {
            Some(epoch) if versions.len() == tags.len() => {
                Ok(Current { epoch, tags: versions, seen: marks.see(tags), checked })
            }
            _ => Err(changes),
        }
    }

    fn install(
        &mut self,
        marks: &Marks,
        tags: &[Arc<str>],
        began: Timestamp,
        before: Vec<u64>,
        fetched: (Epoch, Vec<TagVersion>),
    ) {
        let mut before = before.into_iter();
        if self.epoch.unchanged(before.next()) {
            match self.epoch.value {
                Some(known) if known.hard != fetched.0.hard => marks.invalidate_all(),
                Some(known) if known.soft != fetched.0.soft => marks.mark_all_stale(),
                _ => {}
            }
            self.epoch.set(fetched.0, began);
        }
        for (tag, version) in tags.iter().zip(fetched.1) {
            let Some(known) = self.tags.get_mut(tag) else { continue };
            if known.unchanged(before.next()) {
                match &known.value {
                    Some(known) if known.hard != version.hard => marks.invalidate_tag(tag),
                    Some(known) if known.soft != version.soft => marks.mark_tag_stale(tag),
                    _ => {}
                }
                known.set(version, began);
            }
        }
    }

    /// A forgotten tag cannot be compared any more, so local copies under it go as well.
    fn make_room(&mut self, marks: &Marks, wanted: usize) {
        if self.tags.len() + wanted > MAX_TAGS {
            self.tags.drain().for_each(|(tag, _)| marks.invalidate_tag(&tag));
        }
    }
}

impl<T> Known<T> {
    fn since(&self, oldest: Timestamp) -> Option<&T> {
        self.value.as_ref().filter(|_| self.checked >= oldest)
    }

    fn unchanged(&self, changes: Option<u64>) -> bool {
        !holds(Rule::InstallGuard) || changes == Some(self.changes)
    }

    fn set(&mut self, value: T, checked: Timestamp) {
        self.value = Some(value);
        self.checked = checked;
    }

    fn forget(&mut self) {
        self.value = None;
        self.changes += 1;
    }
}

fn mark(tags: Vec<TagVersion>, epoch: Epoch) -> Record {
    let mut record = Record::value(Bytes::new(), Times::new(NEVER, NEVER));
    record.header.tags = tags;
    record.header.epoch = epoch;
    record
}

fn tag_mark(tag: &str, there: Option<&Header>) -> Record {
    let kept = there.and_then(|header| header.tags.first()).map(|tag| tag.hard);
    let hard = kept.unwrap_or_else(Version::next);
    let name = Bytes::copy_from_slice(tag.as_bytes());
    mark(vec![TagVersion { name, hard, soft: Version::next() }], Epoch::NONE)
}

fn epoch_mark(there: Option<&Header>) -> Record {
    let hard = there.map_or_else(|| fastrand::u64(1..), |header| header.epoch.hard);
    mark(Vec::new(), Epoch { hard, soft: fastrand::u64(1..) })
}

fn applied(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Refused(_) => Err(contended("write a mark")),
        Outcome::Failed(error) | Outcome::Unknown(error) => Err(error),
    }
}

fn contended(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "others changed it at every try")
}

fn damaged(_tag: &str) -> Error {
    Error::new(ErrorKind::Codec, "read a tag", "the tag's record names no versions")
}

/// Whether a record that the authority has is usable under these marks.
pub(crate) fn standing(header: &Header, current: &Current) -> Option<Change> {
    let now = |name: &Bytes| current.tags.iter().find(|tag| tag.name == *name);
    let hard = header.epoch.hard != current.epoch.hard
        || header.tags.iter().any(|tag| now(&tag.name).is_none_or(|now| now.hard != tag.hard));
    if hard {
        return Some(Change::Hard);
    }
    let soft = header.epoch.soft != current.epoch.soft
        || header.tags.iter().any(|tag| now(&tag.name).is_none_or(|now| now.soft != tag.soft));
    soft.then_some(Change::Soft)
}

/// How long the local copy of a record may go without comparing its marks.
pub(crate) fn marks_due(checked: Timestamp, every: Duration) -> Timestamp {
    checked.after(every)
}
