//! The end of a load: store the result under its fences, or fall back on the previous value.

use std::sync::Arc;

use larder_core::{Error, ErrorKind, Key, Life, Outcome, Record, Times, Timestamp, Version};

use crate::flight::outcome::Landed;
use crate::key::CacheKey;
use crate::load::fence::{Fence, Lease};
use crate::load::give_up::End;
use crate::load::leader::{Leader, Ready};
use crate::load::loader::{Answer, Ended, Loaded};
use crate::load::request::Request;
use crate::observe::event::Event;
use crate::options::check_tags;
use crate::support::random;
use crate::support::sync::lock;
use crate::tier::entry::{Content, Entry, Metadata};
use crate::tier::freshness::{back_off, lives};
use crate::tier::marks::current::Current;
use crate::tier::marks::here::Generation;
use crate::tier::shared::Shared;

/// The result of a load, and how to keep it.
struct Made<V> {
    content: Content<V>,
    times: Times,
    late_tags: Vec<Arc<str>>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Ready<K, V> {
    /// Ends the flight.
    pub(crate) async fn commit(self, ended: Ended<V>) {
        match ended.and_then(|loaded| self.made(loaded)) {
            Ok(made) => self.store(made).await,
            Err(error) => self.fall_back(error),
        }
    }

    fn made(&self, loaded: Loaded<V>) -> Result<Made<V>, Error> {
        let settings = &self.leader.request.settings;
        let mut late_tags = loaded.tags;
        let content = match loaded.answer {
            Answer::Value(value) => Content::Value(value),
            Answer::Absent => Content::Absent,
            Answer::NotModified => {
                let previous = self.previous.as_ref().ok_or_else(|| {
                    let message = "it answered 'not modified' where no value was kept";
                    Error::new(ErrorKind::Loader, "load", message)
                })?;
                // The tags of the earlier answer still hold.
                late_tags.extend(previous.generation.names());
                previous.content.clone()
            }
        };
        let (fresh_for, kept_for) = match content {
            Content::Absent => {
                let ttl = loaded.ttl.length(self.leader.request.inner.now(), settings.absent_ttl);
                (ttl, ttl)
            }
            Content::Value(_) | Content::Counter(_) => {
                lives(settings, loaded.ttl, self.leader.request.inner.now(), random::unit)
            }
        };
        let times = Times::new(fresh_for, kept_for);
        let known = settings.tags();
        late_tags.retain(|tag| !known.contains(tag));
        Ok(Made { content, times, late_tags })
    }

    async fn store(mut self, made: Made<V>) {
        if let Err(error) = check_tags(&made.late_tags) {
            return self.fall_back(error);
        }
        match self.take_fence() {
            Fence::Flight(generation) => self.keep_alone(made, generation),
            Fence::Degraded(generation) => {
                let limit = self.leader.request.inner.loads.degraded_ttl;
                let mut made = made;
                made.times.fresh_for = made.times.fresh_for.min(limit);
                made.times.kept_for = made.times.kept_for.min(limit);
                self.keep_alone(made, generation);
            }
            Fence::Lease(shared, key, lease) => {
                self.keep_there(&shared, &key, *lease, made).await;
            }
        }
    }

    /// Takes the fence, with the tags that the loader named before it read its source. Where the
    /// authority did not tell their versions, the fence there is given up.
    fn take_fence(&mut self) -> Fence<V> {
        let mut fence = std::mem::replace(&mut self.fence, Fence::Flight(Generation::default()));
        let early = std::mem::take(&mut *lock(&self.leader.ticket.info().early_tags));
        for early in early {
            fence = match (fence, early.versions) {
                (Fence::Flight(generation), _) => {
                    Fence::Flight(generation.with_tags_of(&early.generation))
                }
                (Fence::Degraded(generation), _) => {
                    Fence::Degraded(generation.with_tags_of(&early.generation))
                }
                (Fence::Lease(shared, key, mut lease), Some(versions)) => {
                    lease.current.add_tags(versions, &early.generation);
                    Fence::Lease(shared, key, lease)
                }
                (Fence::Lease(shared, key, lease), None) => {
                    self.give_up(&shared, &key, &lease, End::Unstored);
                    Fence::Degraded(lease.current.generation.with_tags_of(&early.generation))
                }
            };
        }
        fence
    }

    /// Stores in the local tier under the flight alone.
    fn keep_alone(self, made: Made<V>, generation: Generation) {
        match self.with_late_tags(generation, &made.late_tags) {
            Some(generation) => self.keep_here(made, generation),
            None => self.overtaken(made),
        }
    }

    /// Stores at the authority, over the load's fence there, and on success here.
    async fn keep_there(self, shared: &Arc<Shared<V>>, key: &Key, lease: Lease, made: Made<V>) {
        let marks = self.leader.request.inner.local.marks();
        let current = match lease.with_late_tags(&shared.authority, marks, &made.late_tags).await {
            Ok(Some(current)) => current,
            Ok(None) => {
                self.give_up(shared, key, &lease, End::Unstored);
                return self.overtaken(made);
            }
            Err(error) => return self.fail_to_store(shared, key, &lease, made, error),
        };
        if made.times.fresh_for.is_zero() {
            let outcome = lease.delete(&shared.authority, key).await;
            self.give_up(shared, key, &lease, End::of(&outcome));
            return match outcome {
                Outcome::Done => self.keep_here(made, current.generation),
                Outcome::Refused(_) => self.overtaken(made),
                Outcome::Failed(error) | Outcome::Unknown(error) => {
                    self.leader.request.inner.tell(&Event::SharedFailed(error));
                    self.answer_only(made);
                }
            };
        }
        let mut record = match shared.record(key, &made.content, made.times, &current) {
            Ok(record) => record,
            Err(error) => return self.refuse(shared, key, lease, made, error).await,
        };
        match shared.authority.extend(&current.tags, made.times.kept_for).await {
            Ok(true) => {}
            Ok(false) => {
                self.give_up(shared, key, &lease, End::Unstored);
                return self.overtaken(made);
            }
            Err(error) => return self.fail_to_store(shared, key, &lease, made, error),
        }
        let written = self.leader.request.inner.now();
        record.header.cost = written.since(self.began);
        record.header.born = lease.born;
        let outcome = lease.write(&shared.authority, key, &record).await;
        match &outcome {
            Outcome::Failed(error) if error.kind() == ErrorKind::NoSpace => {}
            // Other processes need not wait for a result that will not come. If the answer was lost
            // and the result is there after all, the lease is not.
            outcome => self.give_up(shared, key, &lease, End::of(outcome)),
        }
        match outcome {
            Outcome::Done => self.keep_copy(shared, made, &record, &current, written),
            Outcome::Refused(_) => self.overtaken(made),
            Outcome::Failed(error) if error.kind() == ErrorKind::NoSpace => {
                self.refuse(shared, key, lease, made, error).await;
            }
            Outcome::Failed(error) | Outcome::Unknown(error) => {
                self.leader.request.inner.tell(&Event::SharedFailed(error));
                self.answer_only(made);
            }
        }
    }

    /// Ends a load for which the authority did not answer before anything was written.
    fn fail_to_store(
        self,
        shared: &Arc<Shared<V>>,
        key: &Key,
        lease: &Lease,
        made: Made<V>,
        error: Error,
    ) {
        self.give_up(shared, key, lease, End::Unstored);
        self.leader.request.inner.tell(&Event::SharedFailed(error));
        self.answer_only(made);
    }

    /// Ends a load whose value cannot be stored. The value that it was to replace is removed from
    /// all tiers.
    async fn refuse(
        self,
        shared: &Arc<Shared<V>>,
        key: &Key,
        lease: Lease,
        made: Made<V>,
        error: Error,
    ) {
        let deleted = lease.delete(&shared.authority, key).await;
        self.give_up(shared, key, &lease, End::of(&deleted));
        let Leader { request: Request { inner, hash, key, .. }, ticket } = self.leader;
        inner.tell_not_stored(&error, deleted);
        let landed = Landed::Loaded(made.content);
        drop(ticket.publish(landed, |_| inner.local.remove(hash, &key)));
    }

    /// Keeps a copy of a record that the authority has taken.
    fn keep_copy(
        self,
        shared: &Shared<V>,
        made: Made<V>,
        record: &Record,
        current: &Current,
        written: Timestamp,
    ) {
        let entry = shared.entry(made.content, Life::Fresh, &record.header, current, written);
        self.publish(entry);
    }

    /// Stores in the local tier, which is the only tier.
    fn keep_here(self, made: Made<V>, generation: Generation) {
        let now = self.leader.request.inner.now();
        let mut metadata = Metadata::new(Version::NONE, now);
        metadata.cost = now.since(self.began);
        metadata.copy_due = self.leader.request.inner.stack.copy_due(now);
        let lives = (made.times.fresh_for, made.times.kept_for);
        self.publish(Entry::new(made.content, metadata, now, lives, generation));
    }

    /// Publishes a fresh value and keeps it under the flight. A value without a life is only
    /// answered.
    fn publish(self, entry: Entry<V>) {
        let Leader { request: Request { inner, hash, key, settings, .. }, ticket } = self.leader;
        let landed = Landed::Loaded(entry.content.clone());
        let candidate = inner.candidate(&key, entry.with_refresh(&settings));
        // A value with no life left is refused by the tier, and the tier drops the value that was
        // there.
        let dropped = ticket.publish(landed, |_| inner.local.put(hash, key, candidate));
        if dropped.is_none() && !inner.stack.waits() {
            inner.tell(&Event::LoadOvertaken);
        }
    }

    /// Adds tags that only the answer named. Their versions are read now, and a change of any tag
    /// since the load began refuses the store.
    fn with_late_tags(&self, generation: Generation, late: &[Arc<str>]) -> Option<Generation> {
        if late.is_empty() {
            return Some(generation);
        }
        let marks = self.leader.request.inner.local.marks();
        // The versions come first and the count second, so that a change in between shows.
        let later = marks.see(late);
        let unchanged = marks.tag_changes() == self.tag_changes;
        unchanged.then(|| generation.with_tags_of(&later))
    }

    fn overtaken(self, made: Made<V>) {
        self.leader.request.inner.tell(&Event::LoadOvertaken);
        self.answer_only(made);
    }

    /// Answers the callers with the value, and keeps nothing.
    fn answer_only(self, made: Made<V>) {
        self.leader.ticket.publish(Landed::Loaded(made.content), |_| ());
    }

    /// Answers with the previous value, if grace allows, and makes the next load wait; else fails.
    fn fall_back(mut self, error: Error) {
        let inner = Arc::clone(&self.leader.request.inner);
        inner.stats().load_failure();
        inner.tell(&Event::LoadFailed(error.clone()));
        let previous = self.previous.take().filter(|entry| self.leader.is_fallback(entry));
        let failures = previous.as_ref().map_or(0, |entry| entry.metadata.failures);
        let wait = back_off(failures.saturating_add(1), random::unit());
        if let Fence::Lease(shared, key, lease) = &self.fence {
            self.give_up(shared, key, lease, End::Failed(wait));
        }
        // Where the authority cannot be asked for its marks, the marks that are known here count.
        let is_degraded = matches!(self.fence, Fence::Degraded(_));
        self.leader.publish_failure(previous, error, wait, |mut entry| {
            if is_degraded {
                entry.metadata.marks_due = Timestamp::FAR;
            }
            entry
        });
    }

    /// Takes back the load's leases at the authority, without anybody waiting for it.
    fn give_up(&self, shared: &Arc<Shared<V>>, key: &Key, lease: &Lease, end: End) {
        self.leader.request.inner.give_up(shared, key, lease, end);
    }
}
