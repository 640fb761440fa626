//! One history: a seed decides all its steps.

use std::fmt;
use std::sync::Arc;

use fastrand::Rng;
use larder_core::{
    Backend as _, Class, Codec as _, Delete, Expect, Key, Kind, Namespace, Record, Scanned,
};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::codec::MessagePack;
use crate::key::CacheKey as _;
use crate::simulation::executor::idle;
use crate::simulation::gate::{Order, Place};
use crate::simulation::mix::{Mix, Verb};
use crate::simulation::oracle::Oracle;
use crate::simulation::world::{Call, Loader, TAG, World};

/// The violation of a rule in a history.
pub(super) struct Violation {
    pub(super) seed: u64,
    mix: &'static str,
    what: String,
    log: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mix {}, seed {}: {}", self.mix, self.seed, self.what)?;
        self.log.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// Runs a history. Returns the number of its steps.
pub(super) async fn run(mix: Mix, seed: u64, oracle: Oracle) -> Result<u32, Violation> {
    // The product's own random numbers follow the seed as well.
    crate::support::random::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let plan = mix.plan(&mut rng);
    let world = World::new(plan, oracle).expect("the plans are valid");
    let mut history = History { rng, world: Arc::new(world), callers: Vec::new(), steps: 0 };
    history.go().await;
    let mut oracle = history.world.oracle();
    match oracle.violation() {
        None => Ok(history.steps),
        Some(what) => Err(Violation { seed, mix: mix.name, what, log: oracle.log() }),
    }
}

struct History {
    rng: Rng,
    world: Arc<World>,
    callers: Vec<AbortHandle>,
    steps: u32,
}

/// A step that the scheduler may take next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Release(usize, Place),
    Lose,
    Arrive,
    Wait,
    Drop,
    Forget,
}

impl History {
    async fn go(&mut self) {
        let mut left = self.world.plan.operations;
        let is_tagged = self.world.plan.is_tagged;
        self.world.oracle().note(|| format!("tagged: {is_tagged}"));
        if self.world.plan.is_warm {
            self.world.gates.open();
            let node = self.rng.usize(0..2);
            self.start(Call {
                verb: Verb::Load,
                node,
                key: 1,
                loader: Loader::Loads,
                is_untagged: false,
                soft_timeout: None,
            });
            idle().await;
            self.world.gates.close();
        }
        loop {
            idle().await;
            self.steps += 1;
            if alive() == 0 {
                self.world.oracle().settle();
            }
            if self.world.oracle().violation().is_some() {
                return self.finish_quietly().await;
            }
            let Some(step) = self.choose(left) else { break };
            if !matches!(step, Step::Release(..)) {
                self.world.oracle().note(|| format!("{step:?}"));
            }
            match step {
                Step::Start => {
                    left -= 1;
                    let call = self.call();
                    self.start(call);
                }
                Step::Release(index, place) => self.release(index, place),
                Step::Lose => self.lose().await,
                Step::Arrive => {
                    let index = self.rng.usize(0..self.world.remote.late());
                    self.world.remote.arrive(index).await;
                }
                Step::Wait => {
                    if let Some(duration) = self.world.plan.step(&mut self.rng) {
                        self.world.oracle().note(|| format!("{duration:?} pass"));
                        self.world.remote.pass(duration).await;
                    }
                }
                Step::Forget => self.world.nodes[self.rng.usize(0..2)].forget_tags(),
                Step::Drop => {
                    let index = self.rng.usize(0..self.callers.len());
                    self.callers.swap_remove(index).abort();
                }
            }
        }
        self.finish().await;
    }

    /// Chooses the next step, by weight. None if no step is left.
    fn choose(&mut self, left: u32) -> Option<Step> {
        let plan = &self.world.plan;
        let mut steps = Vec::with_capacity(16);
        if left > 0 {
            steps.push((Step::Start, plan.start_weight * 2));
        }
        for (index, place) in self.world.gates.parked().into_iter().enumerate() {
            let weight = match place {
                // A slow loader has read its source long before it returns.
                Place::Source if !plan.mix.is_slow() => plan.loader_weight,
                Place::Return => plan.loader_weight,
                _ => plan.call_weight * 2,
            };
            steps.push((Step::Release(index, place), weight));
        }
        if steps.is_empty() {
            return None;
        }
        if self.world.remote.late() > 0 {
            steps.push((Step::Arrive, 2));
        }
        if plan.loses_records {
            steps.push((Step::Lose, 1));
        }
        if plan.mix.has_tag_lives() {
            steps.push((Step::Forget, 1));
        }
        if plan.mix.has_time() || plan.waits_for_leases {
            steps.push((Step::Wait, 2));
        }
        if plan.drops_callers && !self.callers.is_empty() {
            steps.push((Step::Drop, 1));
        }
        let sum = steps.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.rng.u32(0..sum);
        steps.into_iter().find_map(|(step, weight)| {
            let is_drawn = drawn < weight;
            drawn = drawn.wrapping_sub(weight);
            is_drawn.then_some(step)
        })
    }

    fn call(&mut self) -> Call {
        let (rng, plan) = (&mut self.rng, &self.world.plan);
        let loader = match rng.f64() {
            chance if chance < 0.3 && plan.loaders_fail => Loader::Fails,
            chance if chance < 0.45 && plan.loaders_hang => Loader::Hangs,
            chance if chance < 0.6 => Loader::Compares,
            chance if chance < 0.7 && !plan.absent_ttl.is_zero() => Loader::FindsNone,
            _ => Loader::Loads,
        };
        let node = usize::from(rng.f64() >= plan.first_node);
        let (verb, key) = (plan.verb(rng), rng.u64(1..=plan.keys));
        let soft_timeout = if rng.f64() < plan.impatient { plan.soft_timeout } else { None };
        let is_untagged = rng.f64() < plan.untagged;
        Call { verb, node, key, loader, is_untagged, soft_timeout }
    }

