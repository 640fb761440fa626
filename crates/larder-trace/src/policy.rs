//! What a trace is replayed through.

use crate::trace::Trace;

/// A cache of a fixed size, as far as a trace sees it.
///
/// A replay asks for one id after the other, from one thread.
pub trait Policy {
    /// Asks for an id, and puts it if it was not there. Whether it was.
    ///
    /// A policy may refuse what is put: it is the next access that tells.
    fn access(&mut self, id: u32) -> bool;

    /// How many ids it holds now.
    fn len(&self) -> usize;

    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Replays a trace; how many accesses were hits.
///
/// `progress` is told now and then how many more accesses are done; the sum is all of them.
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

/// Accesses between two words on progress: a few milliseconds.
pub(crate) const TOLD_EVERY: usize = 1 << 15;
