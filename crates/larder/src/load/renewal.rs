//! How long a lease lives, and keeping it alive while its loader runs.
//!
//! A lease that lives as long as its load may take keeps all others waiting that long after its
//! process was killed. So it is short, and the load renews it: by `retime`, which keeps the version,
//! so that the commit's expectation stays the same.

use std::future::pending;
use std::time::Duration;

use larder_core::{BoxFuture, Expect, Header, Key, Kind, Outcome, Times};

use crate::event::Event;
use crate::key::CacheKey;
use crate::load::run::{Fence, Ready};
use crate::runtime::Sleep;
use crate::tier::shared::Shared;

/// The life of a new lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) length: Duration,
    /// Whether it is shorter than the load may take.
    pub(crate) is_renewed: bool,
}

impl Term {
    /// Of a load that may take so long, over a backend whose calls may.
    pub(crate) fn new(hard_timeout: Duration, backend: Duration, limit: Option<Duration>) -> Self {
        let load = hard_timeout.min(LONGEST_LOAD);
        let margin = backend.min(LONGEST_LOAD).saturating_add(MARGIN);
        let whole = load.saturating_add(margin);
        let Some(limit) = limit else { return Self { length: whole, is_renewed: false } };
        // Who waits as long as this load may take has half of that left once its process is dead.
        let length = margin.max(load / 2).min(limit).min(whole);
        Self { length, is_renewed: length < whole }
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Ready<K, V> {
    /// Keeps the load's lease alive, and never ends; none if the lease outlives the load by itself.
    pub(crate) fn renewal(&self) -> Option<BoxFuture<'_, ()>> {
        let Fence::Lease(key, lease) = &self.fence else { return None };
        let shared = self.errand.inner.shared.as_ref()?;
        let length = lease.renewed?;
        let Expect::Version(version, _) = lease.expect else { return None };
        let header = Header::new(Kind::Lease, version, Times::new(Duration::ZERO, length));
        Some(Box::pin(self.renew(shared, key, header)))
    }

    async fn renew(&self, shared: &Shared<V>, key: &Key, lease: Header) {
        let clock = self.errand.inner.clock();
        let end = clock.now().after(LONGEST_LOAD);
        loop {
            Sleep::new(clock, lease.times.kept_for / 3).await;
            if clock.now() >= end {
                return pending().await;
            }
            match shared.authority.retime(key, &lease, lease.times).await {
                Outcome::Done => {}
                // It has run out, or a change has taken it. The callers still get their value.
                Outcome::Refused(_) => return pending().await,
                // The next one may come in time.
                Outcome::Failed(error) | Outcome::Unknown(error) => {
                    self.errand.inner.tell(&Event::SharedFailed(error));
                }
            }
        }
    }
}

/// A lease outlives its load by the backend's timeout and this.
const MARGIN: Duration = Duration::from_secs(1);
/// A load without a hard timeout is fenced for this long: a lease that is lost must end some day.
const LONGEST_LOAD: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::NEVER;

    use super::Term;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_that_cannot_be_renewed_outlives_its_load() {
        for (hard_timeout, length) in [(30, 33), (600, 603), (u64::MAX, 3_603)] {
            let term = Term::new(secs(hard_timeout), secs(2), None);
            assert_eq!(term, Term { length: secs(length), is_renewed: false });
        }
    }

    #[test]
    fn a_lease_that_is_renewed_leaves_a_waiter_half_of_its_time() {
        for (hard_timeout, length) in [(30, 15), (100, 50), (600, 60), (4, 3)] {
            let term = Term::new(secs(hard_timeout), secs(2), Some(secs(60)));
            assert_eq!(term, Term { length: secs(length), is_renewed: true });
        }
        let limited = Term::new(NEVER, NEVER, Some(secs(2)));
        assert_eq!(limited, Term { length: secs(2), is_renewed: true });
    }

    #[test]
    fn a_lease_as_long_as_its_load_is_not_renewed() {
        let term = Term::new(Duration::ZERO, secs(2), Some(secs(60)));
        assert_eq!(term, Term { length: secs(3), is_renewed: false });
    }
}
