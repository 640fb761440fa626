//! A model of the local tier around the flights, composed as the product composes it.

use std::collections::BTreeMap;
use std::panic::resume_unwind;

use shuttle::future::block_on;

use crate::flaw::Flaw;
use crate::flight::{Flights, Follower, Join, Meet, Ticket};
use crate::log::Log;
use crate::marks::Marks;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use crate::sync::{Arc, Mutex, lock, thread};
use crate::tag::Seen;
use crate::wait::{FirstWaker, step};

pub(crate) type Key = u32;

/// Every key has it, so that they share a stripe and a place in its table.
const HASH: u64 = 7;

/// Where a value comes from: the source, which had this number, or an insert of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Loaded(u64),
    Inserted(usize),
}

/// When a load knows the tag of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tagged {
    Never,
    Before,
    Late,
}

/// How a loader behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loader {
    Steady,
    Slow,
    Panics,
    PanicsInStore,
}

/// What a joiner judges a flight by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    epoch: u32,
    tag_changes: u64,
}

/// What a loader that is meant to panic panics with.
pub(crate) struct Expected;

#[derive(Clone)]
struct Entry {
    value: Value,
    seen: Seen,
    expired: bool,
}

pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) marks: Marks,
    flights: Arc<Flights<Key, Value, Info>>,
    engine: Mutex<BTreeMap<Key, Entry>>,
    authority: Mutex<BTreeMap<Key, Value>>,
    source: AtomicU64,
    loads: AtomicUsize,
    tagged: Tagged,
    flaw: Option<Flaw>,
}