    fn start(&mut self, call: Call) {
        let task = tokio::spawn(Arc::clone(&self.world).run(call));
        if self.world.plan.drops_callers {
            self.callers.push(task.abort_handle());
        }
    }

    fn release(&mut self, index: usize, place: Place) {
        let is_faulty = self.world.plan.mix.has_faults() && self.rng.f64() < 0.07;
        let order = match place {
            Place::Read if is_faulty => Order::Fail,
            Place::Change if is_faulty => {
                self.rng.choice([Order::Fail, Order::Lose, Order::Late]).unwrap_or(Order::Fail)
            }
            Place::ReadAnswer | Place::ChangeAnswer if is_faulty => Order::Lose,
            _ if self.rng.bool() => Order::Go,
            _ => Order::Through,
        };
        self.world.oracle().note(|| format!("release {place:?}: {order:?}"));
        self.world.gates.release(index, order);
    }

    /// Loses a record that no node has deleted.
    async fn lose(&mut self) {
        let key = match self.rng.u32(0..8) {
            0 => mark(Class::Tag, TAG),
            1 => mark(Class::Sequence, ""),
            2 => mark(Class::Epoch, ""),
            3 => entry(1),
            4 => match self.lease_beside().await {
                Some(key) => key,
                None => return,
            },
            _ => {
                let key = entry(1);
                let there = self.world.remote.memory().read_one(&key).await;
                let is_lease = matches!(there, Ok(Some(there)) if there.header.kind == Kind::Lease);
                if !is_lease {
                    return;
                }
                key
            }
        };
        self.world.oracle().note(|| format!("{key:?} is lost"));
        let delete = Delete { key, expect: Expect::Any };
        drop(self.world.remote.memory().delete(&[delete]).await);
    }

    /// Lets all tasks end, and checks the final state.
    async fn finish(&mut self) {
        self.world.oracle().note(|| "the gates open".to_owned());
        self.finish_quietly().await;
        let world = Arc::clone(&self.world);
        if alive() > 0 {
            let left = alive();
            world.oracle().blame(|| format!("{left} tasks never end"));
        }
        for (node, cache) in world.nodes.iter().enumerate() {
            let flights = cache.flights();
            if flights > 0 {
                world.oracle().blame(|| format!("{flights} flights are left on node {node}"));
            }
        }
        for key in 1..=world.plan.keys {
            self.check_lease(key).await;
            for node in 0..2 {
                self.check_end(node, key, false).await;
            }
        }
        world.clock.advance(world.plan.bounds().key.max(world.plan.bounds().marks));
        for key in 1..=world.plan.keys {
            for node in 0..2 {
                self.check_end(node, key, true).await;
            }
        }
    }

    async fn finish_quietly(&mut self) {
        self.world.gates.open();
        for _ in 0..600 {
            idle().await;
            let late = self.world.remote.late();
            if late > 0 {
                self.world.remote.arrive(self.rng.usize(0..late)).await;
            } else if alive() == 0 {
                return;
            } else {
                self.world.remote.pass(std::time::Duration::from_millis(150)).await;
            }
        }
    }

    /// Checks that no lease is left without a load: it would keep other processes waiting.
    async fn check_lease(&self, key: u64) {
        let is_lease = self.there(key).await.is_some_and(|there| there.header.kind == Kind::Lease)
            || self.lease_beside().await.is_some();
        if is_lease && !self.world.plan.mix.has_faults() {
            self.world.oracle().blame(|| format!("a lease is left under {key}"));
        }
    }

    /// Returns a lease beside some version.
    async fn lease_beside(&self) -> Option<Key> {
        let namespace = Namespace::new("larder").expect("it is the default");
        let prefix = namespace.class_prefix(Class::Refresh);
        let page = self.world.remote.memory().scan(&prefix, None, 100).await.ok()?;
        let is_lease = |met: &Scanned| met.header.kind == Kind::Lease;
        page.records.into_iter().find(is_lease).map(|met| met.key)
    }

    /// Checks that a node's entry is the authority's, once the node had to compare; and before
    /// that, if the node itself has written the authority's entry.
    async fn check_end(&self, node: usize, key: u64, is_bound: bool) {
        let world = &self.world;
        let read = world.begin_read(node, key, false);
        let held = match world.nodes[node].get(&key).await {
            Ok(held) => held,
            Err(error) => {
                return world.oracle().blame(|| format!("the last read fails: {error:?}"));
            }
        };
        let there = self.there(key).await;
        let there = there.and_then(|there| MessagePack.decode(&there.payload).ok());
        let Some(held) = held else { return };
        world.oracle().note(|| format!("at the end node {node} holds {held} of {key}"));
        world.oracle().judge(read, held, world.plan.bounds());
        let mut oracle = world.oracle();
        let is_reliable = !world.plan.mix.has_faults();
        let is_own = there.is_some_and(|there| oracle.is_inserted_by(node, there));
        if (is_bound || (is_own && is_reliable)) && there != Some(held) {
            oracle.blame(|| format!("node {node} holds {held} of {key}, the authority {there:?}"));
        }
    }

    async fn there(&self, key: u64) -> Option<Record> {
        self.world.remote.memory().read_one(&entry(key)).await.ok().flatten()
    }
}

fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn entry(key: u64) -> Key {
    mark(Class::Entry, &key.to_text())
}

fn mark(class: Class, text: &str) -> Key {
    let namespace = Namespace::new("larder").expect("it is the default");
    Key::new(&namespace, class, text.as_bytes())
}
