//! The length of a lease's life, and its renewal while the loader runs.
//!
//! A lease that lives as long as its load may take keeps all others waiting that long after its
//! process was killed. So a lease is short, and the load renews it with `retime`, which keeps the
//! version: the commit's expectation stays valid. A record that dies before its load has ended is
//! replaced by a lease in time. Otherwise the result would have nothing to be written over.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder_core::{BoxFuture, Expect, Header, Key, Kind, Outcome, Times};

use crate::key::CacheKey;
use crate::load::fence::{Fence, LONGEST_LOAD, Lease, OwnLease, Successor};
use crate::load::leader::Ready;
use crate::observe::event::Event;
use crate::support::runtime::{Sleep, before};
use crate::tier::shared::Shared;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Ready<K, V> {
    /// Keeps the load's lease alive, and never ends. None if there is nothing to keep alive.
    pub(crate) fn renewal(&self) -> Option<BoxFuture<'_, ()>> {
        let Fence::Lease(shared, key, lease) = &self.fence else { return None };
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
            let clock = self.leader.request.inner.clock();
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
        let outcome = shared.authority.remote.write(key, record, expect).await;
        successor.is_answered.store(!matches!(outcome, Outcome::Unknown(_)), Ordering::SeqCst);
        match outcome {
            Outcome::Done | Outcome::Unknown(_) => {}
            // A change has taken the record, or it is dead already.
            Outcome::Refused(_) => return pending().await,
            Outcome::Failed(error) => {
                self.leader.request.inner.tell(&Event::SharedFailed(error));
                return pending().await;
            }
        }
        // Callers that wait beside the record wait for this lease from now on.
        if let Some(own) = &lease.own {
            let expect = Expect::Version(own.version, None);
            let _ = shared.authority.remote.delete(&own.key, expect).await;
        }
        self.renew(shared, &successor.lease(key)).await;
    }

    async fn renew(&self, shared: &Shared<V>, own: &OwnLease) {
        let clock = self.leader.request.inner.clock();
        let times = Times::new(Duration::ZERO, own.term.length);
        let lease = Header::new(Kind::Lease, own.version, times);
        let end = clock.now().after(LONGEST_LOAD);
        loop {
            Sleep::new(clock, lease.times.kept_for / 3).await;
            if clock.now() >= end {
                return pending().await;
            }
            match shared.authority.remote.retime(&own.key, &lease, lease.times).await {
                Outcome::Done => {}
                // The lease has run out, or a change has taken it. The callers still get their
                // value.
                Outcome::Refused(_) => return pending().await,
                // The next renewal may come in time.
                Outcome::Failed(error) | Outcome::Unknown(error) => {
                    self.leader.request.inner.tell(&Event::SharedFailed(error));
                }
            }
        }
    }
}
