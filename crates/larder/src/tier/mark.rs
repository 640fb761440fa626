//! Tags, the tag sequence and the epoch at the authority, and what this process knows of them.
//!
//! A mark's record has no payload: a tag's header names the tag's own versions, the epoch's header
//! holds the epoch, and the sequence is its record's version. So a refused write already says what
//! is there. Marks never expire; a mark that was lost is made anew, which invalidates.
//!
//! Invariant: a fetched mark is installed only if this process has not changed the mark since the
//! fetch began. After its own change a mark is asked for again, because another process's change
//! may have come after; what was written stays for comparison.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    Class, Epoch, Error, ErrorKind, Expect, Header, Key, Kind, Life, NEVER, Outcome, Record,
    Result, TagVersion, Times, Timestamp, Version,
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
    /// Counts own changes of the marks and tables that were forgotten: never goes back.
    changes: u64,
    /// The count when all tags were last forgotten: what was fetched before is no answer.
    forgotten: u64,
}

struct Known<T> {
    value: Option<T>,
    /// When it was asked for; zero if it must be asked for again.
    checked: Timestamp,
    /// The table's count at the last own change.
    changed: u64,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { value: None, checked: Timestamp::ZERO, changed: 0 }
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
            let began = if holds(Rule::TrustedSinceAsked) { began } else { self.clock.now() };
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
        let written = self.write_tag(tag, change).await;
        let mut table = lock(&self.table);
        let version = written.as_ref().ok().and_then(|header| header.tags.first());
        let changes = table.count();
        let known = table.tags.entry(Arc::clone(tag)).or_default();
        // Between what was known and what is written another process may have changed it hard.
        let is_other = |then: &TagVersion| version.is_some_and(|now| now.hard != then.hard);
        if change == Change::Hard || known.value.as_ref().is_some_and(is_other) {
            marks.invalidate_tag(tag);
        } else {
            marks.mark_tag_stale(tag);
        }
        known.changed_here(version.cloned(), changes);
        written.map(drop)
    }

    async fn write_tag(&self, tag: &Arc<str>, change: Change) -> Result<Header> {
        let key = self.key(Class::Tag, tag);
        let renew = || self.renew(&key, change, |header| tag_mark(tag, header));
        if !holds(Rule::SequenceFirst) {
            let header = renew().await?;
            return self.write_sequence().await.map(|()| header);
        }
        self.write_sequence().await?;
        renew().await
    }

    async fn write_sequence(&self) -> Result<()> {
        let key = self.key(Class::Sequence, "");
        applied(self.write(&key, mark(Vec::new(), Epoch::NONE), Expect::Any).await)
    }

    /// Changes the epoch at the authority, and then here.
    pub(crate) async fn change_epoch(&self, marks: &Marks, change: Change) -> Result<()> {
        let written = self.renew(&self.key(Class::Epoch, ""), change, epoch_mark).await;
        let mut table = lock(&self.table);
        let epoch = written.as_ref().ok().map(|header| header.epoch);
        let is_other = |then: Epoch| epoch.is_some_and(|now| now.hard != then.hard);
        if change == Change::Hard || table.epoch.value.is_some_and(is_other) {
            marks.invalidate_all();
        } else {
            marks.mark_all_stale();
        }
        let changes = table.count();
        table.epoch.changed_here(epoch, changes);
        written.map(drop)
    }

    /// Writes a mark anew: whatever is there for a hard change, over what is there for a soft one.
    /// What was written.
    async fn renew(
        &self,
        key: &Key,
        change: Change,
        make: impl Fn(Option<&Header>) -> Record,
    ) -> Result<Header> {
        if change == Change::Hard {
            let record = make(None);
            let outcome = self.write(key, record.clone(), Expect::Any).await;
            return applied(outcome).map(|()| record.header);
        }
        let mut there = self.read_mark(key).await?;
        for _ in 0..TRIES {
            let expect = there.as_ref().map_or(Expect::Absent, Expect::exactly);
            let record = make(there.as_ref());
            match self.write(key, record.clone(), expect).await {
                Outcome::Refused(header) => there = header.map(|header| *header),
                outcome => return applied(outcome).map(|()| record.header),
            }
        }
        Err(contended("write a mark"))
    }

    /// A mark's header. Damaged bytes count as a mark that was lost: it is made anew over them.
    async fn read_mark(&self, key: &Key) -> Result<Option<Header>> {
        lost_if_damaged(self.read(key).await)
    }

    async fn fetch_marks(&self, tags: &[Arc<str>]) -> Result<(Epoch, Vec<TagVersion>)> {
        let mut keys = vec![self.key(Class::Epoch, "")];
        keys.extend(tags.iter().map(|tag| self.key(Class::Tag, tag)));
        let mut records = self.read_many(&keys).await.into_iter();
        let mut next = || lost_if_damaged(records.next().unwrap_or(Ok(None)));
        let epoch = match next()? {
            Some(header) => header.epoch,
            None => self.read_or_make(&self.key(Class::Epoch, ""), epoch_mark(None)).await?.epoch,
        };
        let mut versions = Vec::with_capacity(tags.len());
        for tag in tags {
            let key = self.key(Class::Tag, tag);
            let mut header = match next()? {
                Some(header) => header,
                None => self.read_or_make(&key, tag_mark(tag, None)).await?,
            };
            if header.tags.is_empty() {
                // Somebody else's record: as good as lost.
                header = self.renew(&key, Change::Hard, |there| tag_mark(tag, there)).await?;
            }
            versions.extend(header.tags.into_iter().next());
        }
        Ok((epoch, versions))
    }

    /// Reads a mark; one that is missing is made, and who loses that race adopts the winner's.
    async fn read_or_make(&self, key: &Key, made: Record) -> Result<Header> {
        if let Some(header) = self.read_mark(key).await? {
            return Ok(header);
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
    /// What is known, if all of it is recent enough; else how much has been changed here so far.
    fn answer(
        &mut self,
        marks: &Marks,
        tags: &[Arc<str>],
        oldest: Timestamp,
    ) -> Result<Current, u64> {
        self.make_room(marks, tags.len());
        let mut checked = self.epoch.checked;
        let epoch = self.epoch.since(oldest).copied();
        let mut versions = Vec::with_capacity(tags.len());
        for tag in tags {
            let fresh = || Known { changed: self.forgotten, ..Known::default() };
            let known = self.tags.entry(Arc::clone(tag)).or_insert_with(fresh);
            checked = checked.min(known.checked);
            versions.extend(known.since(oldest).cloned());
        }
        match epoch {
            Some(epoch) if versions.len() == tags.len() => {
                Ok(Current { epoch, tags: versions, seen: marks.see(tags), checked })
            }
            _ => Err(self.changes),
        }
    }

    /// Takes over what was fetched since `began`, when `before` changes had been made here.
    fn install(
        &mut self,
        marks: &Marks,
        tags: &[Arc<str>],
        began: Timestamp,
        before: u64,
        fetched: (Epoch, Vec<TagVersion>),
    ) {
        if self.epoch.takes(began, before) {
            match self.epoch.value {
                Some(known) if known.hard != fetched.0.hard => marks.invalidate_all(),
                Some(known) if known.soft != fetched.0.soft => marks.mark_all_stale(),
                _ => {}
            }
            self.epoch.set(fetched.0, began);
        }
        for (tag, version) in tags.iter().zip(fetched.1) {
            // A tag that is not there has been forgotten meanwhile, with all the others.
            let known = self.tags.get_mut(tag).filter(|known| known.takes(began, before));
            let Some(known) = known else { continue };
            match &known.value {
                Some(known) if known.hard != version.hard => marks.invalidate_tag(tag),
                Some(known) if known.soft != version.soft => marks.mark_tag_stale(tag),
                _ => {}
            }
            known.set(version, began);
        }
    }

    /// A forgotten tag cannot be compared any more, so local copies under it go as well.
    fn make_room(&mut self, marks: &Marks, wanted: usize) {
        if self.tags.len() + wanted > MAX_TAGS {
            self.tags.drain().for_each(|(tag, _)| marks.invalidate_tag(&tag));
            self.forgotten = self.count();
        }
    }

    fn count(&mut self) -> u64 {
        self.changes += 1;
        self.changes
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

    fn set(&mut self, value: T, checked: Timestamp) {
        self.value = Some(value);
        self.checked = checked;
    }

    /// Notes an own change; what it wrote, if that is sure, is what the next answer is compared
    /// with.
    fn changed_here(&mut self, written: Option<T>, changes: u64) {
        self.value = written.or_else(|| self.value.take());
        self.checked = Timestamp::ZERO;
        self.changed = changes;
    }
}

/// A mark's header, none if its bytes are damaged.
pub(super) fn lost_if_damaged(read: Result<Option<Record>>) -> Result<Option<Header>> {
    match read {
        Err(error) if error.kind() == ErrorKind::Codec => Ok(None),
        read => Ok(read?.map(|record| record.header)),
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
    let drawn = Version::next().to_number();
    let hard = there.map_or(drawn, |header| header.epoch.hard);
    mark(Vec::new(), Epoch { hard, soft: drawn })
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

/// A record's life, by its times and by the marks: the worse of the two.
pub(crate) fn life(header: &Header, current: &Current) -> Life {
    match (standing(header, current), header.times.life()) {
        (Some(Change::Hard), _) | (_, Life::Dead) => Life::Dead,
        (Some(Change::Soft), _) => Life::Stale,
        (None, life) => life,
    }
}

/// Whether a mark has changed since a record's load.
pub(crate) fn is_marked(header: &Header, current: &Current) -> bool {
    standing(header, current).is_some()
}

/// What has changed since a record's load: it is nothing after a hard change, stale after a soft
/// one.
fn standing(header: &Header, current: &Current) -> Option<Change> {
    let is_bare = header.epoch == Epoch::NONE && header.tags.is_empty();
    if matches!(header.kind, Kind::Counter | Kind::Lease) && is_bare {
        // It was made without a cache, and knows of no epoch.
        return None;
    }
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
