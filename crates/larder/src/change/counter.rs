//! Numbers: adding to one, and reading one.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{
    Error, ErrorKind, Key, Kind, Life, Record, Result, TagVersion, Times, Timestamp,
};

use crate::change::Answer;
use crate::change::follow::{Follow, Known};
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::ops::{Step, renewed};
use crate::options::{Settings, Ttl};
use crate::tier::entry::Content;
use crate::tier::freshness::lives;
use crate::tier::local::Candidate;
use crate::tier::marks::current::{Age, Current, life, names};
use crate::tier::marks::here::Generation;
use crate::tier::message::{Ending, Message};
use crate::tier::shared::Shared;

/// The local entry under a counter's key: a number, a value or nothing.
enum There {
    Number(i64, Timestamp, Generation),
    Value,
    Nothing,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Adds to the number under the key and returns the sum.
    pub(crate) async fn add<Q>(
        self: &Arc<Self>,
        key: &Q,
        settings: &Settings,
        by: i64,
    ) -> Result<i64>
    where
        Q: ?Sized + Lookup<K>,
    {
        let alone = |inner: &Self, ()| inner.add_alone(key, settings, by);
        let there = |inner: Arc<Self>, shared: Arc<Shared<V>>, ()| {
            let (key, settings) = (key.to_key(), settings.clone());
            async move {
                let sum = inner.add_there(&shared, &shared.key(&key), &settings, by).await;
                let follow = Follow::Apply(Known::default());
                Answer { result: sum.map(Ok), lost: None, follow }
            }
        };
        self.change(Message::Key(key), (), alone, there).await?.0
    }

    /// Returns the number under the key; none if there is none.
    pub(crate) async fn counted<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<i64>> {
        let key = key.to_key();
        let Some(shared) = self.stack.below() else {
            return match self.number(self.local.hash(&key), &key) {
                There::Number(number, ..) => Ok(Some(number)),
                There::Value => Err(no_counter()),
                There::Nothing => Ok(None),
            };
        };
        crate::support::runtime::require()?;
        let Some(record) = shared.authority.remote.read(&shared.key(&key)).await? else {
            return Ok(None);
        };
        let tags = names(&record.header)?;
        let current = shared.authority.current(self.local.marks(), &tags, Age::Checked).await?;
        let number = counted(&record, &current)?;
        if number.is_some() {
            shared.authority.keep_tags(&current.tags, record.header.times.kept_left()).await;
        }
        Ok(number)
    }

    fn number(&self, hash: u64, key: &K) -> There {
        let there = self.local.look(hash, key, |view| match view.value {
            _ if view.life != Life::Fresh => There::Nothing,
            Content::Counter(number) => There::Number(*number, view.fresh_until, view.generation()),
            Content::Value(_) => There::Value,
            Content::Absent => There::Nothing,
        });
        there.unwrap_or(There::Nothing)
    }

    fn add_alone<Q: ?Sized + Lookup<K>>(
        &self,
        key: &Q,
        settings: &Settings,
        by: i64,
    ) -> (Result<i64>, Ending) {
        let mut added = Ok(0);
        let (hash, owned) = (self.local.hash(key), key.to_key());
        let dropped = self.flights.change_if(hash, &owned, || {
            let (number, until, generation) = match self.number(hash, &owned) {
                There::Number(number, until, generation) => (number, until, generation),
                There::Nothing => {
                    let now = self.now();
                    let (fresh_for, _) = lives(settings, Ttl::Default, now, || 0.0);
                    (0, now.after(fresh_for), self.local.marks().see(settings.tags()))
                }
                There::Value => {
                    added = Err(no_counter());
                    return None;
                }
            };
            added = sum(number, by);
            let candidate = Candidate {
                value: Content::Counter(*added.as_ref().ok()?),
                weight: 1,
                // A hit on a value never finds a number.
                attend_at: Timestamp::ZERO,
                fresh_until: until,
                kept_until: until,
                generation,
                metadata: None,
            };
            Some(self.local.put(hash, owned.clone(), candidate))
        });
        (added, dropped.map_or(Ending::Unchanged, |_| Ending::Confirmed))
    }

