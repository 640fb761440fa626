//! How far a change has got.

/// How far a change has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// At the authority and here: no later read on this cache yields what was there before. Other
    /// processes notice within their [`local_ttl`](crate::CacheBuilder::local_ttl) and
    /// [`tag_check`](crate::CacheBuilder::tag_check).
    Confirmed,
    /// Here only: the backend could not be reached. Other processes, and this one once the backend
    /// is back, may serve what was there before until its ttl. An [`Event`](crate::Event) says
    /// why. Without a backend: it could not be noted beside the
    /// [snapshot](crate::CacheBuilder::snapshot), which may bring back what was there before.
    Local,
}
