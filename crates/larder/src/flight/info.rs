//! What a flight is judged by: what held at its leader's arrival, and who that was.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_core::{Life, NEVER, TagVersion, Timestamp};

use crate::flight::chain::{Link, Waiting};
use crate::flight::flights::Meet;
use crate::support::rule::{Rule, holds};
use crate::support::runtime::{Notify, RuntimeId};
use crate::tier::marks::here::{Generation, Marks};

/// What a flight is judged by, and what its loader says meanwhile.
pub(crate) struct FlightInfo {
    pub(crate) kind: FlightKind,
    pub(crate) link: Link,
    /// Tags that the loader named before it read its source.
    pub(crate) early_tags: Mutex<Vec<EarlyTags>>,
    /// Told when another load waits for this one: it must not wait for that one's permit.
    pub(crate) needed: Notify,
    /// The tags that are known beforehand, at the leader's arrival.
    generation: Generation,
    /// Whether others may turn up: then a change of any tag counts.
    may_add_tags: bool,
    arrival: Arrival,
    limit: JoinLimit,
    /// Whether it goes on without the authority, which cannot tell it or another flight of changes.
    is_degraded: AtomicBool,
    /// The wait for the older flight whose place it took, which may hold the key's lease.
    _waiting: Option<Waiting>,
}

/// How long callers may join a flight.
#[derive(Clone, Copy)]
pub(crate) struct JoinLimit {
    /// Another process's change is noticed within this time: a flight that is older tells too little.
    pub(crate) bound: Duration,
    /// The leader's hard timeout: a flight that is older may never end.
    pub(crate) hard_timeout: Duration,
}

/// What held when a caller arrived.
#[derive(Clone)]
pub(crate) struct Arrival {
    at: Timestamp,
    epoch: u32,
    tag_changes: u64,
    caller: Caller,
}

/// Tags as they were at one moment of a load.
pub(crate) struct EarlyTags {
    pub(crate) generation: Generation,
    /// Their versions at the authority; none where there is no authority, or it did not tell.
    pub(crate) versions: Option<Vec<TagVersion>>,
}

/// From where a caller asks.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Its runtime, if that runs all its tasks on one thread.
    runtime: Option<RuntimeId>,
    /// Whether it blocks its thread meanwhile.
    blocks: bool,
    /// The load that it runs inside, if any.
    load: Option<Link>,
}

impl Caller {
    /// A task.
    pub(crate) fn task() -> Self {
        Self::new(false)
    }

    /// Code that blocks its thread.
    pub(crate) fn blocking() -> Self {
        Self::new(true)
    }

    fn new(blocks: bool) -> Self {
        Self { runtime: crate::support::runtime::single_threaded(), blocks, load: Link::current() }
    }
}

/// What a flight does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightKind {
    /// It copies from the shared tier.
    Fill,
    /// It runs a loader.
    Load,
}

impl Arrival {
    pub(crate) fn new(at: Timestamp, marks: &Marks, caller: Caller) -> Self {
        Self { at, epoch: marks.epoch(), tag_changes: marks.tag_changes(), caller }
    }
}

impl FlightInfo {
    pub(crate) fn new(
        kind: FlightKind,
        arrival: Arrival,
        generation: Generation,
        may_add_tags: bool,
        limit: JoinLimit,
    ) -> Self {
        Self {
            kind,
            link: Link::default(),
            early_tags: Mutex::default(),
            needed: Notify::new(),
            generation,
            may_add_tags,
            arrival,
            limit,
            is_degraded: AtomicBool::new(false),
            _waiting: None,
        }
    }

    /// The same flight in the place of `older`. Over a backend it may wait for the lease of that
    /// one, so a loader that waits for this flight waits for that one as well.
    pub(crate) fn after(self, older: &Self) -> Self {
        let has_leases = self.limit.bound != NEVER;
        let waiting = has_leases.then(|| self.link.wait_for(&older.link).ok()).flatten();
        Self { _waiting: waiting, ..self }
    }

