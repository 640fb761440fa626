//! Inserts: a new value, whatever entry is there or if that entry allows it.

use std::sync::Arc;

use larder_core::{Error, ErrorKind, Expect, Key, Life, Outcome, Record, Result, Times};

use crate::change::Answer;
use crate::change::follow::{Follow, Known};
use crate::change::reach::{Reach, refused};
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::ops::Step;
use crate::options::{Settings, Ttl};
use crate::support::random;
use crate::tier::entry::{Content, Entry};
use crate::tier::freshness::lives;
use crate::tier::marks::current::Current;
use crate::tier::message::{Ending, Message};
use crate::tier::shared::Shared;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Stores a value in the place of any entry.
    pub(crate) async fn insert(
        self: &Arc<Self>,
        key: K,
        settings: &Settings,
        content: Content<V>,
    ) -> Result<Reach> {
        let alone = |inner: &Self, content| {
            inner.put_here(&key, inner.born(settings, content));
            ((), Ending::Confirmed)
        };
        let there = |inner: Arc<Self>, shared: Arc<Shared<V>>, content| {
            let (key, settings) = (key.clone(), settings.clone());
            async move {
                Insert { inner: &inner, shared: &shared, settings: &settings }
                    .run(key, content)
                    .await
            }
        };
        self.change(Message::Key(&key), content, alone, there).await.map(|((), reach)| reach)
    }

    /// Stores a value if `wanted` accepts the fresh value that is there, or none. Returns true if
    /// it stored the value.
    pub(crate) async fn insert_where<F>(
        self: &Arc<Self>,
        key: K,
        settings: &Settings,
        content: Content<V>,
        wanted: F,
    ) -> Result<bool>
    where
        F: Fn(Option<&V>) -> bool + Send + Sync + 'static,
    {
        let alone = |inner: &Self, (content, wanted): (_, F)| {
            let is_put = inner.put_where(&key, settings, content, wanted);
            (is_put, if is_put { Ending::Confirmed } else { Ending::Unchanged })
        };
        let there = |inner: Arc<Self>, shared: Arc<Shared<V>>, (content, wanted): (_, F)| {
            let (key, settings) = (key.clone(), settings.clone());
            async move {
                let key = shared.key(&key);
                let insert = Insert { inner: &inner, shared: &shared, settings: &settings };
                let mut is_touched = false;
                let stored = insert.run_where(&key, &content, &wanted, &mut is_touched).await;
                let follow =
                    if is_touched { Follow::Apply(Known::default()) } else { Follow::Nothing };
                Answer { result: stored, lost: None, follow }
            }
        };
        self.change(Message::Key(&key), (content, wanted), alone, there)
            .await
            .map(|(is_put, _)| is_put)
    }
}

