//! Taking back a load's leases after the load has ended.
//!
//! The load's callers have their answer by then and do not wait: while the store is down, each step
//! takes as long as a call may. `close` waits for all steps.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Backend as _, Expect, Key, Outcome, Record, Times};

use crate::inner::Inner;
use crate::key::CacheKey;
use crate::load::fence::{Lease, OwnLease};
use crate::support::runtime::Sleep;
use crate::tier::shared::Shared;

/// How a load has ended, for the processes that wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The result is stored, or a change has taken the fence.
    Settled,
    /// The result is not kept: others load.
    Unstored,
    /// The load has failed. Callers that have waited for it share the failure, and the next load
    /// waits so long.
    Failed(Duration),
}

impl End {
    /// Returns how a load has ended, by the outcome of storing its result.
    pub(crate) const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done | Outcome::Refused(_) => Self::Settled,
            Outcome::Failed(_) | Outcome::Unknown(_) => Self::Unstored,
        }
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Takes back the load's leases at the authority.
    pub(crate) fn give_up(
        self: &Arc<Self>,
        shared: &Arc<Shared<V>>,
        key: &Key,
        lease: &Lease,
        end: End,
    ) {
        // A lease under the key is gone when the result lies over it.
        let own = lease.own.clone().filter(|own| end != End::Settled || own.key != *key);
        let successor = lease.sent_successor().filter(|_| end != End::Settled);
        let successor = successor.map(|successor| successor.lease(key));
        let leases: Vec<_> = own.into_iter().chain(successor).collect();
        self.take_back(shared, key, leases, end);
    }

    /// Takes back these leases.
    pub(crate) fn take_back(
        self: &Arc<Self>,
        shared: &Arc<Shared<V>>,
        key: &Key,
        leases: Vec<OwnLease>,
        end: End,
    ) {
        if leases.is_empty() {
            return;
        }
        // From now on, later loads here do not wait for these leases.
        let ended = shared.note_ended(leases.iter().map(|lease| lease.version).collect());
        let (shared, key) = (Arc::clone(shared), key.clone());
        // Without a runtime the leases end by themselves.
        let _ = self.spawn_behind(async move {
            let _ended = ended;
            for lease in &leases {
                shared.take_back(&key, lease, end).await;
            }
        });
    }
}

impl<V: Clone + 'static> Shared<V> {
    async fn take_back(&self, entry: &Key, lease: &OwnLease, end: End) {
        let expect = Expect::Version(lease.version, None);
        if let End::Failed(rest) = end {
            let failure = Record::absent(Times::new(rest, rest));
            let (key, expect) = if lease.key == *entry {
                (self.authority.remote.beside(entry, lease.version), Expect::Any)
            } else {
                (lease.key.clone(), expect.clone())
            };
            let outcome = self.authority.remote.write(&key, failure, expect).await;
            if outcome.is_done() && lease.key != *entry {
                return;
            }
        }
        // A lease that is not there has run out or been taken.
        let outcome = self.authority.remote.delete(&lease.key, expect.clone()).await;
        if !lease.is_answered && !outcome.is_done() {
            // The write of the lease may still be on its way.
            let settles_within = self.authority.remote.backend().capabilities().settles_within;
            Sleep::new(&self.authority.remote.clock, settles_within).await;
            let _ = self.authority.remote.delete(&lease.key, expect).await;
        }
    }
}
