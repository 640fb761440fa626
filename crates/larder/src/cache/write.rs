//! Changes of one key: at the authority first, then here.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Error, Expect, Key, Life, Outcome, Record, Result, Times, Timestamp, Version};

use crate::cache::Cache;
use crate::cache::inner::Inner;
use crate::event::Event;
use crate::key::CacheKey;
use crate::load::freshness::lives;
use crate::lookup::Lookup;
use crate::ops::Step;
use crate::options::{Settings, Ttl};
use crate::rule::{Rule, holds};
use crate::tier::held::{Held, Looked, Note};
use crate::tier::mark::Age;
use crate::tier::shared::Shared;

/// How far a change has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Everywhere: no later read yields what was there before.
    Confirmed,
    /// Here only: the backend could not be reached. Other processes, and this one once the backend
    /// is back, may serve what was there before until its ttl. An [`Event`] says why.
    Local,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Puts a value under the key, whatever is there.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) or [`NoSpace`](crate::ErrorKind::NoSpace) for a value the
    /// backend cannot hold: what was there is deleted then. A backend that cannot be reached makes
    /// it [`Reach::Local`], or an error in [strict](crate::CacheBuilder::strict) mode.
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("set", "put"))]
    pub async fn insert(&self, key: K, value: V) -> Result<Reach> {
        self.check()?;
        let hash = self.inner.local.hash(&key);
        let Some(shared) = self.inner.shared.clone() else {
            let looked = self.inner.born(&self.settings, Held::Value(value));
            self.inner.put_now(hash, key, looked);
            return Ok(Reach::Confirmed);
        };
        let (inner, settings) = (Arc::clone(&self.inner), self.settings.clone());
        crate::runtime::owned(async move {
            let insert = Insert { inner: &inner, shared: &shared, settings: &settings };
            insert.run(hash, key, Held::Value(value)).await
        })
        .await?
    }

    /// Puts a value under the key if no fresh one is there; whether it did.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); a backend that cannot be reached is an error.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("add", "set_if_not_exists", "put_if_absent", "setnx"))]
    pub async fn insert_if_absent(&self, key: K, value: V) -> Result<bool> {
        self.insert_where(key, value, |there| !there).await
    }

    /// Puts a value under the key if a fresh one is there; whether it did.
    ///
    /// # Errors
    /// As [`insert_if_absent`](Self::insert_if_absent).
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    pub async fn replace(&self, key: K, value: V) -> Result<bool> {
        self.insert_where(key, value, |there| there).await
    }

    /// Takes the key's value away and returns it, if it was fresh.
    ///
    /// Of any number of callers one gets it.
    ///
    /// # Errors
    /// A backend that cannot be reached: the value is gone here all the same.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("take", "pop", "getdel"))]
    pub async fn remove<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Option<V>> {
        let removed = self.change(key, Deed::Remove).await?;
        let fresh = removed.filter(|looked| looked.life == Life::Fresh);
        Ok(fresh.and_then(|looked| looked.held.into_option()))
    }

    /// Drops the key everywhere. Loads under way do not bring it back.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("delete", "del", "evict"))]
    pub async fn invalidate<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<Reach> {
        self.check()?;
        let hash = self.inner.local.hash(key);
        let Some(shared) = self.inner.shared.clone() else {
            self.inner.drop_now(hash, key);
            return Ok(Reach::Confirmed);
        };
        let (inner, key) = (Arc::clone(&self.inner), key.to_key());
        crate::runtime::owned(async move {
            if !holds(Rule::LocalAfterAuthority) {
                inner.drop_now(hash, &key);
            }
            let name = shared.key(&key);
            let outcome = shared.authority.delete(&name, Expect::Any).await;
            if holds(Rule::LocalAfterAuthority) {
                inner.drop_now(hash, &key);
            }
            inner.reach(&shared, outcome)
        })
        .await?
    }

    /// Ends the freshness of what is under the key; it is kept as a fallback for the grace of this
    /// call's options. Whether there was any.
    ///
    /// # Errors
    /// A backend that cannot be reached: the value is stale here all the same.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("soft_delete", "soft_invalidate"))]
    pub async fn mark_stale<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        Ok(self.change(key, Deed::MarkStale).await?.is_some())
    }

    /// Gives a fresh entry this life from now on; whether there was one.
    ///
    /// # Errors
    /// A backend that cannot be reached.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("expire_in", "pexpire"))]
    pub async fn set_ttl<Q>(&self, key: &Q, ttl: impl Into<Ttl>) -> Result<bool>
    where
        Q: ?Sized + Lookup<K>,
    {
        Ok(self.change(key, Deed::SetTtl(ttl.into())).await?.is_some())
    }

    /// Lets a fresh entry's life begin anew, as long as it was; whether there was one.
    ///
    /// # Errors
    /// A backend that cannot be reached.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    pub async fn touch<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<bool> {
        Ok(self.change(key, Deed::Touch).await?.is_some())
    }

    /// Gives an entry this life from now on, also one that has expired and is inside grace; its
    /// value, or none if there was none or it is dead.
    ///
    /// # Errors
    /// A backend that cannot be reached.
    ///
    /// # Cancel safety
    /// As [`insert`](Self::insert).
    #[doc(alias("update_timeout", "renew"))]
    pub async fn revive<Q>(&self, key: &Q, ttl: impl Into<Ttl>) -> Result<Option<V>>
    where
        Q: ?Sized + Lookup<K>,
    {
        let revived = self.change(key, Deed::Revive(ttl.into())).await?;
        Ok(revived.and_then(|looked| looked.held.into_option()))
    }

    pub(super) fn check(&self) -> Result<()> {
        self.inner.check_open()?;
        self.settings.check()
    }

    async fn insert_where(&self, key: K, value: V, wanted: fn(bool) -> bool) -> Result<bool> {
        self.check()?;
        let hash = self.inner.local.hash(&key);
        let (inner, settings) = (Arc::clone(&self.inner), self.settings.clone());
        let Some(shared) = self.inner.shared.clone() else {
            let looked = inner.born(&settings, Held::Value(value));
            return Ok(inner.put_where(hash, &key, looked, wanted));
        };
        crate::runtime::owned(async move {
            let insert = Insert { inner: &inner, shared: &shared, settings: &settings };
            insert.run_where(hash, key, Held::Value(value), wanted).await
        })
        .await?
    }

    /// Does a deed to what is under the key; what it was done to, as it was before.
    async fn change<Q>(&self, key: &Q, deed: Deed) -> Result<Option<Looked<V>>>
    where
        Q: ?Sized + Lookup<K>,
    {
        self.check()?;
        let hash = self.inner.local.hash(key);
        let Some(shared) = self.inner.shared.clone() else {
            return Ok(self.inner.change_now(hash, key, &self.settings, deed));
        };
        let (inner, settings, key) = (Arc::clone(&self.inner), self.settings.clone(), key.to_key());
        crate::runtime::owned(async move {
            let name = shared.key(&key);
            let decide = |there: Option<(&Looked<V>, &Record)>| {
                let Some((looked, record)) = there.filter(|(looked, _)| deed.fits(looked)) else {
                    return Ok(deed.otherwise());
                };
                let now = inner.now();
                Ok(deed.step(&settings, record, now, looked.note.written_at))
            };
            let changed = shared.change(&name, inner.local.marks(), decide).await;
            // Whatever the authority said: here it is no longer what it was.
            match deed {
                Deed::MarkStale => drop(inner.change_now(hash, &key, &settings, deed)),
                _ => inner.drop_now(hash, &key),
            }
            changed.map(|(looked, _)| looked.filter(|looked| deed.fits(looked)))
        })
        .await?
    }
}

