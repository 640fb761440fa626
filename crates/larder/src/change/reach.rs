//! Extent of a change.

use larder_core::{Error, ErrorKind, Outcome, Result};

use crate::inner::Inner;
use crate::key::CacheKey;
use crate::observe::event::Event;

/// Extent of a change: confirmed at the authority, or made in this process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Done at the authority and here: no later read here yields the earlier value. Other processes
    /// notice within their [`local_ttl`](crate::CacheBuilder::local_ttl) and
    /// [`tag_check`](crate::CacheBuilder::tag_check).
    Confirmed,
    /// Done here only: the backend could not be reached. Other processes, and this one once the
    /// backend is back, may serve the earlier value until its ttl. An [`Event`](crate::Event) gives
    /// the reason. Without a backend: the change could not be noted beside the
    /// [snapshot](crate::CacheBuilder::snapshot), which may bring back the earlier value.
    Local,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Reports a change that the authority did not confirm.
    pub(super) fn unreached(&self, error: Error) -> Result<Reach> {
        self.tell(&Event::NotConfirmed(error.clone()));
        if self.stack.is_strict() { Err(error) } else { Ok(Reach::Local) }
    }
}

/// Returns the reason why the authority has not confirmed an unconditional change.
pub(super) fn lost(outcome: Outcome) -> Option<Error> {
    match outcome {
        Outcome::Done => None,
        Outcome::Refused(_) => Some(refused()),
        Outcome::Failed(error) | Outcome::Unknown(error) => Some(error),
    }
}

/// A backend that refused an unconditional change has not made it, whatever its reason.
pub(super) fn refused() -> Error {
    Error::new(ErrorKind::Unavailable, "change", "the backend refused an unconditional change")
}
