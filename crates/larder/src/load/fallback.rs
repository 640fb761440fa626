//! The end of a failed load: the previous value, or the failure.

use std::time::Duration;

use larder_core::{Error, ErrorKind, Timestamp};

use crate::flight::outcome::Landed;
use crate::key::CacheKey;
use crate::load::leader::Leader;
use crate::load::request::Request;
use crate::tier::entry::{Entry, Metadata};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Leader<K, V> {
    /// True if a failed load falls back on this entry.
    pub(crate) fn is_fallback(&self, entry: &Entry<V>) -> bool {
        // A value that only a mark has made stale has no grace of its own.
        let is_graced = !entry.is_marked || !self.request.settings.grace.is_zero();
        !entry.content.is_absent() && entry.kept_until > self.request.inner.now() && is_graced
    }

    /// Ends the flight with the failure of another process's load, which failed a moment ago.
    pub(crate) fn share_failure(self, previous: Option<Entry<V>>, wait: Duration) {
        let message = "another process has just tried to load it, and failed";
        let error = Error::new(ErrorKind::Loader, "load", message);
        let previous = previous.filter(|entry| self.is_fallback(entry));
        self.publish_failure(previous, error, wait, |entry| entry);
    }

    /// Ends the flight with the previous value, which then waits so long for its next load; else
    /// with the failure. `hand_out` makes the entry that its callers judge.
    pub(super) fn publish_failure(
        self,
        previous: Option<Entry<V>>,
        error: Error,
        wait: Duration,
        hand_out: impl FnOnce(Entry<V>) -> Entry<V>,
    ) {
        let Some(mut entry) = previous else {
            self.ticket.publish(Landed::Failed(error), |_| ());
            return;
        };
        let Self { request: Request { inner, hash, key, .. }, ticket } = self;
        let retry_at = inner.now().after(wait);
        rest(&mut entry.metadata, retry_at);
        let landed = Landed::FellBack(hand_out(entry.clone()), error);
        let version = entry.metadata.version;
        let candidate = inner.candidate(&key, entry);
        let dropped = ticket.publish(landed, |_| {
            let there = inner.outline(hash, &key).filter(|there| there.metadata.version == version);
            let Some(mut there) = there else {
                return (inner.local.put(hash, key, candidate), None);
            };
            // The value is still here, maybe with another life than when the load began.
            rest(&mut there.metadata, retry_at);
            (inner.retime(hash, &key, &there), Some(candidate))
        });
        drop(dropped);
    }
}

/// Counts a failure, and sets until when the next load waits.
fn rest(metadata: &mut Metadata, retry_at: Timestamp) {
    metadata.failures = metadata.failures.saturating_add(1);
    metadata.retry_at = retry_at;
    metadata.refresh_at = metadata.refresh_at.max(retry_at);
}
