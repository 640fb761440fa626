//! Options of an entry that is written.

use std::sync::Arc;
use std::time::Duration;

use crate::options::Ttl;

/// Options of an entry that is written. An option that is not set is as the cache was built.
///
/// ```
/// use std::time::Duration;
/// use larder::EntryOptions;
///
/// let options = EntryOptions::new().ttl(Duration::from_secs(30)).tags(["users", "team:7"]);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EntryOptions {
    pub(super) ttl: Ttl,
    pub(super) grace: Option<Duration>,
    pub(super) tags: Vec<Arc<str>>,
}

impl EntryOptions {
    /// Options as the cache was built, without tags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Time to live: the time for which the entry is fresh.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Time after the ttl for which the entry is kept, stale.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Tags of the entry: other names than its key by which it can be invalidated.
    pub fn tags<T: Into<Arc<str>>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }
}

impl From<Duration> for EntryOptions {
    fn from(ttl: Duration) -> Self {
        Self::new().ttl(ttl)
    }
}

impl From<Ttl> for EntryOptions {
    fn from(ttl: Ttl) -> Self {
        Self::new().ttl(ttl)
    }
}
