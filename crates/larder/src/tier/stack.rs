//! The tiers below the local one. This file decides whether there are any, and few places ask: a
//! cache without them runs the same flights and the same changes over the local tier alone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use larder_core::{
    AnyBackend, Backend as _, Class, Header, Key, Life, NEVER, Namespace, Result, Scope,
    TagVersion, Timestamp,
};

use crate::key::CacheKey;
use crate::layer::Gather;
use crate::memory::MemoryBackend;
use crate::support::clock::LocalClock;
use crate::support::runtime;
use crate::tier::entry::Entry;
use crate::tier::marks::current::{Age, MarkChange, marks_due};
use crate::tier::marks::here::{Generation, Marks};
use crate::tier::shared::scan::Met;
use crate::tier::shared::{Found, Shared};

/// The tiers below the local one, or none.
pub(crate) enum Stack<V> {
    /// No tier: the local tier is the authority. Its locks are kept here.
    Alone(Arc<OnceLock<AnyBackend>>),
    /// At least one tier; the last of them is the authority.
    Over(Arc<Shared<V>>),
}

impl<V> Clone for Stack<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Alone(locks) => Self::Alone(Arc::clone(locks)),
            Self::Over(shared) => Self::Over(Arc::clone(shared)),
        }
    }
}

/// The life of a value or a number that is not dead.
pub(crate) struct EntryLife {
    pub(crate) life: Life,
    pub(crate) fresh_left: Duration,
}

impl<V: 'static> Stack<V> {
    pub(crate) fn new(shared: Option<Arc<Shared<V>>>) -> Self {
        shared.map_or_else(|| Self::Alone(Arc::default()), Self::Over)
    }

    /// Returns the tiers, where there are any. Only for steps that differ without them: a change, a
    /// load, a walk.
    pub(crate) fn below(&self) -> Option<&Arc<Shared<V>>> {
        match self {
            Self::Alone(_) => None,
            Self::Over(shared) => Some(shared),
        }
    }

    /// True if a call may have to wait for a backend.
    pub(crate) fn waits(&self) -> bool {
        self.below().is_some()
    }

    /// Refuses a call that may have to wait for a backend, outside of a runtime.
    ///
    /// # Errors
    /// [`NoRuntime`](larder_core::ErrorKind::NoRuntime).
    pub(crate) fn require(&self) -> Result<()> {
        if self.waits() { runtime::require() } else { Ok(()) }
    }

    /// True if damage and outages are errors and not misses.
    pub(crate) fn is_strict(&self) -> bool {
        self.below().is_some_and(|shared| shared.strict)
    }

    /// Returns the reach of a lock.
    pub(crate) fn scope(&self) -> Scope {
        let scope =
            |shared: &Arc<Shared<V>>| shared.authority.remote.backend().capabilities().scope;
        self.below().map_or(Scope::Process, scope)
    }

    /// Returns the key of a lock, and the backend that keeps it.
    pub(crate) fn lock(&self, name: &str, clock: &LocalClock) -> Result<(AnyBackend, Key)> {
        match self {
            Self::Alone(locks) => {
                let made = || AnyBackend::new(MemoryBackend::new(clock.shared()));
                let key = Key::new(&Namespace::new("")?, Class::Lock, name.as_bytes());
                Ok((locks.get_or_init(made).clone(), key))
            }
            Self::Over(shared) => {
                let remote = &shared.authority.remote;
                Ok((remote.backend().clone(), remote.key(Class::Lock, name)))
            }
        }
    }

    /// Returns these tiers for calls that run together, and the layer that makes batches of their
    /// requests.
    pub(crate) fn together(&self) -> (Self, Option<Gather>) {
        match self {
            Self::Alone(_) => (self.clone(), None),
            Self::Over(shared) => {
                let gather = Gather::new(shared.authority.remote.backend().clone());
                (Self::Over(Arc::new(shared.through(gather.clone()))), Some(gather))
            }
        }
    }

    /// Returns the time within which this process notices the changes of other processes.
    pub(crate) fn notices_within(&self) -> Duration {
        // A change of a key is noticed within the first, a change of a mark within the second.
        let bound = |shared: &Arc<Shared<V>>| shared.local_cap.min(shared.authority.tag_check);
        self.below().map_or(NEVER, bound)
    }

    /// Returns the time until which a copy that is right now may go without being compared.
    pub(crate) fn copy_due(&self, now: Timestamp) -> Timestamp {
        self.below().map_or(Timestamp::FAR, |shared| now.after(shared.local_cap))
    }

    /// Compares the epoch and these tags with the authority's, and returns the time until which
    /// they need no other comparison. `marks` has the changes then.
    pub(crate) async fn compare(&self, marks: &Marks, tags: &[Arc<str>]) -> Result<Timestamp> {
        let Some(shared) = self.below() else { return Ok(Timestamp::FAR) };
        let current = shared.authority.current(marks, tags, Age::Checked).await?;
        Ok(marks_due(current.checked, shared.authority.tag_check))
    }

    /// Returns these tags as they are now: as this process counts them and, where there is another
    /// authority, their versions.
    pub(crate) async fn see(
        &self,
        marks: &Marks,
        tags: &[Arc<str>],
    ) -> Result<(Generation, Option<Vec<TagVersion>>)> {
        let Some(shared) = self.below() else { return Ok((marks.see(tags), None)) };
        let current = shared.authority.current(marks, tags, Age::Now).await?;
        Ok((current.generation, Some(current.tags)))
    }

    /// Changes a tag here after its change at the authority, to this mark if the mark is known.
    pub(crate) fn tag_changed(
        &self,
        marks: &Marks,
        tag: &str,
        change: MarkChange,
        mark: Option<&Header>,
    ) {
        match (self, change) {
            (Self::Over(shared), _) => shared.authority.tag_changed(marks, tag, change, mark),
            (Self::Alone(_), MarkChange::Hard) => marks.invalidate_tag(tag),
            (Self::Alone(_), MarkChange::Soft) => marks.mark_tag_stale(tag),
        }
    }

    /// Changes the epoch here after its change at the authority, to this mark if the mark is known.
    pub(crate) fn epoch_changed(&self, marks: &Marks, change: MarkChange, mark: Option<&Header>) {
        match (self, change) {
            (Self::Over(shared), _) => shared.authority.epoch_changed(marks, change, mark),
            (Self::Alone(_), MarkChange::Hard) => marks.invalidate_all(),
            (Self::Alone(_), MarkChange::Soft) => marks.mark_all_stale(),
        }
    }

    /// Makes the backends connect.
    ///
    /// # Errors
    /// [`NoRuntime`](larder_core::ErrorKind::NoRuntime) outside of a runtime, and the backend's own.
    pub(crate) async fn connect(&self) -> Result<()> {
        let Some(shared) = self.below() else { return Ok(()) };
        self.require()?;
        shared.authority.remote.connect().await
    }

    pub(crate) async fn close(&self) -> Result<()> {
        match self.below() {
            Some(shared) => shared.authority.remote.close().await,
            None => Ok(()),
        }
    }

    /// Frees the records that are dead, by their times or by a mark, and returns their number.
    pub(crate) async fn purge(&self) -> Result<u64> {
        let Some(shared) = self.below() else { return Ok(0) };
        let mut purged = 0;
        loop {
            let count = shared.authority.remote.purge(PURGE).await?;
            purged += count as u64;
            if count < PURGE {
                purged += shared.authority.purge_ended().await?;
                shared.authority.end_unnamed().await?;
                return Ok(purged);
            }
        }
    }

    /// Forgets all tags that may be forgotten.
    #[cfg(test)]
    pub(crate) fn forget_tags(&self, marks: &Marks) {
        if let Some(shared) = self.below() {
            crate::support::sync::lock(&shared.authority.table).forget(marks);
        }
    }
}