impl World {
    pub(crate) fn new(tagged: Tagged, flaw: Option<Flaw>) -> Arc<Self> {
        Arc::new(Self {
            log: Log::default(),
            marks: Marks::new(flaw),
            flights: Arc::new(Flights::new(1)),
            engine: Mutex::new(BTreeMap::new()),
            authority: Mutex::new(BTreeMap::new()),
            source: AtomicU64::new(0),
            loads: AtomicUsize::new(0),
            tagged,
            flaw,
        })
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(crate) fn loads(&self) -> usize {
        self.loads.load(SeqCst)
    }

    /// How many keys the table of flights still knows.
    pub(crate) fn seats(&self) -> usize {
        self.flights.seats()
    }

    // Reading.

    /// Looks, and loads what is missing. Fails the schedule when the answer is too old.
    pub(crate) async fn read(&self, key: Key, loader: Loader) {
        let asked = self.log.ask(key);
        let value = self.get_with(key, loader).await;
        self.log.judge(&asked, value, "read");
    }

    async fn get_with(&self, key: Key, loader: Loader) -> Value {
        loop {
            if let Some(value) = self.look(key) {
                return value;
            }
            match self.join(key) {
                Join::Lead(ticket) => return self.lead(ticket, key, loader).await,
                Join::Follow(follower) => {
                    if let Some(value) = self.follow(follower).await {
                        return value;
                    }
                }
                Join::Left => unreachable!("nobody asks to leave a flight"),
            }
        }
    }

    /// Reads as the product's async callers do, who follow a load that runs beside them.
    pub(crate) async fn read_detached(self: &Arc<Self>, key: Key) {
        let asked = self.log.ask(key);
        let value = match self.join(key) {
            Join::Lead(ticket) => {
                let follower = ticket.follow();
                let world = Arc::clone(self);
                thread::spawn(move || block_on(world.lead(ticket, key, Loader::Steady)));
                self.follow(follower).await
            }
            Join::Follow(follower) => self.follow(follower).await,
            Join::Left => unreachable!("nobody asks to leave a flight"),
        };
        let value = value.expect("a load of its own always lands");
        self.log.judge(&asked, value, "detached read");
    }

    /// Joins as a follower with little patience does, who takes what the leader holds out.
    pub(crate) async fn read_impatiently(&self, key: Key) {
        let asked = self.log.ask(key);
        let Join::Follow(mut follower) = self.join(key) else { return };
        let value = match crate::wait::for_polls(2, &mut follower).await {
            Some(landed) => landed,
            None => follower.offered(),
        };
        if let Some(value) = value {
            self.log.judge(&asked, value, "impatient read");
        }
    }

    /// Runs only if nobody else does: a refresh behind the callers' backs.
    pub(crate) async fn refresh(&self, key: Key) {
        let join = self.flights.join(HASH, &key, |key| *key, self.info(), |_| Meet::Leave);
        if let Join::Lead(ticket) = join {
            let seen = self.see();
            let value = self.load(key, Loader::Steady).await;
            self.publish(ticket, value, |value| self.put(key, *value, seen.clone()));
        }
    }

    fn join(&self, key: Key) -> Join<Key, Value, Info> {
        let info = self.info();
        self.flights.join(
            HASH,
            &key,
            |key| *key,
            info,
            |held| {
                if *held == info || self.has(Flaw::FollowAlways) {
                    Meet::Follow
                } else {
                    Meet::Replace
                }
            },
        )
    }

    async fn follow(&self, follower: Follower<Value, Info>) -> Option<Value> {
        if self.has(Flaw::FirstWakerKept) {
            return crate::wait::polled_before(FirstWaker::new(follower)).await;
        }
        crate::wait::polled_before(follower).await
    }

    async fn lead(&self, ticket: Ticket<Key, Value, Info>, key: Key, loader: Loader) -> Value {
        let mut ticket = Duty { ticket: Some(ticket), forgotten: self.has(Flaw::TicketForgotten) };
        if let Some(value) = self.look(key).filter(|_| !self.has(Flaw::NoSecondLook)) {
            ticket.take().publish(value, |_| ());
            return value;
        }
        if let Some(stale) = self.stale(key) {
            ticket.held().offer(stale);
        }
        let before = self.marks.tag_changes();
        let mut seen = self.see();
        let value = self.load(key, loader).await;
        let mut storable = true;
        if self.tagged == Tagged::Late {
            let unchanged = self.marks.tag_changes() == before;
            seen = self.marks.add_tag(&seen);
            storable = match self.flaw {
                Some(Flaw::LateTagsUnchecked) => true,
                Some(Flaw::LateTagsReadLast) => unchanged,
                _ => self.marks.tag_changes() == before,
            };
        }
        self.publish(ticket.take(), value, |value| {
            if loader == Loader::PanicsInStore {
                resume_unwind(Box::new(Expected));
            }
            if storable {
                self.put(key, *value, seen);
            }
        });
        value
    }

    fn publish(&self, ticket: Ticket<Key, Value, Info>, value: Value, store: impl FnOnce(&Value)) {
        if self.has(Flaw::StoreAlways) {
            ticket.publish(value, |_| ());
            store(&value);
        } else {
            ticket.publish(value, store);
        }
    }

    async fn load(&self, key: Key, loader: Loader) -> Value {
        self.loads.fetch_add(1, SeqCst);
        step().await;
        if loader == Loader::Panics {
            resume_unwind(Box::new(Expected));
        }
        let stored = lock(&self.authority).get(&key).copied();
        let value = stored.unwrap_or_else(|| Value::Loaded(self.source.load(SeqCst)));
        step().await;
        if loader == Loader::Slow {
            step().await;
            step().await;
        }
        value
    }

    // Changing.

    pub(crate) fn insert(&self, key: Key) {
        let change = self.begin(Some(key));
        let seen = self.see();
        self.change(key, || self.put(key, Value::Inserted(change), seen));
        self.log.end(change);
    }

    pub(crate) fn invalidate(&self, key: Key) {
        let change = self.begin(Some(key));
        self.change(key, || self.evict(key));
        self.log.end(change);
    }

    pub(crate) fn invalidate_all(&self) {
        let change = self.begin(None);
        self.marks.invalidate_all();
        self.log.end(change);
    }

    pub(crate) fn invalidate_tag(&self) {
        let change = self.begin(None);
        self.marks.invalidate_tag();
        self.log.end(change);
    }

    /// Changes a tag that no entry has.
    pub(crate) fn invalidate_other_tag(&self) {
        self.marks.invalidate_other_tag();
    }

    /// Writes to the authority first and fills the local tier after it.
    pub(crate) fn store(&self, key: Key) {
        let change = self.begin(Some(key));
        let seen = self.see();
        let mark = self.flights.begin_write(HASH, key);
        let value = Value::Inserted(change);
        lock(&self.authority).insert(key, value);
        mark.finish(|untouched| {
            if untouched || self.has(Flaw::FillTouched) {
                self.put(key, value, seen);
            } else {
                self.evict(key);
            }
        });
        self.log.end(change);
    }

    /// Writes to the authority and goes away before the last step. No promise is given; whoever
    /// cleans up after it drops the local copy.
    pub(crate) fn store_half(&self, key: Key) {
        let change = self.begin(Some(key));
        let mark = self.flights.begin_write(HASH, key);
        lock(&self.authority).insert(key, Value::Inserted(change));
        drop(mark);
        self.evict(key);
    }

    /// The key's life ends, which makes no loaded value wrong.
    pub(crate) fn expire(&self, key: Key) {
        self.flights.hold(HASH, || {
            if let Some(entry) = lock(&self.engine).get_mut(&key) {
                entry.expired = true;
            }
        });
    }

    /// Takes the entry away, as the engine itself does under pressure: under no lock but its own.
    pub(crate) fn evict(&self, key: Key) {
        lock(&self.engine).remove(&key);
    }

    fn begin(&self, key: Option<Key>) -> usize {
        let number = self.source.fetch_add(1, SeqCst) + 1;
        self.log.begin(key, number)
    }

    fn change(&self, key: Key, apply: impl FnOnce()) {
        match self.flaw {
            Some(Flaw::CutThenApply) => {
                self.flights.change(HASH, &key, || ());
                apply();
            }
            Some(Flaw::ApplyThenCut) => {
                apply();
                self.flights.change(HASH, &key, || ());
            }
            _ => self.flights.change(HASH, &key, apply),
        }
    }

    // The engine and the marks.

    /// Fails the schedule if the local copy is not what the authority has.
    pub(crate) fn compare(&self, key: Key) {
        let local = lock(&self.engine).get(&key).map(|entry| entry.value);
        let authority = lock(&self.authority).get(&key).copied();
        assert!(local.is_none() || local == authority, "{local:?} here, {authority:?} there");
    }

    fn look(&self, key: Key) -> Option<Value> {
        self.entry(key).filter(|entry| !entry.expired).map(|entry| entry.value)
    }

    fn stale(&self, key: Key) -> Option<Value> {
        self.entry(key).filter(|entry| entry.expired).map(|entry| entry.value)
    }

    fn entry(&self, key: Key) -> Option<Entry> {
        let mut engine = lock(&self.engine);
        let entry = engine.get_mut(&key)?;
        self.marks.settle(&mut entry.seen).then(|| entry.clone())
    }

    fn put(&self, key: Key, value: Value, seen: Seen) {
        lock(&self.engine).insert(key, Entry { value, seen, expired: false });
    }

    fn see(&self) -> Seen {
        if self.tagged == Tagged::Before {
            self.marks.see_tagged()
        } else {
            self.marks.see_untagged()
        }
    }

    fn info(&self) -> Info {
        Info { epoch: self.marks.epoch(), tag_changes: self.marks.tag_changes() }
    }
}

/// A ticket, or with the flaw one that nobody gives back.
struct Duty {
    ticket: Option<Ticket<Key, Value, Info>>,
    forgotten: bool,
}

impl Duty {
    fn held(&self) -> &Ticket<Key, Value, Info> {
        self.ticket.as_ref().expect("the duty is held until it is taken")
    }

    fn take(&mut self) -> Ticket<Key, Value, Info> {
        self.ticket.take().expect("the duty is taken once")
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take().filter(|_| self.forgotten) {
            std::mem::forget(ticket);
        }
    }
}