/// A change that leaves the value as it is, or takes it away.
#[derive(Clone, Copy)]
pub(crate) enum Deed {
    Remove,
    MarkStale,
    SetTtl(Ttl),
    Touch,
    Revive(Ttl),
}

impl Deed {
    /// Whether it is done to a value that stands like this.
    fn fits<V>(self, looked: &Looked<V>) -> bool {
        match self {
            Self::Remove | Self::MarkStale | Self::Revive(_) => true,
            Self::SetTtl(_) | Self::Touch => looked.life == Life::Fresh,
        }
    }

    /// What is done to a lease, to what is dead by a mark, or to a value that does not fit.
    fn otherwise(self) -> Step {
        match self {
            Self::Remove | Self::MarkStale => Step::Delete,
            Self::SetTtl(_) | Self::Touch | Self::Revive(_) => Step::Keep,
        }
    }

    /// How long the value is fresh and kept from now on; none if it goes.
    fn lives(
        self,
        settings: &Settings,
        now: Timestamp,
        whole: Duration,
    ) -> Option<(Duration, Duration)> {
        let (fresh, kept) = match self {
            Self::Remove => return None,
            Self::MarkStale => (Duration::ZERO, settings.grace),
            Self::SetTtl(ttl) | Self::Revive(ttl) => lives(settings, ttl, now, 0.0),
            Self::Touch => (whole, whole.saturating_add(settings.grace)),
        };
        (!kept.is_zero()).then_some((fresh, kept))
    }

