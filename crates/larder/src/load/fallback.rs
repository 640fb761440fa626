//! The end of a load that has failed: the value there was, or the failure.

use std::time::Duration;

use larder_core::{Error, ErrorKind, Timestamp};

use crate::flight::outcome::Landed;
use crate::key::CacheKey;
use crate::load::leader::Leader;
use crate::load::request::Request;
use crate::tier::held::{Looked, Note};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Leader<K, V> {
    /// Whether a failed load falls back on it.
    pub(crate) fn is_fallback(&self, looked: &Looked<V>) -> bool {
        // A value that only a mark has made stale has no grace of its own.
        let is_graced = !looked.is_marked || !self.request.settings.grace.is_zero();
        !looked.held.is_absent() && looked.kept_until > self.request.inner.now() && is_graced
    }

    /// Ends the flight as another process's load has ended, which failed a moment ago.
    pub(crate) fn share_failure(self, previous: Option<Looked<V>>, wait: Duration) {
        let message = "another process has just tried to load it, and failed";
        let error = Error::new(ErrorKind::Loader, "load", message);
        let previous = previous.filter(|looked| self.is_fallback(looked));
        self.publish_failure(previous, error, wait, |looked| looked);
    }

    /// Ends the flight with what there was, which then waits so long for its next load; else with
    /// the failure. `hand_out` makes what its callers judge.
    pub(super) fn publish_failure(
        self,
        previous: Option<Looked<V>>,
        error: Error,
        wait: Duration,
        hand_out: impl FnOnce(Looked<V>) -> Looked<V>,
    ) {
        let Some(mut looked) = previous else {
            self.ticket.publish(Landed::Failed(error), |_| ());
            return;
        };
        let Self { request: Request { inner, hash, key, .. }, ticket } = self;
        let retry_at = inner.now().after(wait);
        rest(&mut looked.note, retry_at);
        let landed = Landed::FellBack(hand_out(looked.clone()), error);
        let version = looked.note.version;
        let draft = inner.draft(&key, looked);
        let dropped = ticket.publish(landed, |_| {
            let there = inner.outline(hash, &key).filter(|there| there.note.version == version);
            let Some(mut there) = there else { return (inner.local.put(hash, key, draft), None) };
            // The value is here still, maybe with another life than when the load began.
            rest(&mut there.note, retry_at);
            (inner.retime(hash, &key, &there), Some(draft))
        });
        drop(dropped);
    }
}

/// Notes a failure, and until when the next load waits.
fn rest(note: &mut Note, retry_at: Timestamp) {
    note.failures = note.failures.saturating_add(1);
    note.retry_at = retry_at;
    note.refresh_at = note.refresh_at.max(retry_at);
}
