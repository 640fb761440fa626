//! Puts that depend on what is there.

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
    /// Takes the draft and puts it with these tags, if it is wanted in the place of the fresh value
    /// or of none. The caller holds the key's stripe lock.
    ///
    /// The marks are seen before a fresh value is judged and after a missing one is. So what is put
    /// has been there before a change that ended the fresh value, and ends with it; and what was
    /// put because a change had ended another value is newer than that change. What is there is
    /// judged by the marks themselves: their count alone lags behind a change under way, whose
    /// versions are seen already.
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
