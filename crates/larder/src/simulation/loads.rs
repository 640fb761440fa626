//! Who loads what: one version is loaded by one node, as long as nothing goes wrong.

use std::sync::Mutex;
use std::time::Duration;

use larder_core::Timestamp;

use crate::simulation::mix::{Plan, Verb};
use crate::simulation::oracle::{Node, Oracle};
use crate::simulation::world::Call;
use crate::sync::lock;

/// The loads over a stale value whose loaders have succeeded.
#[derive(Default)]
pub(super) struct Loads(Mutex<Vec<Load>>);

struct Load {
    node: Node,
    stale: u64,
    began: Timestamp,
}

impl Loads {
    /// A loader has succeeded. Blames the node if another one has loaded the same version.
    ///
    /// A value has one version unless its life was changed. A result with late tags may not be kept,
    /// and then the version is loaded again.
    pub(super) fn note(
        &self,
        plan: &Plan,
        oracle: &mut Oracle,
        call: Call,
        stale: u64,
        began: Timestamp,
    ) {
        let is_sure = plan.waits_for_leases && !plan.mix.has_faults() && !plan.loses_records;
        if !is_sure || call.verb == Verb::LoadLate || oracle.value(stale).is_renewed() {
            return;
        }
        let node = call.node;
        let mut loads = lock(&self.0);
        let is_same = |load: &&Load| {
            load.node != node && load.stale == stale && began.since(load.began) < RENEWED_AFTER
        };
        if loads.iter().any(|load| is_same(&load)) {
            oracle.blame(|| format!("node {node} loads over {stale} as another has done"));
        }
        loads.push(Load { node, stale, began });
    }
}

/// How long the shortest lease lives without having been renewed.
const RENEWED_AFTER: Duration = Duration::from_secs(1);
