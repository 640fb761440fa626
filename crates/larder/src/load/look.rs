//! A closer look at the local tier, where the fast path has no answer.

use larder_core::{Result, Timestamp};

use crate::key::CacheKey;
use crate::load::request::Request;
use crate::observe::event::Event;
use crate::support::{random, runtime};
use crate::tier::entry::{Content, Entry};
use crate::tier::freshness::{Verdict, judge};

/// The result of a closer look at the local tier.
pub(super) enum LocalAnswer<V> {
    Serve(Content<V>),
    Renew(Content<V>),
    /// A stale entry, for which no load is due.
    Rest(Entry<V>),
    /// An entry past its ttl, or due to be compared.
    Spent(Entry<V>),
    Nothing,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Request<K, V> {
    /// Looks at the local tier's entry, and compares its marks with the authority's if that is due.
    ///
    /// # Errors
    /// [`NoRuntime`](ErrorKind::NoRuntime) if it has to compare, outside of a runtime.
    pub(super) async fn look_closer(&self) -> Result<LocalAnswer<V>> {
        let mut are_marks_checked = false;
        loop {
            let Some(mut entry) = self.inner.look(self.hash, &self.key) else {
                return Ok(LocalAnswer::Nothing);
            };
            if are_marks_checked {
                // However short the interval of checks is, this call has made one.
                entry.metadata.marks_due = Timestamp::FAR;
            }
            match judge(&entry, self.inner.now(), random::unit()) {
                Verdict::Serve => return Ok(LocalAnswer::Serve(entry.content)),
                Verdict::Refresh => return Ok(LocalAnswer::Renew(entry.content)),
                Verdict::Resting => return Ok(LocalAnswer::Rest(entry)),
                Verdict::Stale | Verdict::CheckCopy => return Ok(LocalAnswer::Spent(entry)),
                Verdict::CheckMarks => {
                    runtime::require()?;
                    if let Err(error) = Box::pin(self.check_marks(&entry)).await {
                        self.inner.tell(&Event::SharedFailed(error));
                        return Ok(LocalAnswer::Spent(entry));
                    }
                    are_marks_checked = true;
                }
            }
        }
    }

    /// Asks for the epoch and the entry's tags. A change of either makes the entry dead or stale.
    async fn check_marks(&self, entry: &Entry<V>) -> Result<()> {
        let marks = self.inner.local.marks();
        let due = self.inner.stack.compare(marks, &entry.generation.names()).await?;
        let dropped = self.inner.flights.hold(self.hash, || {
            let mut there = self.inner.outline(self.hash, &self.key)?;
            let is_same = there.metadata.version == entry.metadata.version
                && there.metadata.written_at == entry.metadata.written_at;
            // The rest of the entry may have changed meanwhile, and stays unchanged here.
            there.metadata.marks_due = due;
            is_same.then(|| self.inner.retime(self.hash, &self.key, &there))
        });
        drop(dropped);
        Ok(())
    }
}
