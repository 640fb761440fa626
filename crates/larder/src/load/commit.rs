//! The end of a load: store what it made under its fences, or fall back on what there was.

use std::sync::Arc;

use larder_core::{Error, ErrorKind, Key, Life, Outcome, Record, Times, Timestamp, Version};

use crate::event::Event;
use crate::key::CacheKey;
use crate::load::freshness::{back_off, lives};
use crate::load::lease::Lease;
use crate::load::loader::{Answer, Ended, Loaded};
use crate::load::outcome::Landed;
use crate::load::run::{Errand, Fence, Ready};
use crate::options::check_tags;
use crate::random;
use crate::sync::lock;
use crate::tier::held::{Held, Looked, Note};
use crate::tier::mark::Current;
use crate::tier::shared::Shared;
use crate::tier::tag::Seen;

/// What a load made, and how to keep it.
struct Made<V> {
    held: Held<V>,
    times: Times,
    late_tags: Vec<Arc<str>>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Ready<K, V> {
    /// Ends the flight.
    pub(crate) async fn commit(self, ended: Ended<V>) {
        match ended.and_then(|loaded| self.made(loaded)) {
            Ok(made) => self.store(made).await,
            Err(error) => self.fall_back(error).await,
        }
    }

    fn made(&self, loaded: Loaded<V>) -> Result<Made<V>, Error> {
        let settings = &self.errand.settings;
        let mut late_tags = loaded.tags;
        let held = match loaded.answer {
            Answer::Value(value) => Held::Value(value),
            Answer::Absent => Held::Absent,
            Answer::NotModified => {
                let previous = self.previous.as_ref().ok_or_else(|| {
                    let message = "it answered 'not modified' where no value was kept";
                    Error::new(ErrorKind::Loader, "load", message)
                })?;
                // What the earlier answer was tagged with still holds.
                late_tags.extend(previous.seen.names());
                previous.held.clone()
            }
        };
        let (fresh_for, kept_for) = match held {
            Held::Absent => {
                let ttl = loaded.ttl.length(self.errand.inner.now(), settings.absent_ttl);
                (ttl, ttl)
            }
            Held::Value(_) | Held::Counter(_) => {
                lives(settings, loaded.ttl, self.errand.inner.now(), random::unit)
            }
        };
        let times = Times::new(fresh_for, kept_for);
        let known = settings.tags();
        late_tags.retain(|tag| !known.contains(tag));
        Ok(Made { held, times, late_tags })
    }

    async fn store(mut self, made: Made<V>) {
        if let Err(error) = check_tags(&made.late_tags) {
            return self.fall_back(error).await;
        }
        match self.take_fence().await {
            Fence::Flight(seen) => self.keep_alone(made, seen),
            Fence::Degraded(seen) => {
                let limit = self.errand.inner.loads.degraded_ttl;
                let mut made = made;
                made.times.fresh_for = made.times.fresh_for.min(limit);
                made.times.kept_for = made.times.kept_for.min(limit);
                self.keep_alone(made, seen);
            }
            Fence::Lease(key, lease) => match self.errand.inner.shared.clone() {
                Some(shared) => self.keep_there(&shared, &key, *lease, made).await,
                None => self.overtaken(made),
            },
        }
    }

    /// The fence, with the tags that the loader named before it read its source. Where the authority
    /// did not tell their versions, its fence is given up.
    async fn take_fence(&mut self) -> Fence {
        let mut fence = std::mem::replace(&mut self.fence, Fence::Flight(Seen::default()));
        let early = std::mem::take(&mut *lock(&self.errand.ticket.info().early_tags));
        for early in early {
            fence = match (fence, early.versions) {
                (Fence::Flight(seen), _) => Fence::Flight(seen.with_tags_of(&early.seen)),
                (Fence::Degraded(seen), _) => Fence::Degraded(seen.with_tags_of(&early.seen)),
                (Fence::Lease(key, mut lease), Some(versions)) => {
                    lease.current.add_tags(versions, &early.seen);
                    Fence::Lease(key, lease)
                }
                (Fence::Lease(key, lease), None) => {
                    if let Some(shared) = &self.errand.inner.shared {
                        shared.give_up(&key, &lease).await;
                    }
                    Fence::Degraded(lease.current.seen.with_tags_of(&early.seen))
                }
            };
        }
        fence
    }

    /// Stores in the local tier under the flight alone.
    fn keep_alone(self, made: Made<V>, seen: Seen) {
        match self.with_late_tags(seen, &made.late_tags) {
            Some(seen) => self.keep_here(made, seen),
            None => self.overtaken(made),
        }
    }

    /// Stores at the authority, over the load's fence there, and on success here.
    async fn keep_there(self, shared: &Shared<V>, key: &Key, lease: Lease, made: Made<V>) {
        let marks = self.errand.inner.local.marks();
        let current = match shared.with_late_tags(marks, &lease, &made.late_tags).await {
            Ok(Some(current)) => current,
            Ok(None) => {
                shared.give_up(key, &lease).await;
                return self.overtaken(made);
            }
            Err(error) => {
                shared.give_up(key, &lease).await;
                self.errand.inner.tell(&Event::SharedFailed(error));
                return self.answer_only(made);
            }
        };
        if made.times.fresh_for.is_zero() {
            let outcome = shared.authority.delete(key, lease.expect).await;
            return match outcome {
                Outcome::Done => self.keep_here(made, current.seen),
                _ => self.answer_only(made),
            };
        }
        let mut record = match shared.record(key, &made.held, made.times, &current) {
            Ok(record) => record,
            Err(error) => return self.refuse(shared, key, lease, made, error).await,
        };
        let written = self.errand.inner.now();
        record.header.cost = written.since(self.began);
        record.header.born = lease.born;
        match shared.authority.write(key, record.clone(), lease.expect.clone()).await {
            Outcome::Done => self.keep_copy(shared, made, &record, &current, written),
            Outcome::Refused(_) => self.overtaken(made),
            Outcome::Failed(error) if error.kind() == ErrorKind::NoSpace => {
                self.refuse(shared, key, lease, made, error).await;
            }
            Outcome::Failed(error) | Outcome::Unknown(error) => {
                // Others need not wait for what will not come. If the answer was lost and the
                // result is there after all, this is refused.
                shared.give_up(key, &lease).await;
                self.errand.inner.tell(&Event::SharedFailed(error));
                self.answer_only(made);
            }
        }
    }

    /// The value cannot be stored: neither is there any more what it was to replace, in any tier.
    async fn refuse(
        self,
        shared: &Shared<V>,
        key: &Key,
        lease: Lease,
        made: Made<V>,
        error: Error,
    ) {
        let _ = shared.authority.delete(key, lease.expect).await;
        let Errand { inner, ticket, hash, key, .. } = self.errand;
        inner.tell(&Event::NotStored(error));
        let landed = Landed::Loaded(made.held);
        drop(ticket.publish(landed, |_| inner.local.remove(hash, &key)));
    }

    /// The copy of a record that the authority has taken.
    fn keep_copy(
        self,
        shared: &Shared<V>,
        made: Made<V>,
        record: &Record,
        current: &Current,
        written: Timestamp,
    ) {
        let looked = shared.looked(made.held, Life::Fresh, &record.header, current, written);
        self.publish(looked);
    }

    /// Stores in the local tier, which is all there is.
    fn keep_here(self, made: Made<V>, seen: Seen) {
        let now = self.errand.inner.now();
        let mut note = Note::new(Version::NONE, now);
        note.cost = now.since(self.began);
        if let Some(shared) = &self.errand.inner.shared {
            note.copy_due = now.after(shared.local_cap);
        }
        self.publish(Looked {
            held: made.held,
            life: Life::Fresh,
            is_marked: false,
            fresh_until: now.after(made.times.fresh_for),
            kept_until: now.after(made.times.kept_for),
            note,
            seen,
        });
    }

    /// Publishes a fresh value and keeps it under the flight; one without a life is only answered.
    fn publish(self, looked: Looked<V>) {
        let errand = self.errand;
        let (inner, hash, key) = (errand.inner, errand.hash, errand.key);
        let landed = Landed::Loaded(looked.held.clone());
        let draft = inner.draft(&key, looked.with_refresh(&errand.settings));
        // What has no life left is refused by the tier, and takes what was there with it.
        let dropped = errand.ticket.publish(landed, |_| inner.local.put(hash, key, draft));
        if dropped.is_none() && inner.shared.is_none() {
            inner.tell(&Event::LoadOvertaken);
        }
    }

    /// Tags that only the answer named: their versions are read now, and a change of any tag since
    /// the load began refuses the store.
    fn with_late_tags(&self, seen: Seen, late: &[Arc<str>]) -> Option<Seen> {
        if late.is_empty() {
            return Some(seen);
        }
        let marks = self.errand.inner.local.marks();
        // The versions first and the count second: what changes in between shows.
        let later = marks.see(late);
        let unchanged = marks.tag_changes() == self.tag_changes;
        unchanged.then(|| seen.with_tags_of(&later))
    }

    fn overtaken(self, made: Made<V>) {
        self.errand.inner.tell(&Event::LoadOvertaken);
        self.answer_only(made);
    }

    /// The callers get the value, and nobody keeps it.
    fn answer_only(self, made: Made<V>) {
        self.errand.ticket.publish(Landed::Loaded(made.held), |_| ());
    }

    /// Answers with what there was, if grace allows, and lets the next load wait; else the failure.
    async fn fall_back(self, error: Error) {
        let inner = Arc::clone(&self.errand.inner);
        inner.stats().load_failure();
        inner.tell(&Event::LoadFailed(error.clone()));
        if let (Fence::Lease(key, lease), Some(shared)) = (&self.fence, &inner.shared) {
            shared.give_up(key, lease).await;
        }
        let now = inner.now();
        let has_grace = |looked: &Looked<V>| {
            // What only a mark has made stale has no grace of its own.
            let is_graced = !looked.is_marked || !self.errand.settings.grace.is_zero();
            looked.kept_until > now && is_graced
        };
        let Some(mut looked) = self.previous.filter(has_grace) else {
            self.errand.ticket.publish(Landed::Failed(error), |_| ());
            return;
        };
        let chance = random::unit();
        rest(&mut looked.note, now, chance);
        let (hash, key) = (self.errand.hash, self.errand.key);
        let mut handed_out = looked.clone();
        if matches!(self.fence, Fence::Degraded(_)) {
            // The authority cannot be asked for its marks: those that are known here count.
            handed_out.note.marks_due = Timestamp::FAR;
        }
        let landed = Landed::FellBack(handed_out, error);
        let version = looked.note.version;
        let draft = inner.draft(&key, looked);
        let dropped = self.errand.ticket.publish(landed, |_| {
            let there = inner.outline(hash, &key).filter(|there| there.note.version == version);
            let Some(mut there) = there else { return (inner.local.put(hash, key, draft), None) };
            // It is here still, maybe with another life than when the load began.
            rest(&mut there.note, now, chance);
            (inner.retime(hash, &key, &there), Some(draft))
        });
        drop(dropped);
    }
}

/// Notes a failure, and until when the next load waits.
fn rest(note: &mut Note, now: Timestamp, chance: f64) {
    note.failures = note.failures.saturating_add(1);
    note.retry_at = now.after(back_off(note.failures, chance));
    note.refresh_at = note.refresh_at.max(note.retry_at);
}
