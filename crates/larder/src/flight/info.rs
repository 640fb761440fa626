//! The state by which callers judge a flight: its leader, and the marks and tags at the leader's
//! arrival.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_core::{Life, NEVER, TagVersion, Timestamp};

use crate::flight::chain::{Link, Waiting};
use crate::flight::flights::Meet;
use crate::support::mutation::{self, Rule};
use crate::support::runtime::{Notify, RuntimeId};
use crate::tier::marks::here::{Generation, Marks};

/// The state by which callers judge a flight, and the messages of its loader meanwhile.
pub(crate) struct FlightInfo {
    pub(crate) kind: FlightKind,
    pub(crate) link: Link,
    /// Tags that the loader named before it read its source.
    pub(crate) early_tags: Mutex<Vec<EarlyTags>>,
    /// A notification that another load waits for this one: it must not wait for that one's permit.
    pub(crate) needed: Notify,
    /// The tags that are known beforehand, as they were at the leader's arrival.
    generation: Generation,
    /// True if the loader may add other tags: then a change of any tag counts.
    may_add_tags: bool,
    arrival: Arrival,
    limit: JoinLimit,
    /// True if the flight goes on without the authority, which can tell neither it nor another
    /// flight of changes.
    is_degraded: AtomicBool,
    /// The wait for the older flight whose place this one took, which may have the key's lease.
    _waiting: Option<Waiting>,
}

/// The limits on the age at which callers may join a flight.
#[derive(Clone, Copy)]
pub(crate) struct JoinLimit {
    /// The time within which another process's change is noticed: an older flight tells too little.
    pub(crate) bound: Duration,
    /// The leader's hard timeout: an older flight may never end.
    pub(crate) hard_timeout: Duration,
}

/// The time, the marks and the caller at the moment when a caller arrived.
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
    /// The tags' versions at the authority; none where there is no authority, or it did not answer.
    pub(crate) versions: Option<Vec<TagVersion>>,
}

/// The place that a caller asks from.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The caller's runtime, if that runs all its tasks on one thread.
    runtime: Option<RuntimeId>,
    /// True if the caller blocks its thread meanwhile.
    blocks: bool,
    /// The load that the caller runs inside, if any.
    load: Option<Link>,
}

impl Caller {
    /// Describes a task.
    pub(crate) fn task() -> Self {
        Self::new(false)
    }

    /// Describes code that blocks its thread.
    pub(crate) fn blocking() -> Self {
        Self::new(true)
    }

    fn new(blocks: bool) -> Self {
        Self { runtime: crate::support::runtime::single_threaded(), blocks, load: Link::current() }
    }
}

/// The work of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightKind {
    /// The flight copies from the shared tier.
    Fill,
    /// The flight runs a loader.
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

    /// Returns this flight in the place of `older`. Over a backend it may wait for the lease of the
    /// older one, so a loader that waits for this flight waits for the older one as well.
    pub(crate) fn after(self, older: &Self) -> Self {
        let has_leases = self.limit.bound != NEVER;
        let waiting = has_leases.then(|| self.link.wait_for(&older.link).ok()).flatten();
        Self { _waiting: waiting, ..self }
    }

    /// Returns the start of the flight: all its reads are asked for later.
    pub(crate) const fn began(&self) -> Timestamp {
        self.arrival.at
    }

    /// True if a caller that arrives now may join: no hard or soft change has happened since.
    pub(crate) fn is_valid(&self, now: &Arrival, marks: &Marks) -> bool {
        let is_tagged_as_before = !self.may_add_tags || self.arrival.tag_changes == now.tag_changes;
        let is_unmarked =
            self.arrival.epoch == now.epoch && marks.life(&self.generation) == Life::Fresh;
        !mutation::holds(Rule::JoinValid) || (is_tagged_as_before && is_unmarked)
    }

    /// True if the flight is young enough to answer a caller that arrives now. A caller of the same
    /// moment always may join: the flight has read nothing yet.
    fn is_young(&self, now: &Arrival) -> bool {
        let age = now.at.since(self.began());
        let is_young = age.is_zero() || age < self.limit.bound;
        is_young || self.is_degraded.load(Ordering::SeqCst) || !mutation::holds(Rule::JoinYoung)
    }

    /// Notes that the authority cannot be reached: another flight would tell no more.
    pub(crate) fn degrade(&self) {
        self.is_degraded.store(true, Ordering::SeqCst);
    }

    /// True if the leader has used up its own time. A runtime that nobody drives keeps such a
    /// flight for ever.
    fn is_over(&self, now: &Arrival) -> bool {
        let age = now.at.since(self.began());
        !age.is_zero() && age >= self.limit.hard_timeout
    }

    /// True if the loader runs on its caller's thread.
    pub(crate) fn blocks(&self) -> bool {
        self.arrival.caller.blocks
    }

    /// True if the leader keeps a runtime's only thread from running meanwhile.
    pub(crate) fn blocks_a_runtime(&self) -> bool {
        self.blocks() && self.arrival.caller.runtime.is_some()
    }

    /// Decides for a load that meets this flight. A fill is replaced: it has no answer for a load.
    pub(crate) fn met_by_load(&self, now: &Arrival, marks: &Marks) -> Meet {
        match self.kind {
            FlightKind::Load if self.is_joined(now, marks) => Meet::Follow,
            _ => Meet::Replace,
        }
    }

    /// Decides for a `get` that meets this flight: a `get` does not wait for loaders.
    pub(crate) fn met_by_get(&self, now: &Arrival, marks: &Marks) -> Meet {
        match self.kind {
            FlightKind::Load => Meet::Leave,
            FlightKind::Fill if self.is_joined(now, marks) => Meet::Follow,
            FlightKind::Fill => Meet::Replace,
        }
    }

    fn is_joined(&self, now: &Arrival, marks: &Marks) -> bool {
        // A load that waits for itself gets that error, however old its flight is.
        let is_in_time = (self.is_young(now) && !self.is_over(now)) || self.runs(&now.caller);
        is_in_time && self.is_valid(now, marks) && !self.needs_thread_of(&now.caller)
    }

    /// True if the caller runs inside this load, or inside one that it waits for.
    fn runs(&self, caller: &Caller) -> bool {
        caller.load.as_ref().is_some_and(|load| self.link.waits_for(load))
    }

    /// True if the flight cannot go on while that caller blocks its thread. A load that the caller
    /// runs inside is no such flight: waiting for that one is an error of its own.
    fn needs_thread_of(&self, caller: &Caller) -> bool {
        let leader = &self.arrival.caller;
        let is_one_thread = caller.runtime.is_some() && caller.runtime == leader.runtime;
        let is_stuck = is_one_thread && caller.blocks && !leader.blocks;
        is_stuck && !self.runs(caller)
    }

    /// Decides for a refresh that meets this flight: one load is enough.
    pub(crate) fn met_by_refresh(&self, now: &Arrival, marks: &Marks) -> Meet {
        match (self.is_valid(now, marks) && !self.is_over(now), self.kind) {
            (true, FlightKind::Load) => Meet::Leave,
            _ => Meet::Replace,
        }
    }
}
