//! Finding entries: the fast path of a hit, and the closer look.

use std::hash::Hash;

use larder_core::Life;

use crate::lookup::Lookup;
use crate::observe::stats::Count;
use crate::tier::local::candidate::EntryMetadata;
use crate::tier::local::slot::Slot;
use crate::tier::local::{LocalTier, View};

impl<K, V, N> LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: EntryMetadata,
{
    /// The value of a hit, or the key's hash for what comes after a miss.
    #[inline]
    pub(crate) fn hit<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<V, u64> {
        let hash = self.hash(key);
        self.get(hash, key).ok_or(hash)
    }

    /// The value, if it needs no closer look. Counts a hit; starts the idle time anew.
    #[inline]
    pub(crate) fn get<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<V> {
        if let Some(idle) = self.idle {
            idle.reader(self.clock.coarse(), true).announce();
        }
        let found = self.judge(hash, key, || self.engine.get(hash, key))?;
        self.stats().add(Count::Hits);
        Some(found)
    }

    /// The same for a reader who leaves no trace.
    pub(crate) fn peek<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<V> {
        if let Some(idle) = self.idle {
            idle.reader(self.clock.coarse(), false).announce();
        }
        self.judge(hash, key, || self.engine.peek(hash, key))
    }

    /// Looks closer at an entry that is not dead, under its shard's lock: briefly, and without
    /// calling the cache. Leaves no trace.
    ///
    /// The time is read when the entry is found. By an earlier one, a copy that came meanwhile and
    /// was stale already would be fresh.
    pub(crate) fn look<Q: ?Sized + Lookup<K>, R>(
        &self,
        hash: u64,
        key: &Q,
        look: impl FnOnce(&View<'_, V, N>) -> R,
    ) -> Option<R> {
        let look = |slot: &Slot<V, N>| Some(look(&self.view(slot, self.clock.now())?));
        self.engine.view(hash, key, look).flatten()
    }

    /// The value of the copy that `find` makes, if it needs no closer look.
    #[inline]
    fn judge<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
        find: impl FnOnce() -> Option<Slot<V, N>>,
    ) -> Option<V> {
        let mut found = find();
        // By reference: a slot that is moved is copied, for which a hit would wait.
        if found.as_ref()?.settled() != self.marks.changes() {
            found = self.settle(hash, key);
        }
        if self.clock.is_before(found.as_ref()?.attend_at()) {
            return found.map(|slot| slot.value);
        }
        None
    }

    /// A copy of an entry that the changes of marks since were no concern of; it is settled now.
    #[cold]
    fn settle<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<Slot<V, N>> {
        let settle =
            |slot: &Slot<V, N>| (slot.marked(&self.marks) == Life::Fresh).then(|| slot.clone());
        self.engine.view(hash, key, settle).flatten()
    }
}
