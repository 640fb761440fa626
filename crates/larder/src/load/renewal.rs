//! How long a lease lives, and keeping it alive while its loader runs.
//!
//! A lease that lives as long as its load may take keeps all others waiting that long after its
//! process was killed. So it is short, and the load renews it: by `retime`, which keeps the version,
//! so that the commit's expectation stays the same. A record that dies before its load has ended is
//! replaced by a lease meanwhile, or the result would have nothing to be written over.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder_core::{BoxFuture, Expect, Header, Key, Kind, Outcome, Times};

use crate::event::Event;
use crate::key::CacheKey;
use crate::load::lease::{Lease, OwnLease, Successor};
use crate::load::run::{Fence, Ready};
use crate::runtime::{Sleep, before};
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
    /// Keeps the load's lease alive, and never ends; none if there is nothing to do meanwhile.
    pub(crate) fn renewal(&self) -> Option<BoxFuture<'_, ()>> {
        let Fence::Lease(key, lease) = &self.fence else { return None };
        let shared = self.errand.inner.shared.as_ref()?;
        let own = lease.own.as_ref().filter(|own| own.term.is_renewed);
        if own.is_none() && lease.successor.is_none() {
            return None;
        }
        Some(Box::pin(async move {
            let renewed = async {
                match own {
                    Some(own) => self.renew(shared, own).await,
                    None => pending().await,
                }
            };
            let Some(successor) = &lease.successor else { return renewed.await };
            let clock = self.errand.inner.clock();
            let wait = successor.at.since(clock.now());
            before(Sleep::new(clock, wait), renewed).await;
            self.succeed(shared, key, lease, successor).await;
        }))
    }

    /// Replaces the record before it dies, so that the result has something to be written over.
    async fn succeed(
        &self,
        shared: &Arc<Shared<V>>,
        key: &Key,
        lease: &Lease,
        successor: &Successor,
    ) {
        successor.is_sent.store(true, Ordering::SeqCst);
        let (record, expect) = (successor.record.clone(), lease.expect.clone());
        let outcome = shared.authority.write(key, record, expect).await;
        successor.is_answered.store(!matches!(outcome, Outcome::Unknown(_)), Ordering::SeqCst);
        match outcome {
            Outcome::Done | Outcome::Unknown(_) => {}
            // A change has taken the record, or it is dead already.
            Outcome::Refused(_) => return pending().await,
            Outcome::Failed(error) => {
                self.errand.inner.tell(&Event::SharedFailed(error));
                return pending().await;
            }
        }
        // Who waits beside the record waits for this lease from now on.
        if let Some(own) = &lease.own {
            let expect = Expect::Version(own.version, None);
            let _ = shared.authority.delete(&own.key, expect).await;
        }
        self.renew(shared, &successor.lease(key)).await;
    }

    async fn renew(&self, shared: &Shared<V>, own: &OwnLease) {
        let clock = self.errand.inner.clock();
        let times = Times::new(Duration::ZERO, own.term.length);
        let lease = Header::new(Kind::Lease, own.version, times);
        let end = clock.now().after(LONGEST_LOAD);
        loop {
            Sleep::new(clock, lease.times.kept_for / 3).await;
            if clock.now() >= end {
                return pending().await;
            }
            match shared.authority.retime(&own.key, &lease, lease.times).await {
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
