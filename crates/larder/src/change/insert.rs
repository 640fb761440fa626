//! Inserts where there is a shared authority.

use std::sync::Arc;

use larder_core::{Error, ErrorKind, Expect, Key, Life, Outcome, Record, Result, Times};

use crate::change::local::refused;
use crate::change::reach::Reach;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::ops::Step;
use crate::options::{Settings, Ttl};
use crate::support::random;
use crate::support::rule::{Rule, holds};
use crate::tier::freshness::lives;
use crate::tier::held::{Held, Looked};
use crate::tier::marks::current::Current;
use crate::tier::shared::Shared;

/// An insert: at the authority first, then here.
pub(crate) struct Insert<'a, K: CacheKey, V> {
    pub(crate) inner: &'a Arc<Inner<K, V>>,
    pub(crate) shared: &'a Shared<V>,
    pub(crate) settings: &'a Settings,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Insert<'_, K, V> {
    pub(crate) async fn run(&self, hash: u64, key: K, held: Held<V>) -> Result<Reach> {
        let name = self.shared.key(&key);
        let mark = self.inner.flights.begin_write(hash, key.clone());
        let written = self.write(&name, held).await;
        let (copy, reach) = match written {
            Ok(Some(copy)) => (Some(copy), Ok(Reach::Confirmed)),
            Ok(None) => (None, Ok(Reach::Confirmed)),
            Err(Unwritten::Refused(error)) => (None, Err(error)),
            Err(Unwritten::Lost(error)) => (None, self.inner.unreached(self.shared, error)),
        };
        let draft = copy.map(|looked| self.inner.draft(&key, looked));
        let dropped = mark.finish(|untouched| {
            let untouched = untouched || !holds(Rule::InsertUntouched);
            match draft.filter(|_| untouched) {
                Some(draft) => self.inner.local.put(hash, key, draft),
                None => self.inner.local.remove(hash, &key).1,
            }
        });
        drop(dropped);
        reach
    }

    pub(crate) async fn run_where(
        &self,
        hash: u64,
        key: K,
        held: Held<V>,
        wanted: impl Fn(Option<&V>) -> bool + Send + Sync,
    ) -> Result<bool> {
        let name = self.shared.key(&key);
        let mut refused = None;
        for _ in 0..TRIES {
            let before: Option<Error> = refused.take();
            let tried = self.try_where(hash, &key, &name, &held, &wanted, before.as_ref()).await;
            match (tried, before) {
                (Ok(Tried::Done), _) => return Ok(true),
                (Ok(Tried::Kept), _) => return Ok(false),
                (Ok(Tried::Outdated), before) => refused = before,
                (Ok(Tried::Unstorable(error)), _) => {
                    return Err(self.not_stored(error, Outcome::Done));
                }
                // The next try deletes what is there: it must not pass for the value.
                (Err(error), None) if error.kind() == ErrorKind::NoSpace => refused = Some(error),
                (Err(error), None) => return Err(error),
                (Err(error), Some(before)) => {
                    return Err(self.not_stored(before, Outcome::Failed(error)));
                }
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "insert", "marks were changed at every try"))
    }

    /// The record is made with marks that were asked for before what is there is judged. If they
    /// have changed by then, it would count as nothing, and what it takes the place of may be there
    /// no longer: it is made anew.
    async fn try_where(
        &self,
        hash: u64,
        key: &K,
        name: &Key,
        held: &Held<V>,
        wanted: &(impl Fn(Option<&V>) -> bool + Send + Sync),
        refused: Option<&Error>,
    ) -> Result<Tried> {
        let marks = self.inner.local.marks();
        let times = self.times();
        let current = self.capture(times).await?;
        let record = match refused {
            Some(error) => Err(error.clone()),
            None => self.shared_record(name, held, times, &current).await,
        };
        let mut tried = Tried::Kept;
        let decide = |there: Option<(&Looked<V>, &Record)>| {
            let fresh = there.map(|(looked, _)| looked).filter(|looked| looked.is_fresh_value());
            let is_wanted = wanted(match fresh.map(|looked| &looked.held) {
                Some(Held::Value(value)) => Some(value),
                _ => None,
            });
            let is_outdated = marks.life(&current.seen) != Life::Fresh;
            let (step, comes_to) = match &record {
                _ if !is_wanted => (Step::Keep, Tried::Kept),
                _ if is_outdated => (Step::Keep, Tried::Outdated),
                Ok(Some(record)) => (Step::Write(record.clone()), Tried::Done),
                // Without a life nothing is kept, and what was there goes; so it does if what was
                // to take its place cannot be stored.
                Ok(None) => (Step::Delete, Tried::Done),
                Err(error) => (Step::Delete, Tried::Unstorable(error.clone())),
            };
            tried = comes_to;
            Ok(step)
        };
        let changed = self.shared.change(name, marks, decide).await;
        if matches!(tried, Tried::Done | Tried::Unstorable(_)) {
            self.inner.drop_here(hash, key);
        }
        changed.map(|_| tried)
    }

    /// Writes at the authority; how the local tier may hold a copy, none if nothing is kept.
    async fn write(&self, name: &Key, held: Held<V>) -> Result<Option<Looked<V>>, Unwritten> {
        let authority = &self.shared.authority;
        let times = self.times();
        let current = self.capture(times).await.map_err(Unwritten::Lost)?;
        let record = match self.shared_record(name, &held, times, &current).await {
            Ok(Some(record)) => record,
            Ok(None) => {
                return applied(authority.delete(name, Expect::Any).await).map(|()| None);
            }
            Err(error) => return Err(self.take_back(name, error).await),
        };
        let written = self.inner.now();
        match applied(authority.write(name, record.clone(), Expect::Any).await) {
            Err(Unwritten::Refused(error)) => return Err(self.take_back(name, error).await),
            written => written?,
        }
        let copy = self.shared.looked(held, Life::Fresh, &record.header, &current, written);
        Ok(Some(copy.with_refresh(self.settings)))
    }

    /// Deletes what is there: it must not pass for the value that could not be stored.
    async fn take_back(&self, name: &Key, error: Error) -> Unwritten {
        let deleted = match self.shared.authority.delete(name, Expect::Any).await {
            Outcome::Refused(_) => Outcome::Failed(refused()),
            deleted => deleted,
        };
        Unwritten::Refused(self.not_stored(error, deleted))
    }

    /// What a caller is told whose value could not be stored.
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

    /// The marks as they are now, with tags that live at least as long as the value.
    async fn capture(&self, times: Times) -> Result<Current> {
        let (marks, tags) = (self.inner.local.marks(), self.settings.tags());
        self.shared.authority.capture(marks, tags, times.kept_for).await
    }

    async fn shared_record(
        &self,
        name: &Key,
        held: &Held<V>,
        times: Times,
        current: &Current,
    ) -> Result<Option<Record>> {
        if times.fresh_for.is_zero() {
            return Ok(None);
        }
        let mut record = self.shared.record(name, held, times, current)?;
        record.header.born = self.shared.authority.store_now().await;
        Ok(Some(record))
    }
}

/// What an insert that depends on what is there has come to.
enum Tried {
    Done,
    /// Something else is there than was wanted: nothing is changed.
    Kept,
    /// Marks have changed meanwhile: nothing is changed.
    Outdated,
    /// The value cannot be stored. What was there is gone.
    Unstorable(Error),
}

/// How often an insert is judged anew over marks that change.
const TRIES: usize = 16;

/// Why an insert is not at the authority.
enum Unwritten {
    /// The value cannot be stored.
    Refused(Error),
    /// The authority did not say that it took it.
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
