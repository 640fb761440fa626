//! A closer look at the local tier, where the fast path has no answer.

use larder_core::{Result, Timestamp};

use crate::key::CacheKey;
use crate::load::request::Request;
use crate::observe::event::Event;
use crate::support::{random, runtime};
use crate::tier::freshness::{Verdict, judge};
use crate::tier::held::{Held, Looked};

/// What a closer look here came to.
pub(super) enum Close<V> {
    Serve(Held<V>),
    Renew(Held<V>),
    /// Stale, and no load is due.
    Rest(Looked<V>),
    /// Past its ttl, or due to be compared.
    Spent(Looked<V>),
    Nothing,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Request<K, V> {
    /// Looks at what the local tier holds, and compares its marks with the authority's if due.
    ///
    /// # Errors
    /// [`NoRuntime`](ErrorKind::NoRuntime) if it has to compare, outside of a runtime.
    pub(super) async fn look_closer(&self) -> Result<Close<V>> {
        let mut are_marks_checked = false;
        loop {
            let Some(mut looked) = self.inner.look(self.hash, &self.key) else {
                return Ok(Close::Nothing);
            };
            if are_marks_checked {
                // However short the interval of checks is, this call has made one.
                looked.note.marks_due = Timestamp::FAR;
            }
            match judge(&looked, self.inner.now(), random::unit()) {
                Verdict::Serve => return Ok(Close::Serve(looked.held)),
                Verdict::Refresh => return Ok(Close::Renew(looked.held)),
                Verdict::Resting => return Ok(Close::Rest(looked)),
                Verdict::Stale | Verdict::CheckCopy => return Ok(Close::Spent(looked)),
                Verdict::CheckMarks => {
                    runtime::require()?;
                    if let Err(error) = Box::pin(self.check_marks(&looked)).await {
                        self.inner.tell(&Event::SharedFailed(error));
                        return Ok(Close::Spent(looked));
                    }
                    are_marks_checked = true;
                }
            }
        }
    }

    /// Asks for the epoch and the entry's tags. Whatever has changed makes the entry dead or stale.
    async fn check_marks(&self, looked: &Looked<V>) -> Result<()> {
        let marks = self.inner.local.marks();
        let due = self.inner.stack.compare(marks, &looked.seen.names()).await?;
        let dropped = self.inner.flights.hold(self.hash, || {
            let mut there = self.inner.outline(self.hash, &self.key)?;
            let is_same = there.note.version == looked.note.version
                && there.note.written_at == looked.note.written_at;
            // All else of it may have changed meanwhile, and stays so.
            there.note.marks_due = due;
            is_same.then(|| self.inner.retime(self.hash, &self.key, &there))
        });
        drop(dropped);
        Ok(())
    }
}
