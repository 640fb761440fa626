//! Reading and changing marks at the authority.
//!
//! The sequence and the epoch never expire, a tag does: see `tag_life.rs`. A lost mark is made
//! anew, which invalidates all entries that have it.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{
    Backend as _, Class, Epoch, Expect, Header, Key, NEVER, Outcome, Record, Result, TagVersion,
    Timestamp, Version, Write,
};

use crate::ops::swap::contended;
use crate::support::mutation::{self, Rule};
use crate::support::sync::lock;
use crate::tier::marks::current::{Age, Current, MarkChange, is_marked};
use crate::tier::marks::here::Marks;
use crate::tier::marks::known::Fetched;
use crate::tier::marks::record::{LEAST_LIFE, epoch_mark, lost_if_damaged, mark, tag_mark};
use crate::tier::shared::authority::Authority;

/// The number of tries to fetch or to make a mark. A try fails only if another change happens at
/// the same moment.
pub(super) const TRIES: usize = 8;

impl Authority {
    /// Returns the epoch and these tags. Tags that the authority does not have are made.
    pub(crate) async fn current(
        &self,
        marks: &Marks,
        tags: &[Arc<str>],
        age: Age,
    ) -> Result<Current> {
        self.current_for(marks, tags, age, LEAST_LIFE).await
    }

    /// Like [`current`](Self::current); tags that are made live this long.
    pub(super) async fn current_for(
        &self,
        marks: &Marks,
        tags: &[Arc<str>],
        age: Age,
        life: Duration,
    ) -> Result<Current> {
        let mut oldest = match age {
            Age::Now => Timestamp::FAR,
            Age::Checked => {
                // A mark asked for exactly this long ago is due.
                let due = self.remote.clock.now().before(self.tag_check);
                Timestamp::from_nanos(due.as_nanos().saturating_add(1))
            }
        };
        // The fetch keeps a reference to its tags, so that they are not forgotten meanwhile.
        let mut pinned = None;
        for _ in 0..TRIES {
            let before = match lock(&self.table).answer(marks, tags, oldest, &mut pinned) {
                Ok(current) => return Ok(current),
                Err(changes) => changes,
            };
            let mut fetched = self.fetch_marks(tags, life).await?;
            if !mutation::holds(Rule::TrustedSinceAsked) {
                fetched.began = self.remote.clock.now();
            }
            oldest = fetched.began;
            lock(&self.table).install(marks, tags, before, fetched);
        }
        Err(contended("read marks"))
    }

    /// Returns the marks to judge a record that was asked for at `asked`. Remembered marks may be
    /// older than the record's: before they condemn the record, they are asked for again.
    pub(crate) async fn judging(
        &self,
        marks: &Marks,
        names: &[Arc<str>],
        age: Age,
        header: &Header,
        asked: Timestamp,
    ) -> Result<Current> {
        let current = self.current(marks, names, age).await?;
        if is_marked(header, &current) && current.checked < asked {
            return self.current(marks, names, Age::Now).await;
        }
        Ok(current)
    }

    /// Returns the tag sequence, which changes before and with every change of any tag.
    pub(crate) async fn sequence(&self) -> Result<Version> {
        let key = self.remote.key(Class::Sequence, "");
        Ok(self.read_or_make(&key, mark(Vec::new(), Epoch::NONE, NEVER)).await?.version)
    }

    /// Changes a tag at the authority and returns its mark as it is now.
    pub(crate) async fn write_tag(&self, tag: &str, change: MarkChange) -> Result<Header> {
        let key = self.remote.key(Class::Tag, tag);
        let renew = || self.renew(&key, change, |header| tag_mark(tag, header, LEAST_LIFE));
        if !mutation::holds(Rule::SequenceFirst) {
            let header = renew().await?;
            return self.write_sequence().await.map(|()| header);
        }
        self.write_sequence().await?;
        renew().await
    }

    /// Changes a tag here after its change at the authority, to this mark if the mark is known.
    pub(crate) fn tag_changed(
        &self,
        marks: &Marks,
        tag: &str,
        change: MarkChange,
        mark: Option<&Header>,
    ) {
        let version = mark.and_then(|header| header.tags.first());
        let mut table = lock(&self.table);
        let (known, changes) = table.change(marks, &Arc::from(tag));
        // Another process may have changed the tag hard between the known mark and the written one.
        let is_other = |then: &TagVersion| version.is_some_and(|now| now.hard != then.hard);
        if change == MarkChange::Hard || known.value.as_ref().is_some_and(is_other) {
            marks.invalidate_tag(tag);
        } else {
            marks.mark_tag_stale(tag);
        }
        known.changed_here(version.cloned(), changes);
    }

    async fn write_sequence(&self) -> Result<()> {
        let key = self.remote.key(Class::Sequence, "");
        applied(self.remote.write(&key, mark(Vec::new(), Epoch::NONE, NEVER), Expect::Any).await)
    }

    /// Changes the epoch at the authority and returns its mark as it is now.
    pub(crate) async fn write_epoch(&self, change: MarkChange) -> Result<Header> {
        self.renew(&self.remote.key(Class::Epoch, ""), change, epoch_mark).await
    }

