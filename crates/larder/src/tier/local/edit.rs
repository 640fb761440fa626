//! Edits of an entry's life, and removals.

use std::hash::Hash;

use larder_core::{Times, Timestamp};

use crate::lookup::Lookup;
use crate::observe::listener::Dropped;
use crate::ops::edit::Edited;
use crate::tier::local::LocalTier;
use crate::tier::local::candidate::EntryMetadata;

/// The part of an edited entry that its cache knows: the time up to which a hit needs no closer look,
/// and the metadata.
pub(crate) struct Edition<N> {
    pub(crate) attend_at: Timestamp,
    pub(crate) metadata: Option<N>,
}

impl<K, V, N> LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: EntryMetadata,
{
    /// Makes an edit that was decided at this time. The caller holds the key's stripe lock. The removed
    /// value and all that is dropped comes back, to end outside of the lock.
    pub(crate) fn edit<Q: ?Sized + Lookup<K>>(
        &self,
        hash: u64,
        key: &Q,
        edited: Edited,
        now: Timestamp,
        edition: impl FnOnce(&Times, Timestamp) -> Edition<N>,
    ) -> (Option<V>, Dropped<K, V>) {
        match edited {
            Edited::Kept => (None, Dropped::none()),
            Edited::Removed => self.remove(hash, key),
            Edited::Stale(times) | Edited::Retimed(times) => {
                let fresh_until = now.after(times.fresh_left());
                let kept_until = now.after(times.kept_left());
                let Edition { attend_at, metadata } = edition(&times, fresh_until);
                let (_, dropped) =
                    self.retime(hash, key, attend_at, fresh_until, kept_until, metadata);
                (None, dropped)
            }
        }
    }
}