impl<V: Clone + 'static> Stack<V> {
    /// Returns the entry under the key, without copying it to the local tier.
    pub(crate) async fn find(
        &self,
        key: &impl CacheKey,
        marks: &Marks,
    ) -> Result<Option<Entry<V>>> {
        let Some(shared) = self.below() else { return Ok(None) };
        let found = Box::pin(shared.find(&shared.key(key), marks, Age::Checked, None)).await?;
        Ok(Found::into_entry(found))
    }

    /// Returns the life of a value or a number under the key, without the value.
    pub(crate) async fn stored(
        &self,
        key: &impl CacheKey,
        marks: &Marks,
    ) -> Result<Option<EntryLife>> {
        let Some(shared) = self.below() else { return Ok(None) };
        let key = shared.key(key);
        let Some(record) = Box::pin(shared.authority.remote.read(&key)).await? else {
            return Ok(None);
        };
        let met = Met { key, text: String::new(), header: record.header };
        if !met.is_stored() || !shared.is_own(&met.header) {
            return Ok(None);
        }
        let met = [met];
        let life = shared.authority.lives(marks, &met).await?.pop();
        let fresh_left = met.first().map_or(Duration::ZERO, |met| met.header.times.fresh_left());
        Ok(life.filter(|life| *life != Life::Dead).map(|life| EntryLife { life, fresh_left }))
    }
}

/// The number of dead records that one call of the backend frees.
const PURGE: usize = 1_000;