    /// Changes the epoch here after its change at the authority, to this mark if the mark is known.
    pub(crate) fn epoch_changed(&self, marks: &Marks, change: MarkChange, mark: Option<&Header>) {
        let epoch = mark.map(|header| header.epoch);
        let mut table = lock(&self.table);
        let is_other = |then: Epoch| epoch.is_some_and(|now| now.hard != then.hard);
        if change == MarkChange::Hard || table.epoch.value.is_some_and(is_other) {
            marks.invalidate_all();
        } else {
            marks.mark_all_stale();
        }
        let changes = table.count();
        table.epoch.changed_here(epoch, changes);
    }

    /// Writes a mark anew and returns its header. A hard change overwrites any record; a soft
    /// change is made from the record that is there and overwrites only that one.
    async fn renew(
        &self,
        key: &Key,
        change: MarkChange,
        make: impl Fn(Option<&Header>) -> Record,
    ) -> Result<Header> {
        if change == MarkChange::Hard {
            let record = make(None);
            let outcome = self.remote.write(key, record.clone(), Expect::Any).await;
            return applied(outcome).map(|()| record.header);
        }
        let mut there = self.read_mark(key).await?;
        for _ in 0..TRIES {
            let expect = there.as_ref().map_or(Expect::Absent, Expect::exactly);
            let record = make(there.as_ref());
            match self.remote.write(key, record.clone(), expect).await {
                Outcome::Refused(header) => there = header.map(|header| *header),
                outcome => return applied(outcome).map(|()| record.header),
            }
        }
        Err(contended("write a mark"))
    }

    /// Reads a mark's header. Damaged bytes count as a lost mark, which is made anew over them.
    async fn read_mark(&self, key: &Key) -> Result<Option<Header>> {
        lost_if_damaged(self.remote.read(key).await)
    }

    async fn fetch_marks(&self, tags: &[Arc<str>], life: Duration) -> Result<Fetched> {
        let began = self.remote.clock.now();
        let mut keys = vec![self.remote.key(Class::Epoch, "")];
        keys.extend(tags.iter().map(|tag| self.remote.key(Class::Tag, tag)));
        let mut records = self.remote.read_many(&keys).await.into_iter();
        let mut next = || lost_if_damaged(records.next().unwrap_or(Ok(None)));
        let epoch = match next()? {
            Some(header) => header.epoch,
            None => {
                self.read_or_make(&self.remote.key(Class::Epoch, ""), epoch_mark(None)).await?.epoch
            }
        };
        let there = tags.iter().map(|_| next()).collect::<Result<Vec<_>>>()?;
        let missing: Vec<_> =
            tags.iter().zip(&there).filter(|(_, there)| there.is_none()).collect();
        let missing: Vec<_> = missing.into_iter().map(|(tag, _)| tag).collect();
        let mut minted = self.make_tags(&missing, life).await?.into_iter();
        let mut fetched = Fetched { began, epoch, tags: Vec::with_capacity(tags.len()) };
        for (tag, there) in tags.iter().zip(there) {
            let Some(mut header) = there.or_else(|| minted.next()) else { break };
            if header.tags.is_empty() {
                // The record is not a tag's: as good as lost.
                let make = |there: Option<&Header>| tag_mark(tag, there, life);
                header =
                    self.renew(&self.remote.key(Class::Tag, tag), MarkChange::Hard, make).await?;
            }
            let until = began.after(header.times.kept_left());
            fetched.tags.extend(header.tags.into_iter().next().map(|version| (version, until)));
        }
        Ok(fetched)
    }

    /// Makes missing tags; tags that other processes have made meanwhile are adopted.
    async fn make_tags(&self, tags: &[&Arc<str>], life: Duration) -> Result<Vec<Header>> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let make = |tag: &&Arc<str>| Write {
            key: self.remote.key(Class::Tag, tag),
            record: tag_mark(tag, None, life),
            expect: Expect::Absent,
        };
        let writes: Vec<_> = tags.iter().map(make).collect();
        let outcomes = self.remote.backend().write(&writes).await;
        let mut headers = Vec::with_capacity(writes.len());
        for (write, outcome) in writes.into_iter().zip(outcomes) {
            headers.push(match outcome {
                Outcome::Done => write.record.header,
                Outcome::Refused(Some(header)) => *header,
                Outcome::Refused(None) => self.read_or_make(&write.key, write.record).await?,
                Outcome::Failed(error) | Outcome::Unknown(error) => return Err(error),
            });
        }
        Ok(headers)
    }

    /// Reads a mark and makes it if it is missing. If another process makes it first, that one is
    /// adopted.
    async fn read_or_make(&self, key: &Key, made: Record) -> Result<Header> {
        if let Some(header) = self.read_mark(key).await? {
            return Ok(header);
        }
        for _ in 0..TRIES {
            match self.remote.write(key, made.clone(), Expect::Absent).await {
                Outcome::Done => return Ok(made.header),
                Outcome::Refused(Some(header)) => return Ok(*header),
                Outcome::Refused(None) => {}
                Outcome::Failed(error) | Outcome::Unknown(error) => return Err(error),
            }
        }
        Err(contended("make a mark"))
    }
}

fn applied(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Refused(_) => Err(contended("write a mark")),
        Outcome::Failed(error) | Outcome::Unknown(error) => Err(error),
    }
}
