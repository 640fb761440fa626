//! The leader's side of a flight: look again, read the authority, take a fence, and load.

use std::hash::Hash;
use std::sync::Arc;

use larder_core::{Key, Life, Result, Timestamp};

use crate::flight::flights::Ticket;
use crate::flight::info::{Caller, FlightInfo};
use crate::flight::outcome::Landed;
use crate::key::CacheKey;
use crate::load::fence::Fence;
use crate::load::fencing::{Fenced, Fencing, Others};
use crate::load::foreign::LONGEST_POLL;
use crate::load::give_up::End;
use crate::load::loader::BoxLoader;
use crate::load::purpose::Trigger;
use crate::load::request::Request;
use crate::observe::event::Event;
use crate::support::mutation::{self, Rule};
use crate::support::random;
use crate::tier::entry::Entry;
use crate::tier::freshness::{Verdict, judge};
use crate::tier::marks::current::Age;
use crate::tier::shared::{Found, Shared};

/// The leader of a flight. The flight ends in [`fill`](Leader::fill), in [`prepare`](Leader::prepare)
/// if no loader is needed, or in [`Ready::commit`].
pub(crate) struct Leader<K: Hash + Eq, V> {
    pub(crate) request: Request<K, V>,
    pub(crate) ticket: Ticket<K, Landed<V>, FlightInfo>,
}

/// A load whose loader may run now.
pub(crate) struct Ready<K: Hash + Eq, V> {
    pub(crate) leader: Leader<K, V>,
    /// When the loader started.
    pub(crate) began: Timestamp,
    /// The previous value: a failed load falls back on it.
    pub(crate) previous: Option<Entry<V>>,
    pub(crate) fence: Fence<V>,
    /// The count of tag changes in this process before the loader started.
    pub(crate) tag_changes: u64,
}

