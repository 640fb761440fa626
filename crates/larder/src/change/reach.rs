//! Extent of a change.

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
