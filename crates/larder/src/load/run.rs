//! The leader's side of a flight: look again, read the authority, take a fence, and load.

use std::future::poll_fn;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use larder_core::{Error, ErrorKind, Key, Life, Result, Timestamp};

use crate::event::Event;
use crate::key::CacheKey;
use crate::load::Request;
use crate::load::about::{About, Caller};
use crate::load::chain::Inside;
use crate::load::flight::Ticket;
use crate::load::foreign::LONGEST_POLL;
use crate::load::freshness::{Verdict, judge};
use crate::load::give_up::End;
use crate::load::inner::Inner;
use crate::load::lease::{Fenced, Lease, Others, Wanted};
use crate::load::loader::{BoxLoader, Ended, Load};
use crate::load::outcome::Landed;
use crate::options::Settings;
use crate::random;
use crate::rule::{Rule, holds};
use crate::runtime::{Sleep, before, unless};
use crate::tier::held::Looked;
use crate::tier::mark::Age;
use crate::tier::shared::{Found, Shared};
use crate::tier::tag::Seen;

/// A flight to be led. It ends in [`fill`](Errand::fill), in [`prepare`](Errand::prepare) if no
/// loader is needed, or in [`Ready::commit`].
pub(crate) struct Errand<K: Hash + Eq, V> {
    pub(crate) inner: Arc<Inner<K, V>>,
    pub(crate) ticket: Ticket<K, Landed<V>, About>,
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) settings: Settings,
    pub(crate) aim: Aim,
}

/// What a load is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    pub(crate) purpose: Purpose,
    /// A known absence is no answer: the loader always has a value.
    pub(crate) past_absence: bool,
    /// The loader's answer may name tags.
    pub(crate) late_tags: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A caller needs a value.
    Answer,
    /// A fresh value has come of age.
    Renew,
    /// A caller asked for a new value, whatever is there.
    Force,
}

/// A load whose loader may run now.
pub(crate) struct Ready<K: Hash + Eq, V> {
    pub(crate) errand: Errand<K, V>,
    /// When the loader started.
    pub(crate) began: Timestamp,
    /// The value there was: what a failed load falls back on.
    pub(crate) previous: Option<Looked<V>>,
    pub(crate) fence: Fence,
    /// The count of tag changes here before the loader started.
    pub(crate) tag_changes: u64,
}

/// What comes of all that is before the loader.
#[expect(clippy::large_enum_variant, reason = "a miss costs the loader's box and no other")]
pub(crate) enum Prepared<K: Hash + Eq, V> {
    /// The loader's turn.
    Ready(Ready<K, V>),
    /// The flight has ended without it.
    Ended,
    /// The same, with a value that is to be renewed behind its callers' backs.
    Aged(Request<K, V>),
}