    /// When the flight began: all that it reads, it asks for later.
    pub(crate) const fn began(&self) -> Timestamp {
        self.arrival.at
    }

    /// Whether a caller that arrives now may join: nothing hard or soft has happened since.
    pub(crate) fn is_valid(&self, now: &Arrival, marks: &Marks) -> bool {
        let is_tagged_as_before = !self.may_add_tags || self.arrival.tag_changes == now.tag_changes;
        let is_unmarked =
            self.arrival.epoch == now.epoch && marks.life(&self.generation) == Life::Fresh;
        !holds(Rule::JoinValid) || (is_tagged_as_before && is_unmarked)
    }

    /// Whether the flight may still answer a caller who arrives now. One of the same moment always
    /// may: it has read nothing yet.
    fn is_young(&self, now: &Arrival) -> bool {
        let age = now.at.since(self.began());
        let is_young = age.is_zero() || age < self.limit.bound;
        is_young || self.is_degraded.load(Ordering::SeqCst) || !holds(Rule::JoinYoung)
    }

    /// Notes that the authority cannot be reached: another flight would tell no more.
    pub(crate) fn degrade(&self) {
        self.is_degraded.store(true, Ordering::SeqCst);
    }

    /// Whether the leader has used up its own time. A runtime that nobody drives keeps such a flight
    /// for ever.
    fn is_over(&self, now: &Arrival) -> bool {
        let age = now.at.since(self.began());
        !age.is_zero() && age >= self.limit.hard_timeout
    }

    /// Whether its loader runs on its caller's thread.
    pub(crate) fn blocks(&self) -> bool {
        self.arrival.caller.blocks
    }

    /// Whether its leader keeps a runtime's only thread from running meanwhile.
    pub(crate) fn blocks_a_runtime(&self) -> bool {
        self.blocks() && self.arrival.caller.runtime.is_some()
    }

    /// What a load makes of a flight that it meets: who only looks has no answer for it.
    pub(crate) fn met_by_load(&self, now: &Arrival, marks: &Marks) -> Meet {
        match self.kind {
            FlightKind::Load if self.is_joined(now, marks) => Meet::Follow,
            _ => Meet::Replace,
        }
    }

    /// What a `get` makes of it: it does not wait for loaders.
    pub(crate) fn met_by_get(&self, now: &Arrival, marks: &Marks) -> Meet {
        match self.kind {
            FlightKind::Load => Meet::Leave,
            FlightKind::Fill if self.is_joined(now, marks) => Meet::Follow,
            FlightKind::Fill => Meet::Replace,
        }
    }

    fn is_joined(&self, now: &Arrival, marks: &Marks) -> bool {
        // A load that waits for itself is told so, however old its flight is.
        let is_in_time = (self.is_young(now) && !self.is_over(now)) || self.runs(&now.caller);
        is_in_time && self.is_valid(now, marks) && !self.needs_thread_of(&now.caller)
    }

    /// Whether that caller runs inside this load, or inside one that it waits for.
    fn runs(&self, caller: &Caller) -> bool {
        caller.load.as_ref().is_some_and(|load| self.link.waits_for(load))
    }

    /// Whether it stands still while that caller blocks its thread. A load that the caller runs
    /// inside is no such flight: to wait for it is an error of its own.
    fn needs_thread_of(&self, caller: &Caller) -> bool {
        let leader = &self.arrival.caller;
        let is_one_thread = caller.runtime.is_some() && caller.runtime == leader.runtime;
        let is_stuck = is_one_thread && caller.blocks && !leader.blocks;
        is_stuck && !self.runs(caller)
    }

    /// What a refresh makes of it: one is enough.
    pub(crate) fn met_by_refresh(&self, now: &Arrival, marks: &Marks) -> Meet {
        match (self.is_valid(now, marks) && !self.is_over(now), self.kind) {
            (true, FlightKind::Load) => Meet::Leave,
            _ => Meet::Replace,
        }
    }
}