/// The result of the steps before the loader.
#[expect(clippy::large_enum_variant, reason = "a miss costs the loader's box and no other")]
pub(crate) enum Prepared<K: Hash + Eq, V> {
    /// The loader is to run.
    Ready(Ready<K, V>),
    /// The flight has ended without the loader.
    Ended,
    /// The flight has ended with a value that is to be refreshed in the background.
    Aged(Request<K, V>),
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Leader<K, V> {
    /// Runs the whole flight. If its runtime drops it half-way, the ticket wakes the followers.
    pub(crate) async fn run(self, loader: BoxLoader<K, V>) {
        // Boxed, so that loads that wait for a loader, a million in one batch, are small.
        match Box::pin(self.prepare()).await {
            Prepared::Ready(ready) => {
                let ended = ready.run_loader(loader).await;
                Box::pin(ready.commit(ended)).await;
            }
            Prepared::Aged(request) => drop(request.start(Trigger::Refresh, loader)),
            Prepared::Ended => {}
        }
    }

    /// Copies the entry from the shared tier, for callers without a loader.
    pub(crate) async fn fill(self, shared: Arc<Shared<V>>) {
        let key = shared.key(&self.request.key);
        let local = self.request.inner.look(self.request.hash, &self.request.key);
        match shared
            .find(&key, self.request.inner.local.marks(), Age::Checked, local.as_ref())
            .await
        {
            Ok(found) => match found.into_entry() {
                Some(entry) => drop(self.publish_copy(entry)),
                None => self.publish_miss(),
            },
            Err(error) => {
                self.request.inner.tell(&Event::SharedFailed(error.clone()));
                self.ticket.publish(Landed::Failed(error), |_| ());
            }
        }
    }

    /// Does all the steps before the loader.
    pub(crate) async fn prepare(self) -> Prepared<K, V> {
        let local = self.request.inner.look(self.request.hash, &self.request.key);
        if let Some(answer) = local.as_ref().filter(|entry| self.is_answer(entry)) {
            self.ticket.publish(Landed::found(answer), |_| ());
            return Prepared::Ended;
        }
        let marks = self.request.inner.local.marks();
        let tag_changes = marks.tag_changes();
        let generation = marks.see(self.request.settings.tags());
        let Some(shared) = self.request.inner.stack.below().cloned() else {
            return self.ready(local, Fence::Flight(generation), tag_changes);
        };
        let key = shared.key(&self.request.key);
        let now = self.request.inner.now();
        self.offer(local.as_ref().filter(|entry| entry.metadata.is_trusted(now)));
        let mut read = None;
        match self.fence(&shared, &key, local.as_ref(), &mut read).await {
            Ok(Fenced::Taken(lease, previous)) => {
                self.ready(previous, Fence::Lease(shared, key, lease), tag_changes)
            }
            Ok(Fenced::Answered(entry)) => {
                self.publish_copy(entry).map_or(Prepared::Ended, Prepared::Aged)
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
                self.request.inner.tell(&Event::SharedFailed(error));
                self.ticket.info().degrade();
                let now = self.request.inner.now();
                let trusted = local.filter(|entry| entry.metadata.is_copy_trusted(now));
                self.ready(read.or(trusted), Fence::Degraded(generation), tag_changes)
            }
        }
    }

    /// Reads the authority, and takes a fence there unless it has the answer. A `read` entry that
    /// is no answer may be fallen back on, also where no fence can be taken.
    async fn fence(
        &self,
        shared: &Arc<Shared<V>>,
        key: &Key,
        local: Option<&Entry<V>>,
        read: &mut Option<Entry<V>>,
    ) -> Result<Fenced<V>> {
        let marks = self.request.inner.local.marks();
        let found = shared.find(key, marks, Age::Checked, local).await?;
        let is_answer = |entry: &Entry<V>| self.is_news(entry, local) || self.is_resting(entry);
        if let Found::Usable(entry, _) = &found {
            if is_answer(entry) {
                return Ok(Fenced::Answered(entry.clone()));
            }
            self.offer(Some(entry));
            *read = Some(entry.clone());
        }
        let hard_timeout = self.request.settings.hard_timeout;
        let fencing = Fencing {
            shared,
            marks,
            key,
            settings: &self.request.settings,
            late_tags: self.request.purpose.late_tags,
            is_forced: self.request.purpose.trigger == Trigger::Force,
            others: self.others(),
            // The task that runs the loader renews the lease.
            lease_limit: (!self.ticket.info().blocks())
                .then_some(self.request.inner.loads.lease_limit),
            patience: self.request.inner.now().after(hard_timeout),
            is_answer: &is_answer,
            is_fallback: &|entry| self.is_fallback(entry),
            take_back: &|lease| {
                self.request.inner.take_back(shared, key, vec![lease], End::Unstored);
            },
        };
        fencing.fence(found).await
    }

    /// Returns what to do where another process is loading the key.
    fn others(&self) -> Others {
        // The lease may belong to a load on the caller's own thread, which the caller keeps from
        // running.
        if !self.request.inner.loads.wait_for_leases || self.ticket.info().blocks_a_runtime() {
            return Others::Race;
        }
        match self.request.purpose.trigger {
            Trigger::Miss => Others::Wait,
            Trigger::Refresh | Trigger::Force => Others::Leave,
        }
    }

    /// True if the local tier's entry answers the callers, on a second look.
    fn is_answer(&self, entry: &Entry<V>) -> bool {
        if !self.request.purpose.takes(&entry.content) {
            return false;
        }
        // Without the random share: an entry that could be refreshed early still can.
        let verdict = judge(entry, self.request.inner.now(), 0.0);
        match self.request.purpose.trigger {
            Trigger::Miss => {
                matches!(verdict, Verdict::Serve | Verdict::Refresh | Verdict::Resting)
            }
            Trigger::Refresh => matches!(verdict, Verdict::Serve | Verdict::Resting),
            Trigger::Force => false,
        }
    }

    /// True if the authority's entry answers the callers.
    fn is_news(&self, entry: &Entry<V>, local: Option<&Entry<V>>) -> bool {
        if entry.life != Life::Fresh || !self.request.purpose.takes(&entry.content) {
            return false;
        }
        match self.request.purpose.trigger {
            Trigger::Miss => true,
            // Another process may have renewed it already.
            Trigger::Refresh => {
                local.is_some_and(|local| local.metadata.version != entry.metadata.version)
            }
            Trigger::Force => false,
        }
    }

    /// True if the entry is the one that the last load, which failed here a moment ago, left to be
    /// served.
    fn is_resting(&self, entry: &Entry<V>) -> bool {
        self.request.purpose.trigger != Trigger::Force
            && entry.life == Life::Stale
            && self.request.inner.now() < entry.metadata.retry_at
    }

    /// Ends the flight without a load. Callers that joined meanwhile begin anew, and wait for the
    /// load of the other process; hits here do not ask for it again at once.
    fn leave(self) {
        let Self { request: Request { inner, hash, key, .. }, ticket } = self;
        let later = inner.now().after(LONGEST_POLL);
        let dropped = ticket.publish(Landed::Miss, |_| {
            let mut there = inner.outline(hash, &key)?;
            there.metadata.refresh_at = there.metadata.refresh_at.max(later);
            Some(inner.retime(hash, &key, &there))
        });
        drop(dropped);
    }

    fn ready(
        self,
        previous: Option<Entry<V>>,
        fence: Fence<V>,
        tag_changes: u64,
    ) -> Prepared<K, V> {
        let previous = previous.filter(|entry| !entry.content.is_absent());
        self.offer(previous.as_ref());
        let began = self.request.inner.now();
        Prepared::Ready(Ready { leader: self, began, previous, fence, tag_changes })
    }

    /// Offers a value to callers that do not wait to the end. A known absence is no value: callers
    /// whose loader always has one could do nothing with it.
    fn offer(&self, entry: Option<&Entry<V>>) {
        if let Some(entry) = entry.filter(|entry| !entry.content.is_absent()) {
            self.ticket.offer(Landed::Stale(entry.clone()));
        }
    }

    /// Ends the flight with the authority's entry, and copies it here under the flight. If the
    /// entry is due to be refreshed, returns the request that refreshes it.
    fn publish_copy(self, entry: Entry<V>) -> Option<Request<K, V>> {
        let Self { request, ticket } = self;
        let (inner, hash, key) = (&request.inner, request.hash, &request.key);
        let entry = entry.with_refresh(&request.settings);
        let is_aged = request.purpose.trigger == Trigger::Miss
            && judge(&entry, inner.now(), random::unit()) == Verdict::Refresh;
        let landed = Landed::found(&entry);
        let candidate = inner.candidate(key, entry);
        if mutation::holds(Rule::FillFenced) {
            let put = |_: &Landed<V>| inner.local.put(hash, key.clone(), candidate);
            drop(ticket.publish(landed, put));
        } else {
            drop(inner.local.put(hash, key.clone(), candidate));
            ticket.publish(landed, |_| ());
        }
        let arrived = inner.now();
        is_aged.then(|| Request { caller: Caller::task(), arrived, ..request })
    }

    /// Ends the flight with nothing, and removes the local tier's entry.
    fn publish_miss(self) {
        let Self { request: Request { inner, hash, key, .. }, ticket } = self;
        let dropped = ticket.publish(Landed::Miss, |_| inner.local.remove(hash, &key));
        drop(dropped);
    }
}