/// What a load must still hold when it commits, and the marks as they were before it.
pub(crate) enum Fence {
    /// Its flight alone: the local tier is the authority.
    Flight(Seen),
    /// A lease or a version at the authority as well.
    Lease(Key, Box<Lease>),
    /// Its flight, for want of the authority, which cannot be reached.
    Degraded(Seen),
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Errand<K, V> {
    /// Flies the whole flight. If its runtime drops it half-way, the ticket wakes the followers.
    pub(crate) async fn run(self, loader: BoxLoader<K, V>) {
        // Boxed, so that loads that wait for a loader, a million in one batch, are small.
        match Box::pin(self.prepare()).await {
            Prepared::Ready(ready) => {
                let ended = ready.run_loader(loader).await;
                Box::pin(ready.commit(ended)).await;
            }
            Prepared::Aged(request) => drop(request.start(Purpose::Renew, loader)),
            Prepared::Ended => {}
        }
    }

    /// Copies from the shared tier, for callers without a loader.
    pub(crate) async fn fill(self, shared: Arc<Shared<V>>) {
        let key = shared.key(&self.key);
        let local = self.inner.look(self.hash, &self.key);
        match shared.find(&key, self.inner.local.marks(), Age::Checked, local.as_ref()).await {
            Ok(found) => match found.into_looked() {
                Some(looked) => drop(self.publish_copy(looked)),
                None => self.publish_miss(),
            },
            Err(error) => {
                self.inner.tell(&Event::SharedFailed(error.clone()));
                self.ticket.publish(Landed::Failed(error), |_| ());
            }
        }
    }

    /// Does all that comes before the loader.
    pub(crate) async fn prepare(self) -> Prepared<K, V> {
        let local = self.inner.look(self.hash, &self.key);
        if let Some(answer) = local.as_ref().filter(|looked| self.is_answer(looked)) {
            self.ticket.publish(landed(answer), |_| ());
            return Prepared::Ended;
        }
        let marks = self.inner.local.marks();
        let tag_changes = marks.tag_changes();
        let seen = marks.see(self.settings.tags());
        let Some(shared) = self.inner.shared.clone() else {
            return self.ready(local, Fence::Flight(seen), tag_changes);
        };
        let key = shared.key(&self.key);
        let now = self.inner.now();
        let is_sure = |looked: &&Looked<V>| now < looked.note.marks_due.min(looked.note.copy_due);
        self.offer(local.as_ref().filter(is_sure));
        let mut read = None;
        match self.fence(&shared, &key, local.as_ref(), &mut read).await {
            Ok(Fenced::Held(lease, previous)) => {
                self.ready(previous, Fence::Lease(key, lease), tag_changes)
            }
            Ok(Fenced::Answered(looked)) => {
                self.publish_copy(looked).map_or(Prepared::Ended, Prepared::Aged)
            }
            Ok(Fenced::Failed(previous, left)) => {
                self.share_failure(previous, left);
                Prepared::Ended
            }
            Ok(Fenced::Left) => {
                self.leave();
                Prepared::Ended
            }
            Err(error) if shared.strict => {
                self.ticket.publish(Landed::Failed(error), |_| ());
                Prepared::Ended
            }
            Err(error) => {
                self.inner.tell(&Event::SharedFailed(error));
                self.ticket.info().degrade();
                let trusted = local.filter(|looked| self.inner.now() < looked.note.copy_due);
                self.ready(read.or(trusted), Fence::Degraded(seen), tag_changes)
            }
        }
    }

    /// Reads the authority, and takes a fence there unless it has the answer. What was `read` and is no
    /// answer may be fallen back on, also where no fence can be taken.
    async fn fence(
        &self,
        shared: &Arc<Shared<V>>,
        key: &Key,
        local: Option<&Looked<V>>,
        read: &mut Option<Looked<V>>,
    ) -> Result<Fenced<V>> {
        let marks = self.inner.local.marks();
        let found = shared.find(key, marks, Age::Checked, local).await?;
        let is_answer = |looked: &Looked<V>| self.is_news(looked, local) || self.is_resting(looked);
        if let Found::Usable(looked, _) = &found {
            if is_answer(looked) {
                return Ok(Fenced::Answered(looked.clone()));
            }
            self.offer(Some(looked));
            *read = Some(looked.clone());
        }
        let hard_timeout = self.settings.hard_timeout;
        let wanted = Wanted {
            key,
            settings: &self.settings,
            late_tags: self.aim.late_tags,
            is_forced: self.aim.purpose == Purpose::Force,
            others: self.others(),
            // Who renews it is the task that runs the loader.
            lease_limit: (!self.ticket.info().blocks()).then_some(self.inner.loads.lease_limit),
            patience: self.inner.now().after(hard_timeout),
            is_answer: &is_answer,
            is_fallback: &|looked| self.is_fallback(looked),
            take_back: &|lease| self.inner.take_back(shared, key, vec![lease], End::Unstored),
        };
        shared.fence(marks, &wanted, found).await
    }

    /// What to do where another process is loading the key.
    fn others(&self) -> Others {
        // The lease may be one of its own thread, which it keeps from running.
        if !self.inner.loads.wait_for_leases || self.ticket.info().blocks_a_runtime() {
            return Others::Race;
        }
        match self.aim.purpose {
            Purpose::Answer => Others::Wait,
            Purpose::Renew | Purpose::Force => Others::Leave,
        }
    }

    /// Whether what the local tier holds answers the callers, on a second look.
    fn is_answer(&self, looked: &Looked<V>) -> bool {
        if self.aim.past_absence && looked.held.is_absent() {
            return false;
        }
        // Without chance: what could be renewed early still can.
        let verdict = judge(looked, self.inner.now(), 0.0);
        match self.aim.purpose {
            Purpose::Answer => {
                matches!(verdict, Verdict::Serve | Verdict::Refresh | Verdict::Resting)
            }
            Purpose::Renew => matches!(verdict, Verdict::Serve | Verdict::Resting),
            Purpose::Force => false,
        }
    }

    /// Whether the authority's value answers them.
    fn is_news(&self, looked: &Looked<V>, local: Option<&Looked<V>>) -> bool {
        if looked.life != Life::Fresh || (self.aim.past_absence && looked.held.is_absent()) {
            return false;
        }
        match self.aim.purpose {
            Purpose::Answer => true,
            // Another process may have renewed it already.
            Purpose::Renew => local.is_some_and(|local| local.note.version != looked.note.version),
            Purpose::Force => false,
        }
    }

    /// Whether it is what the last load, which failed here a moment ago, left to be served.
    fn is_resting(&self, looked: &Looked<V>) -> bool {
        self.aim.purpose != Purpose::Force
            && looked.life == Life::Stale
            && self.inner.now() < looked.note.retry_at
    }

    /// Ends the flight without a load. Callers who joined meanwhile begin anew, and wait for the
    /// load of the other process; hits here do not ask for it again at once.
    fn leave(self) {
        let Self { inner, ticket, hash, key, .. } = self;
        let later = inner.now().after(LONGEST_POLL);
        let dropped = ticket.publish(Landed::Miss, |_| {
            let mut there = inner.outline(hash, &key)?;
            there.note.refresh_at = there.note.refresh_at.max(later);
            Some(inner.retime(hash, &key, &there))
        });
        drop(dropped);
    }

    fn ready(self, previous: Option<Looked<V>>, fence: Fence, tag_changes: u64) -> Prepared<K, V> {
        let previous = previous.filter(|looked| !looked.held.is_absent());
        self.offer(previous.as_ref());
        let began = self.inner.now();
        Prepared::Ready(Ready { errand: self, began, previous, fence, tag_changes })
    }

    /// Holds out a value for those who do not wait to the end. A known absence is no value: callers
    /// whose loader always has one could do nothing with it.
    fn offer(&self, looked: Option<&Looked<V>>) {
        if let Some(looked) = looked.filter(|looked| !looked.held.is_absent()) {
            self.ticket.offer(Landed::Stale(looked.clone()));
        }
    }

    /// Ends the flight with what the authority has, and copies it here under the flight. If that
    /// has come of age, what would renew it.
    fn publish_copy(self, looked: Looked<V>) -> Option<Request<K, V>> {
        let Self { inner, ticket, hash, key, settings, aim } = self;
        let looked = looked.with_refresh(&settings);
        let is_aged = aim.purpose == Purpose::Answer
            && judge(&looked, inner.now(), random::unit()) == Verdict::Refresh;
        let landed = landed(&looked);
        let draft = inner.draft(&key, looked);
        if holds(Rule::FillFenced) {
            let put = |_: &Landed<V>| inner.local.put(hash, key.clone(), draft);
            drop(ticket.publish(landed, put));
        } else {
            drop(inner.local.put(hash, key.clone(), draft));
            ticket.publish(landed, |_| ());
        }
        let (caller, arrived) = (Caller::task(), inner.now());
        is_aged.then(|| Request { inner, settings, hash, key, aim, caller, arrived })
    }

    /// Ends the flight with nothing: neither is there any more what the local tier holds.
    fn publish_miss(self) {
        let Self { inner, ticket, hash, key, .. } = self;
        let dropped = ticket.publish(Landed::Miss, |_| inner.local.remove(hash, &key));
        drop(dropped);
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Ready<K, V> {
    /// What the loader is given.
    pub(crate) fn load(&self) -> Load<K, V> {
        let stale = self.previous.as_ref().and_then(|looked| looked.held.clone().into_option());
        let Errand { inner, ticket, key, .. } = &self.errand;
        Load { key: key.clone(), stale, inner: Arc::clone(inner), flight: ticket.follow() }
    }

    /// Runs the loader, at most for the hard timeout and among at most so many others.
    async fn run_loader(&self, mut loader: BoxLoader<K, V>) -> Ended<V> {
        let inner = &self.errand.inner;
        let mut load = Some(self.load());
        let polled = poll_fn(|context| {
            let poll = AssertUnwindSafe(|| loader.as_mut().poll_load(context, &mut load));
            catch_unwind(poll).unwrap_or_else(|_| Poll::Ready(Err(Error::panicked("load"))))
        });
        let link = self.errand.ticket.info().link.clone();
        let needed = &self.errand.ticket.info().needed;
        let limited = async {
            let _permit = match &inner.loads.limit {
                Some(limit) => {
                    unless(needed.notified(), limit.one(self.errand.hash)).await.flatten()
                }
                None => None,
            };
            inner.stats().load();
            Inside::new(link, polled).await
        };
        let sleep = Sleep::new(inner.clock(), self.errand.settings.hard_timeout);
        let too_slow = || Error::new(ErrorKind::Timeout, "load", "the hard timeout ran out");
        let in_time = before(sleep, limited);
        let ended = match self.renewal() {
            Some(renewal) => unless(renewal, in_time).await.flatten(),
            None => in_time.await,
        };
        let ended = ended.unwrap_or_else(|| Err(too_slow()));
        // Its end is the user's code: a panic there must not keep the lease from being given up.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(loader)));
        ended
    }
}

/// How a flight ends with this value.
pub(crate) fn landed<V: Clone>(looked: &Looked<V>) -> Landed<V> {
    match looked.life {
        Life::Fresh => Landed::Found(looked.clone()),
        _ => Landed::Stale(looked.clone()),
    }
}
