//! Numbers under keys.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Error, ErrorKind, Kind, Life, Record, Result, TagVersion, Times, Timestamp};

use crate::cache::Cache;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::ops::{Step, renewed};
use crate::options::{Settings, Ttl};
use crate::snapshot::Ticket;
use crate::tier::freshness::lives;
use crate::tier::held::Held;
use crate::tier::local::Draft;
use crate::tier::marks::current::{Age, Current, life, names};
use crate::tier::marks::here::Seen;
use crate::tier::shared::Shared;

/// A number that the local tier holds, or what else is there.
enum There {
    Number(i64, Timestamp, Seen),
    Value,
    Nothing,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Adds to the number under the key and returns the sum. Atomic. A negative number is
    /// subtracted.
    ///
    /// A missing number counts as 0 and starts with the ttl and the tags of the options; adding does
    /// not renew its life. A number is an entry of its own kind: [`counter`](Self::counter) reads it,
    /// [`keys`](Self::keys) and [`contains_key`](Self::contains_key) find it, what drops a key drops it; the
    /// other verbs see no value there, and [`insert`](Self::insert) replaces it. It is never copied to
    /// memory from a backend.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder::Cache;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<String, String>::new(1_000)?;
    /// let tries = cache.with(Duration::from_secs(60));
    /// assert_eq!(tries.incr("logins:ada", 1).await?, 1);
    /// assert_eq!(tries.incr("logins:ada", -3).await?, -2);
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// - [`InvalidInput`](ErrorKind::InvalidInput): a fresh value is under the key, or the sum is no
    ///   `i64`. What is there stays.
    /// - The backend's, whatever the mode: a number that was not added to must be known.
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("increment", "incrby", "decr", "add"))]
    pub async fn incr<Q: ?Sized + Lookup<K>>(&self, key: &Q, by: i64) -> Result<i64> {
        self.check()?;
        let hash = self.inner.local.hash(key);
        let Some(shared) = self.inner.shared.clone() else {
            let (sum, ticket) = self.inner.add_now(hash, &key.to_key(), &self.settings, by);
            self.inner.noted(ticket).await;
            return sum;
        };
        let (inner, settings, key) = (Arc::clone(&self.inner), self.settings.clone(), key.to_key());
        self.inner
            .owned(Box::pin(async move {
                let sum = inner.add_there(&shared, &key, &settings, by).await;
                inner.drop_here(hash, &key);
                sum
            }))
            .await?
    }

    /// Returns the number under the key; none if there is none.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a value is there; otherwise as
    /// [`incr`](Self::incr).
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn counter<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<i64>> {
        self.inner.check_open()?;
        let hash = self.inner.local.hash(key);
        let Some(shared) = &self.inner.shared else {
            return match self.inner.number(hash, &key.to_key()) {
                There::Number(number, ..) => Ok(Some(number)),
                There::Value => Err(no_counter()),
                There::Nothing => Ok(None),
            };
        };
        crate::support::runtime::require()?;
        let marks = self.inner.local.marks();
        let Some(record) = shared.authority.read(&shared.key(&key.to_key())).await? else {
            return Ok(None);
        };
        let tags = names(&record.header)?;
        let current = shared.authority.current(marks, &tags, Age::Checked).await?;
        let number = counted(&record, &current)?;
        if number.is_some() {
            shared.authority.keep_tags(&current.tags, record.header.times.kept_left()).await;
        }
        Ok(number)
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    fn number(&self, hash: u64, key: &K) -> There {
        let there = self.local.look(hash, key, |view| match view.value {
            _ if view.life != Life::Fresh => There::Nothing,
            Held::Counter(number) => There::Number(*number, view.fresh_until, view.seen()),
            Held::Value(_) => There::Value,
            Held::Absent => There::Nothing,
        });
        there.unwrap_or(There::Nothing)
    }

    fn add_now(&self, hash: u64, key: &K, settings: &Settings, by: i64) -> (Result<i64>, Ticket) {
        let mut added = Ok(0);
        let dropped = self.flights.change_if(hash, key, || {
            let (number, until, seen) = match self.number(hash, key) {
                There::Number(number, until, seen) => (number, until, seen),
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
            let draft = Draft {
                value: Held::Counter(*added.as_ref().ok()?),
                weight: 1,
                // No hit on a value ever finds it.
                attend_at: Timestamp::ZERO,
                fresh_until: until,
                kept_until: until,
                seen,
                note: None,
            };
            Some(self.local.put(hash, key.clone(), draft))
        });
        let ticket = dropped.map_or(Ticket::needless(), |_| self.note_gone(key));
        (added, ticket)
    }

    async fn add_there(
        &self,
        shared: &Shared<V>,
        key: &K,
        settings: &Settings,
        by: i64,
    ) -> Result<i64> {
        let (authority, marks) = (&shared.authority, self.local.marks());
        let (fresh_for, _) = lives(settings, Ttl::Default, self.now(), || 0.0);
        // A number has the tags that it started with: those that turn up are asked for.
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
            authority.swap().update(&shared.key(key), decide).await?;
            if starts {
                // Before it is written, its tags are made to live as long.
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

/// What the record counts; none if it counts as missing.
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

/// A number's first record.
fn first(fresh_for: Duration, current: &Current, settings: &Settings) -> Record {
    let mut record = Record::counter(0, Times::new(fresh_for, fresh_for));
    let is_own =
        |tag: &&TagVersion| settings.tags().iter().any(|name| name.as_bytes() == &tag.name[..]);
    record.header.epoch = current.epoch;
    record.header.tags = current.tags.iter().filter(is_own).cloned().collect();
    record
}

/// The record's tags that were not asked for.
fn unknown_tags(record: &Record, current: &Current) -> Vec<Arc<str>> {
    let is_known = |name: &str| current.tags.iter().any(|tag| tag.name == name.as_bytes());
    let mut names = names(&record.header).unwrap_or_default();
    names.retain(|name| !is_known(name));
    names
}

/// How often a number is tried with the tags that turn up meanwhile.
const TRIES: usize = 16;

fn sum(number: i64, by: i64) -> Result<i64> {
    let out_of_range = || Error::new(ErrorKind::InvalidInput, "incr", "the sum is out of range");
    number.checked_add(by).ok_or_else(out_of_range)
}

fn no_counter() -> Error {
    Error::new(ErrorKind::InvalidInput, "incr", "a value is there, no counter")
}