    async fn add_there(
        &self,
        shared: &Shared<V>,
        key: &Key,
        settings: &Settings,
        by: i64,
    ) -> Result<i64> {
        let (authority, marks) = (&shared.authority, self.local.marks());
        let (fresh_for, _) = lives(settings, Ttl::Default, self.now(), || 0.0);
        // A number keeps the tags that it started with. Its record may have tags besides those
        // asked for; they are asked for in the next try.
        let mut tags = settings.tags().to_vec();
        let mut are_extended = false;
        for _ in 0..TRIES {
            let current = authority.current(marks, &tags, Age::Checked).await?;
            let first = first(fresh_for, &current, settings);
            let are_lasting = are_extended || authority.outlive(&first.header.tags, fresh_for);
            let (mut added, mut unknown) = (0, Vec::new());
            let (mut starts, mut left) = (false, Duration::ZERO);
            let decide = |before: Option<&Record>| {
                unknown = before.map(|before| unknown_tags(before, &current)).unwrap_or_default();
                if !unknown.is_empty() {
                    return Ok(Step::Keep);
                }
                let number = before.map(|before| counted(before, &current)).transpose()?.flatten();
                added = sum(number.unwrap_or(0), by)?;
                let base = before.filter(|_| number.is_some()).map(renewed);
                if base.is_none() && fresh_for.is_zero() {
                    return Ok(Step::Delete);
                }
                starts = base.is_none() && !are_lasting;
                if starts {
                    return Ok(Step::Keep);
                }
                let header = base.unwrap_or_else(|| first.clone()).header;
                left = header.times.kept_left();
                let payload = Record::counter(added, header.times).payload;
                Ok(Step::Write(Record { header, payload }))
            };
            authority.swap().update(key, decide).await?;
            if starts {
                // The tags are made to live as long as the number before the number is written.
                are_extended = authority.extend(&first.header.tags, fresh_for).await?;
                if !are_extended {
                    authority.current(marks, &tags, Age::Now).await?;
                }
            } else if unknown.is_empty() {
                authority.keep_tags(&current.tags, left).await;
                return Ok(added);
            }
            tags.append(&mut unknown);
        }
        let message = "its tags changed at every try";
        Err(Error::new(ErrorKind::Unavailable, "incr", message))
    }
}

/// Returns the record's number; none if the record counts as missing.
fn counted(record: &Record, current: &Current) -> Result<Option<i64>> {
    let header = &record.header;
    match header.kind {
        _ if life(header, current) != Life::Fresh => Ok(None),
        Kind::Lease | Kind::Absent => Ok(None),
        Kind::Counter => record
            .as_counter()
            .map(Some)
            .ok_or_else(|| Error::new(ErrorKind::Codec, "incr", "a counter of another length")),
        _ => Err(no_counter()),
    }
}

/// Makes a number's first record.
fn first(fresh_for: Duration, current: &Current, settings: &Settings) -> Record {
    let mut record = Record::counter(0, Times::new(fresh_for, fresh_for));
    let is_own =
        |tag: &&TagVersion| settings.tags().iter().any(|name| name.as_bytes() == &tag.name[..]);
    record.header.epoch = current.epoch;
    record.header.tags = current.tags.iter().filter(is_own).cloned().collect();
    record
}

/// Returns the record's tags that were not asked for.
fn unknown_tags(record: &Record, current: &Current) -> Vec<Arc<str>> {
    let is_known = |name: &str| current.tags.iter().any(|tag| tag.name == name.as_bytes());
    let mut names = names(&record.header).unwrap_or_default();
    names.retain(|name| !is_known(name));
    names
}

/// The number of tries to add with tags that turn up meanwhile.
const TRIES: usize = 16;

fn sum(number: i64, by: i64) -> Result<i64> {
    let out_of_range = || Error::new(ErrorKind::InvalidInput, "incr", "the sum is out of range");
    number.checked_add(by).ok_or_else(out_of_range)
}

fn no_counter() -> Error {
    Error::new(ErrorKind::InvalidInput, "incr", "a value is there, no counter")
}
