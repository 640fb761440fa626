//! Puts that depend on the entry that is there.

use std::hash::Hash;
use std::sync::Arc;

use larder_core::Life;

use crate::observe::listener::Dropped;
use crate::tier::local::candidate::EntryMetadata;
use crate::tier::local::{Candidate, LocalTier};

impl<K, V, N> LocalTier<K, V, N>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    N: EntryMetadata,
{
    /// Takes the candidate and puts it with these tags, if `wanted` accepts the fresh value that is
    /// there, or none. The caller holds the key's stripe lock.
    ///
    /// The marks are read before a fresh value is judged and after a missing one is. A change that
    /// ended the fresh value therefore comes after the new entry's marks and ends that entry too.
    /// An entry put because a change had ended another value is newer than that change. The value
    /// that is there is judged by the marks themselves: their count alone lags behind a change
    /// under way, whose versions can be read already.
    pub(crate) fn put_if(
        &self,
        hash: u64,
        key: &K,
        candidate: &mut Option<Candidate<V, N>>,
        tags: &[Arc<str>],
        wanted: impl Fn(Option<&V>) -> bool,
    ) -> Option<Dropped<K, V>> {
        let before = self.marks.see(tags);
        let there = self
            .look(hash, key, |view| (view.life == Life::Fresh).then(|| wanted(Some(view.value))));
        let generation = match there.flatten() {
            Some(is_wanted) => is_wanted.then_some(before),
            None => wanted(None).then(|| self.marks.see(tags)),
        };
        let candidate = candidate.take_if(|_| generation.is_some())?;
        Some(self.put(hash, key.clone(), Candidate { generation: generation?, ..candidate }))
    }
}