    fn step(
        self,
        settings: &Settings,
        record: &Record,
        now: Timestamp,
        written_at: Timestamp,
    ) -> Step {
        let old = record.header.times;
        let Some((fresh, kept)) = self.lives(settings, now, old.fresh_for) else {
            return Step::Delete;
        };
        let age = if matches!(self, Self::Touch) { Duration::ZERO } else { now.since(written_at) };
        let times =
            Times { age, fresh_for: age.saturating_add(fresh), kept_for: age.saturating_add(kept) };
        if !matches!(self, Self::MarkStale) {
            return Step::Retime(times);
        }
        // A change of validity is a new version, so loads that hold the old one are refused.
        let mut stale = record.clone();
        stale.header.version = Version::next();
        stale.header.token = None;
        stale.header.times = Times {
            fresh_for: Duration::ZERO,
            kept_for: times.kept_for.min(old.kept_for),
            ..times
        };
        Step::Write(stale)
    }
}

/// An insert where there is a shared authority.
struct Insert<'a, K: CacheKey, V> {
    inner: &'a Arc<Inner<K, V>>,
    shared: &'a Shared<V>,
    settings: &'a Settings,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Insert<'_, K, V> {
    async fn run(&self, hash: u64, key: K, held: Held<V>) -> Result<Reach> {
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

    async fn run_where(
        &self,
        hash: u64,
        key: K,
        held: Held<V>,
        wanted: fn(bool) -> bool,
    ) -> Result<bool> {
        let name = self.shared.key(&key);
        let marks = self.inner.local.marks();
        let current = self.shared.authority.current(marks, self.settings.tags(), Age::Now).await?;
        let Some(record) = self.shared_record(&held, &current).await? else { return Ok(false) };
        let decide = |there: Option<(&Looked<V>, &Record)>| {
            let fresh = there
                .is_some_and(|(looked, _)| looked.life == Life::Fresh && !looked.held.is_absent());
            Ok(if wanted(fresh) { Step::Write(record.clone()) } else { Step::Keep })
        };
        let changed = self.shared.change(&name, marks, decide).await;
        if !matches!(changed, Ok((_, false))) {
            self.inner.drop_now(hash, &key);
        }
        changed.map(|(_, done)| done)
    }

    /// Writes at the authority; how the local tier may hold a copy, none if nothing is kept.
    async fn write(&self, name: &Key, held: Held<V>) -> Result<Option<Looked<V>>, Unwritten> {
        let authority = &self.shared.authority;
        let marks = self.inner.local.marks();
        let current = authority
            .current(marks, self.settings.tags(), Age::Now)
            .await
            .map_err(Unwritten::Lost)?;
        let record = match self.shared_record(&held, &current).await {
            Ok(Some(record)) => record,
            Ok(None) => {
                return applied(authority.delete(name, Expect::Any).await).map(|()| None);
            }
            Err(error) => {
                // What was there must not pass for what was to be written.
                let _ = authority.delete(name, Expect::Any).await;
                self.inner.tell(&Event::NotStored(error.clone()));
                return Err(Unwritten::Refused(error));
            }
        };
        let written = self.inner.now();
        applied(authority.write(name, record.clone(), Expect::Any).await)?;
        let copy = self.shared.looked(held, Life::Fresh, &record.header, &current, written);
        Ok(Some(copy.with_refresh(self.settings)))
    }

    async fn shared_record(
        &self,
        held: &Held<V>,
        current: &crate::tier::mark::Current,
    ) -> Result<Option<Record>> {
        let (fresh_for, kept_for) =
            lives(self.settings, Ttl::Default, self.inner.now(), fastrand::f64());
        if fresh_for.is_zero() {
            return Ok(None);
        }
        let mut record = self.shared.record(held, Times::new(fresh_for, kept_for), current)?;
        record.header.born = self.shared.authority.store_now().await;
        Ok(Some(record))
    }
}

/// Why an insert is not at the authority.
enum Unwritten {
    /// The value cannot be stored.
    Refused(Error),
    /// The authority did not say that it took it.
    Lost(Error),
}

fn applied(outcome: Outcome) -> Result<(), Unwritten> {
    match outcome {
        Outcome::Done | Outcome::Refused(_) => Ok(()),
        Outcome::Failed(error) if error.kind() == larder_core::ErrorKind::NoSpace => {
            Err(Unwritten::Refused(error))
        }
        Outcome::Failed(error) | Outcome::Unknown(error) => Err(Unwritten::Lost(error)),
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// A value as an insert makes it, where the local tier is the authority.
    fn born(&self, settings: &Settings, held: Held<V>) -> Looked<V> {
        let now = self.now();
        let (fresh_for, kept_for) = lives(settings, Ttl::Default, now, fastrand::f64());
        let looked = Looked {
            held,
            life: Life::Fresh,
            fresh_until: now.after(fresh_for),
            kept_until: now.after(kept_for),
            note: Note::new(Version::NONE, now),
            seen: self.local.marks().see(settings.tags()),
        };
        looked.with_refresh(settings)
    }

    /// Puts a value, cutting the key's flight; one without a life takes away what is there.
    fn put_now(&self, hash: u64, key: K, looked: Looked<V>) {
        let draft = self.draft(&key, looked);
        let dropped = self.flights.change(hash, &key.clone(), || self.local.put(hash, key, draft));
        drop(dropped);
    }

    fn put_where(&self, hash: u64, key: &K, looked: Looked<V>, wanted: fn(bool) -> bool) -> bool {
        let draft = self.draft(key, looked);
        let done = self.flights.change_if(hash, key, || {
            let there = self.look(hash, key);
            let fresh =
                there.is_some_and(|looked| looked.life == Life::Fresh && !looked.held.is_absent());
            wanted(fresh).then(|| self.local.put(hash, key.clone(), draft))
        });
        done.is_some()
    }

    /// Drops the key here, cutting its flight.
    fn drop_now<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) {
        let dropped = self.flights.change(hash, key, || self.local.remove(hash, key));
        drop(dropped);
    }

    /// Does a deed here; what it was done to.
    fn change_now<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
        settings: &Settings,
        deed: Deed,
    ) -> Option<Looked<V>> {
        let apply = || {
            let looked = self.look(hash, key).filter(|looked| deed.fits(looked))?;
            let now = self.now();
            let whole = looked.fresh_until.since(looked.note.written_at);
            let dropped = match deed.lives(settings, now, whole) {
                None => self.local.remove(hash, key).1,
                Some((fresh, kept)) => {
                    let mut changed = looked.clone();
                    changed.fresh_until = now.after(fresh);
                    changed.kept_until = now.after(kept);
                    match deed {
                        Deed::MarkStale => {
                            changed.kept_until = changed.kept_until.min(looked.kept_until.max(now));
                        }
                        Deed::Touch => changed.note.written_at = now,
                        _ => {}
                    }
                    self.retime(hash, key, &changed.with_refresh(settings))
                }
            };
            Some((looked, dropped))
        };
        let done = match deed {
            // What a load under way brings is older than the mark; a change of life is no reason
            // to refuse it.
            Deed::Remove | Deed::MarkStale => self.flights.change(hash, key, apply),
            Deed::SetTtl(_) | Deed::Touch | Deed::Revive(_) => self.flights.hold(hash, apply),
        };
        done.map(|(looked, dropped)| {
            drop(dropped);
            looked
        })
    }

    /// What the authority's answer to a change means.
    fn reach(&self, shared: &Shared<V>, outcome: Outcome) -> Result<Reach> {
        match outcome {
            Outcome::Done | Outcome::Refused(_) => Ok(Reach::Confirmed),
            Outcome::Failed(error) | Outcome::Unknown(error) => self.unreached(shared, error),
        }
    }

    /// A change that the authority did not confirm.
    pub(super) fn unreached(&self, shared: &Shared<V>, error: Error) -> Result<Reach> {
        self.tell(&Event::NotConfirmed(error.clone()));
        if shared.strict { Err(error) } else { Ok(Reach::Local) }
    }
}