/// An insert at the authority.
struct Insert<'a, K: CacheKey, V> {
    inner: &'a Arc<Inner<K, V>>,
    shared: &'a Shared<V>,
    settings: &'a Settings,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Insert<'_, K, V> {
    async fn run(&self, key: K, content: Content<V>) -> Answer<K, V, ()> {
        let name = self.shared.key(&key);
        let write = self.inner.flights.begin_write(self.inner.local.hash(&key), key.clone());
        let (copy, result, lost) = match self.write(&name, content).await {
            Ok(copy) => (copy, Ok(()), None),
            Err(Unwritten::Refused(error)) => (None, Err(error), None),
            Err(Unwritten::Lost(error)) => (None, Ok(()), Some(error)),
        };
        let candidate = copy.map(|entry| self.inner.candidate(&key, entry));
        Answer { result, lost, follow: Follow::Put(write, candidate) }
    }

    /// Returns true if it stored the value. Sets `is_touched` if the earlier record may be gone.
    async fn run_where(
        &self,
        name: &Key,
        content: &Content<V>,
        wanted: &(impl Fn(Option<&V>) -> bool + Send + Sync),
        is_touched: &mut bool,
    ) -> Result<bool> {
        let mut refused = None;
        for _ in 0..TRIES {
            let before: Option<Error> = refused.take();
            let tried = self.try_where(name, content, wanted, before.as_ref(), is_touched).await;
            match (tried, before) {
                (Ok(Tried::Done), _) => return Ok(true),
                (Ok(Tried::Kept), _) => return Ok(false),
                (Ok(Tried::Outdated), before) => refused = before,
                (Ok(Tried::Unstorable(error)), _) => {
                    return Err(self.not_stored(error, Outcome::Done));
                }
                // The next try deletes the record that is there: it must not pass for the value.
                (Err(error), None) if error.kind() == ErrorKind::NoSpace => refused = Some(error),
                (Err(error), None) => return Err(error),
                (Err(error), Some(before)) => {
                    return Err(self.not_stored(before, Outcome::Failed(error)));
                }
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "insert", "marks were changed at every try"))
    }

    /// The record is made with marks that were asked for before the record that is there is judged.
    /// If the marks have changed by then, the new record would count as nothing, and the value that
    /// it replaces may be there no longer: the record is made anew.
    async fn try_where(
        &self,
        name: &Key,
        content: &Content<V>,
        wanted: &(impl Fn(Option<&V>) -> bool + Send + Sync),
        refused: Option<&Error>,
        is_touched: &mut bool,
    ) -> Result<Tried> {
        let marks = self.inner.local.marks();
        let times = self.times();
        let current = self.capture(times).await?;
        let record = match refused {
            Some(error) => Err(error.clone()),
            None => self.shared_record(name, content, times, &current).await,
        };
        let mut tried = Tried::Kept;
        let decide = |there: Option<(&Entry<V>, &Record)>| {
            let fresh = there.map(|(entry, _)| entry).filter(|entry| entry.is_fresh_value());
            let is_wanted = wanted(match fresh.map(|entry| &entry.content) {
                Some(Content::Value(value)) => Some(value),
                _ => None,
            });
            let is_outdated = marks.life(&current.generation) != Life::Fresh;
            let (step, comes_to) = match &record {
                _ if !is_wanted => (Step::Keep, Tried::Kept),
                _ if is_outdated => (Step::Keep, Tried::Outdated),
                Ok(Some(record)) => (Step::Write(record.clone()), Tried::Done),
                // A value without a life is not kept, and the earlier record is removed. It is also
                // removed if the value in its place cannot be stored.
                Ok(None) => (Step::Delete, Tried::Done),
                Err(error) => (Step::Delete, Tried::Unstorable(error.clone())),
            };
            tried = comes_to;
            Ok(step)
        };
        let changed = self.shared.change(name, marks, decide).await;
        *is_touched |= matches!(tried, Tried::Done | Tried::Unstorable(_));
        changed.map(|_| tried)
    }

    /// Writes at the authority. Returns the entry that the local tier may keep, none if nothing is
    /// kept.
    async fn write(&self, name: &Key, content: Content<V>) -> Result<Option<Entry<V>>, Unwritten> {
        let authority = &self.shared.authority;
        let times = self.times();
        let current = self.capture(times).await.map_err(Unwritten::Lost)?;
        let record = match self.shared_record(name, &content, times, &current).await {
            Ok(Some(record)) => record,
            Ok(None) => {
                return applied(authority.remote.delete(name, Expect::Any).await).map(|()| None);
            }
            Err(error) => return Err(self.take_back(name, error).await),
        };
        let written = self.inner.now();
        match applied(authority.remote.write(name, record.clone(), Expect::Any).await) {
            Err(Unwritten::Refused(error)) => return Err(self.take_back(name, error).await),
            written => written?,
        }
        let copy = self.shared.entry(content, Life::Fresh, &record.header, &current, written);
        Ok(Some(copy.with_refresh(self.settings)))
    }

    /// Deletes the record that is there: it must not pass for the value that could not be stored.
    async fn take_back(&self, name: &Key, error: Error) -> Unwritten {
        let deleted = match self.shared.authority.remote.delete(name, Expect::Any).await {
            Outcome::Refused(_) => Outcome::Failed(refused()),
            deleted => deleted,
        };
        Unwritten::Refused(self.not_stored(error, deleted))
    }

    /// Returns the error for a caller whose value could not be stored.
    fn not_stored(&self, error: Error, deleted: Outcome) -> Error {
        let is_gone = deleted.is_done();
        self.inner.tell_not_stored(&error, deleted);
        if is_gone {
            return error;
        }
        let message = "the value cannot be stored, and what was there could not be deleted: it may \
                       still be served";
        Error::new(error.kind(), "insert", message)
    }

    fn times(&self) -> Times {
        let (fresh_for, kept_for) =
            lives(self.settings, Ttl::Default, self.inner.now(), random::unit);
        Times::new(fresh_for, kept_for)
    }

    /// Returns the marks as they are now, with tags that live at least as long as the value.
    async fn capture(&self, times: Times) -> Result<Current> {
        let (marks, tags) = (self.inner.local.marks(), self.settings.tags());
        self.shared.authority.capture(marks, tags, times.kept_for).await
    }

    async fn shared_record(
        &self,
        name: &Key,
        content: &Content<V>,
        times: Times,
        current: &Current,
    ) -> Result<Option<Record>> {
        if times.fresh_for.is_zero() {
            return Ok(None);
        }
        let mut record = self.shared.record(name, content, times, current)?;
        record.header.born = self.shared.authority.remote.store_now().await;
        Ok(Some(record))
    }
}

/// The result of one try of a conditional insert.
enum Tried {
    Done,
    /// The value that is there was not wanted: nothing is changed.
    Kept,
    /// Marks have changed meanwhile: nothing is changed.
    Outdated,
    /// The value cannot be stored. The earlier record is gone.
    Unstorable(Error),
}

/// The number of tries of a conditional insert whose marks change.
const TRIES: usize = 16;

/// The reason why an inserted value is not at the authority.
enum Unwritten {
    /// The value cannot be stored.
    Refused(Error),
    /// The authority did not confirm the write.
    Lost(Error),
}

fn applied(outcome: Outcome) -> Result<(), Unwritten> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Refused(_) => Err(Unwritten::Lost(refused())),
        Outcome::Failed(error) if error.kind() == ErrorKind::NoSpace => {
            Err(Unwritten::Refused(error))
        }
        Outcome::Failed(error) | Outcome::Unknown(error) => Err(Unwritten::Lost(error)),
    }
}
