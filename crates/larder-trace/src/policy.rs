//! The caches that a trace is replayed through.

use crate::trace::Trace;

/// A cache of a fixed size, as far as a trace sees it.
///
/// A replay asks for one id after the other, from one thread.
pub trait Policy {
    /// Asks for an id, and puts it if it is not there. Returns true if it was there.
    ///
    /// A policy may refuse an id that is put: the next access shows it.
    fn access(&mut self, id: u32) -> bool;

    /// Returns the number of ids that the cache holds now.
    fn len(&self) -> usize;

    /// Returns true if the cache holds no id.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Replays a trace. Returns the number of hits.
///
/// `progress` is called now and then with the number of accesses done since its last call; the sum
/// is all of them.
pub fn hits(trace: &Trace, policy: &mut dyn Policy, progress: &mut dyn FnMut(usize)) -> u64 {
    let mut hits = 0;
    for ids in trace.ids().chunks(TOLD_EVERY) {
        for id in ids {
            hits += u64::from(policy.access(*id));
        }
        progress(ids.len());
    }
    hits
}

/// The accesses between two reports of progress: a few milliseconds.
pub(crate) const TOLD_EVERY: usize = 1 << 15;
