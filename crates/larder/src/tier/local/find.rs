//! Finds entries: the fast path of a hit, and the closer look.

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
    /// Returns the value of a hit, or the key's hash for the steps after a miss.
    #[inline]
    pub(crate) fn hit<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Result<V, u64> {
        let hash = self.hash(key);
        self.get(hash, key).ok_or(hash)
    }

    /// Returns the value, if it needs no closer look. Counts a hit; starts the idle time anew.
    #[inline]
    pub(crate) fn get<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<V> {
        self.announce(true);
        let found = self.judge(hash, key, || self.engine.get(hash, key))?;
        self.stats().add(Count::Hits);
        Some(found)
    }

    /// Counts a use of the entry under the key, and starts its idle time anew. Call it outside all
    /// locks: it drops a copy of the value.
    pub(crate) fn count_use<Q: ?Sized + Lookup<K>>(&self, key: &Q) {
        self.announce(true);
        drop(self.engine.get(self.hash(key), key));
    }

    /// Like [`get`](Self::get), but counts nothing and does not start the idle time anew.
    pub(crate) fn peek<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<V> {
        self.announce(false);
        self.judge(hash, key, || self.engine.peek(hash, key))
    }

    /// Tells the slots on this thread who reads them, and whether reading is a use.
    #[inline]
    fn announce(&self, is_use: bool) {
        if let Some(idle) = self.idle {
            idle.reader(self.clock.coarse(), is_use).announce();
        }
    }

    /// Calls `look` with an entry that is not dead, under its shard's lock: `look` must be short
    /// and not call the cache. Counts nothing and does not start the idle time anew.
    ///
    /// The time is read when the entry is found. By an earlier time, a copy that came meanwhile and
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

    /// Returns the value of the copy that `find` makes, if it needs no closer look.
    #[inline]
    fn judge<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
        find: impl FnOnce() -> Option<Slot<V, N>>,
    ) -> Option<V> {
        let mut found = find();
        // The comparison borrows the slot: a moved slot is copied, and a hit would wait for that.
        if found.as_ref()?.settled() != self.marks.changes() {
            found = self.settle(hash, key);
        }
        if self.clock.is_before(found.as_ref()?.attend_at()) {
            return found.map(|slot| slot.value);
        }
        None
    }

    /// Settles an entry that no change of marks since has touched, and returns a copy of it.
    #[cold]
    fn settle<Q: ?Sized + Lookup<K>>(&self, hash: u64, key: &Q) -> Option<Slot<V, N>> {
        let settle =
            |slot: &Slot<V, N>| (slot.marked(&self.marks) == Life::Fresh).then(|| slot.clone());
        self.engine.view(hash, key, settle).flatten()
    }
}
