//! Loads by node: one version is loaded by one node, as long as no fault occurs.

use std::sync::Mutex;
use std::time::Duration;

use larder_core::Timestamp;

use crate::simulation::mix::{Plan, STALE};
use crate::simulation::oracle::{Moment, Node, Oracle};
use crate::support::sync::lock;

/// The loads over stale values whose loaders have succeeded.
#[derive(Default)]
pub(super) struct Loads(Mutex<Vec<Load>>);

/// A load over one version of a stale value.
pub(super) struct Load {
    node: Node,
    stale: u64,
    version: Option<Moment>,
    began: Timestamp,
}

impl Load {
    pub(super) fn new(oracle: &Oracle, node: Node, stale: u64, began: Timestamp) -> Self {
        Self { node, stale, version: oracle.value(stale).stored_at(), began }
    }
}

impl Loads {
    /// Adds a load whose loader has succeeded. Blames its node if another one has loaded the same
    /// version.
    ///
    /// The check applies only where no other step gives a value a new version while a load is about
    /// to begin.
    pub(super) fn note(&self, plan: &Plan, oracle: &mut Oracle, load: Load) {
        // A short lease runs out where its load is slow to begin.
        let is_lost = plan.loses_records || plan.lease_limit < LONG;
        // A caller that has waited for as long as its load may take loads itself.
        let is_impatient = plan.hard_timeout < LONG;
        if plan.mix.name != STALE.name || !plan.waits_for_leases || is_lost || is_impatient {
            return;
        }
        let mut loads = lock(&self.0);
        let is_again = loads.iter().any(|other| {
            other.node != load.node
                && (other.stale, other.version) == (load.stale, load.version)
                && load.began.since(other.began) < LONG / 3
        });
        if is_again {
            let Load { node, stale, .. } = load;
            oracle.blame(|| format!("node {node} loads over {stale} as another has done"));
        }
        loads.push(load);
    }
}

/// The life of a lease that does not run out in a history.
const LONG: Duration = Duration::from_secs(60);
