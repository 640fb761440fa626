//! A model of the local tier around the flights, composed as in the product.

use std::collections::BTreeMap;
use std::panic::resume_unwind;

use shuttle::future::block_on;

use crate::flaw::Flaw;
use crate::flight::flights::{Flights, Follower, Join, Meet, Ticket};
use crate::here::Generation;
use crate::log::Log;
use crate::marks::Marks;
use crate::support::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use crate::support::sync::{Arc, Mutex, lock, thread};
use crate::wait::{FirstWaker, step};

pub(crate) type Key = u32;

/// The hash of every key, so that all keys share a stripe and a place in its table.
const HASH: u64 = 7;

/// The origin of a value: the source, which had this number, or an insert of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Loaded(u64),
    Inserted(usize),
}

/// The time at which a load knows the tag of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tagged {
    Never,
    Before,
    Late,
}

/// The behaviour of a loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loader {
    Steady,
    Slow,
    Fails,
    Panics,
    PanicsInStore,
}

/// The data by which a joiner judges a flight. Changes of tags count where the flight may have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    epoch: u32,
    tag_changes: Option<u64>,
}

/// The outcome of a flight: a value that its loader made, or an earlier value, which is judged by
/// its marks again when a caller takes it.
#[derive(Clone)]
pub(crate) enum Landed {
    Loaded(Value),
    Found(Entry),
    Failed,
}

/// The panic of a loader that is meant to panic.
pub(crate) struct Expected;

#[derive(Clone)]
pub(crate) struct Entry {
    value: Value,
    generation: Generation,
    expired: bool,
}

pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) marks: Marks,
    flights: Arc<Flights<Key, Landed, Info>>,
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

    /// Returns the number of keys that the table of flights still has.
    pub(crate) fn seats(&self) -> usize {
        self.flights.len()
    }

    // Reading.

    /// Reads, and loads a missing value. Fails the schedule when the value is too old.
    pub(crate) async fn read(&self, key: Key, loader: Loader) {
        let asked = self.log.ask(key);
        if let Some(value) = self.get_with(key, loader).await {
            self.log.judge(&asked, value, "read");
        }
    }

    /// Returns the value, or none if the load has failed.
    async fn get_with(&self, key: Key, loader: Loader) -> Option<Value> {
        loop {
            if let Some(entry) = self.look(key) {
                return Some(entry.value);
            }
            dawdle(loader).await;
            let landed = match self.join(key) {
                Join::Lead(ticket) => Some(self.lead(ticket, key, loader).await),
                Join::Follow(follower) => self.follow(follower).await,
                Join::Left => unreachable!("nobody asks to leave a flight"),
            };
            match landed {
                Some(Landed::Failed) => return None,
                Some(landed) => {
                    if let Some(value) = self.take(landed) {
                        return Some(value);
                    }
                }
                None => {}
            }
        }
    }

    /// Reads as the product's async callers do: they follow a load that runs beside them.
    pub(crate) async fn read_detached(self: &Arc<Self>, key: Key) {
        let asked = self.log.ask(key);
        let landed = match self.join(key) {
            Join::Lead(ticket) => {
                let follower = ticket.follow();
                let world = Arc::clone(self);
                thread::spawn(move || block_on(world.lead(ticket, key, Loader::Steady)));
                self.follow(follower).await
            }
            Join::Follow(follower) => self.follow(follower).await,
            Join::Left => unreachable!("nobody asks to leave a flight"),
        };
        let landed = landed.expect("a load of its own always lands");
        if let Some(value) = self.take(landed) {
            self.log.judge(&asked, value, "detached read");
        }
    }

    /// Reads as a follower with little patience does, which takes the leader's offer.
    pub(crate) async fn read_impatiently(&self, key: Key) {
        let asked = self.log.ask(key);
        let Join::Follow(mut follower) = self.join(key) else { return };
        let landed = match crate::wait::for_polls(2, &mut follower).await {
            Some(landed) => landed,
            None => follower.offered(),
        };
        if let Some(value) = landed.and_then(|landed| self.take(landed)) {
            self.log.judge(&asked, value, "impatient read");
        }
    }

    /// Returns the value that a caller may take of a flight: an earlier value is judged by the
    /// marks of now.
    fn take(&self, landed: Landed) -> Option<Value> {
        match landed {
            Landed::Loaded(value) => Some(value),
            Landed::Found(mut entry) => {
                let is_alive = self.has(Flaw::TakenUnjudged) || self.marks.settle(&mut entry.generation);
                is_alive.then_some(entry.value)
            }
            Landed::Failed => None,
        }
    }

    /// Loads only if no load is under way: a refresh behind the callers' backs.
    pub(crate) async fn refresh(&self, key: Key) {
        let info = self.info();
        let join = self.flights.join(HASH, &key, |key| *key, |_| info, |_| Meet::Leave);
        if let Join::Lead(ticket) = join {
            let generation = self.see();
            let value = self.load(key, Loader::Steady).await;
            self.publish(ticket, Landed::Loaded(value), || self.put(key, value, generation));
        }
    }

    fn join(&self, key: Key) -> Join<Key, Landed, Info> {
        let info = self.info();
        self.flights.join(
            HASH,
            &key,
            |key| *key,
            |_| info,
            |held| {
                if *held == info || self.has(Flaw::FollowAlways) {
                    Meet::Follow
                } else {
                    Meet::Replace
                }
            },
        )
    }

    async fn follow(&self, follower: Follower<Landed, Info>) -> Option<Landed> {
        if self.has(Flaw::FirstWakerKept) {
            return crate::wait::polled_before(FirstWaker::new(follower)).await;
        }
        crate::wait::polled_before(follower).await
    }

    async fn lead(&self, ticket: Ticket<Key, Landed, Info>, key: Key, loader: Loader) -> Landed {
        let mut ticket = Duty { ticket: Some(ticket), forgotten: self.has(Flaw::TicketForgotten) };
        if let Some(found) = self.look(key).filter(|_| !self.has(Flaw::NoSecondLook)) {
            let landed = Landed::Found(found);
            dawdle(loader).await;
            ticket.take().publish(landed.clone(), |_| ());
            return landed;
        }
        let stale = self.stale(key);
        if let Some(stale) = &stale {
            ticket.held().offer(Landed::Found(stale.clone()));
        }
        let before = self.marks.tag_changes();
        let mut generation = self.see();
        let value = self.load(key, loader).await;
        if loader == Loader::Fails {
            let landed = stale.map_or(Landed::Failed, Landed::Found);
            ticket.take().publish(landed.clone(), |_| ());
            return landed;
        }
        let mut storable = true;
        if self.tagged == Tagged::Late {
            let unchanged = self.marks.tag_changes() == before;
            generation = self.marks.add_tag(&generation);
            storable = match self.flaw {
                Some(Flaw::LateTagsUnchecked) => true,
                Some(Flaw::LateTagsReadLast) => unchanged,
                _ => self.marks.tag_changes() == before,
            };
        }
        let landed = Landed::Loaded(value);
        self.publish(ticket.take(), landed.clone(), || {
            if loader == Loader::PanicsInStore {
                resume_unwind(Box::new(Expected));
            }
            if storable {
                self.put(key, value, generation);
            }
        });
        landed
    }

    fn publish(&self, ticket: Ticket<Key, Landed, Info>, landed: Landed, store: impl FnOnce()) {
        if self.has(Flaw::StoreAlways) {
            ticket.publish(landed, |_| ());
            store();
        } else {
            ticket.publish(landed, |_| store());
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
        dawdle(loader).await;
        value
    }

    // Changing.

    pub(crate) fn insert(&self, key: Key) {
        let change = self.begin(Some(key));
        let generation = self.see();
        self.change(key, || self.put(key, Value::Inserted(change), generation));
        self.log.end(change);
    }

    /// Inserts a value with the tag, even if the loads of this world do not know the tag.
    pub(crate) fn insert_tagged(&self, key: Key) {
        let change = self.begin(Some(key));
        let generation = self.marks.see_tagged();
        self.change(key, || self.put(key, Value::Inserted(change), generation));
        self.log.end(change);
    }

    /// Inserts if no value is there. Returns true if it inserted.
    pub(crate) fn insert_if_absent(&self, key: Key) -> bool {
        self.insert_where(key, Option::is_none)
    }

    /// Inserts if a value is there. Returns true if it inserted.
    pub(crate) fn replace(&self, key: Key) -> bool {
        self.insert_where(key, Option::is_some)
    }

    fn insert_where(&self, key: Key, wanted: fn(&Option<Value>) -> bool) -> bool {
        let change = self.begin(Some(key));
        let done = self.flights.change_if(HASH, &key, || {
            let before = self.see();
            let there = self.look_closer(key);
            let sees_late = match self.flaw {
                Some(Flaw::SeenBeforeJudged) => false,
                Some(Flaw::SeenAfterJudged) => true,
                _ => there.is_none(),
            };
            let generation = if sees_late { self.see() } else { before };
            wanted(&there).then(|| self.put(key, Value::Inserted(change), generation))
        });
        // A refused insert is no change: no reader has to notice it.
        done.map(|()| self.log.end(change)).is_some()
    }

    pub(crate) fn holds(&self, key: Key) -> bool {
        self.look(key).is_some()
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
        let change = match self.tagged {
            // The values of these loads have no tag.
            Tagged::Never => self.log.begin_inserted(),
            Tagged::Before | Tagged::Late => self.begin(None),
        };
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
        let generation = self.see();
        let mark = self.flights.begin_write(HASH, key);
        let value = Value::Inserted(change);
        lock(&self.authority).insert(key, value);
        mark.finish(|untouched| {
            if untouched || self.has(Flaw::FillTouched) {
                self.put(key, value, generation);
            } else {
                self.evict(key);
            }
        });
        self.log.end(change);
    }

    /// Writes to the authority and goes away before the last step. No promise is given; the cleanup
    /// drops the local copy.
    pub(crate) fn store_half(&self, key: Key) {
        let change = self.begin(Some(key));
        let mark = self.flights.begin_write(HASH, key);
        lock(&self.authority).insert(key, Value::Inserted(change));
        drop(mark);
        self.evict(key);
    }

    /// Ends the key's life, which makes no loaded value wrong.
    pub(crate) fn expire(&self, key: Key) {
        self.flights.hold(HASH, || {
            if let Some(entry) = lock(&self.engine).get_mut(&key) {
                entry.expired = true;
            }
        });
    }

    /// Removes the entry, as the engine itself does under pressure: under no lock but its own.
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

    /// Fails the schedule if the local copy differs from the authority's value.
    pub(crate) fn compare(&self, key: Key) {
        let local = lock(&self.engine).get(&key).map(|entry| entry.value);
        let authority = lock(&self.authority).get(&key).copied();
        assert!(local.is_none() || local == authority, "{local:?} here, {authority:?} there");
    }

    fn look(&self, key: Key) -> Option<Entry> {
        self.entry(key).filter(|entry| !entry.expired)
    }

    fn look_closer(&self, key: Key) -> Option<Value> {
        let engine = lock(&self.engine);
        let entry = engine.get(&key).filter(|entry| !entry.expired)?;
        self.marks.is_current(&entry.generation).then_some(entry.value)
    }

    fn stale(&self, key: Key) -> Option<Entry> {
        self.entry(key).filter(|entry| entry.expired)
    }

    fn entry(&self, key: Key) -> Option<Entry> {
        let mut engine = lock(&self.engine);
        let entry = engine.get_mut(&key)?;
        self.marks.settle(&mut entry.generation).then(|| entry.clone())
    }

    fn put(&self, key: Key, value: Value, generation: Generation) {
        lock(&self.engine).insert(key, Entry { value, generation, expired: false });
    }

    fn see(&self) -> Generation {
        if self.tagged == Tagged::Before {
            self.marks.see_tagged()
        } else {
            self.marks.see_untagged()
        }
    }

    fn info(&self) -> Info {
        let may_have_tags = self.tagged != Tagged::Never;
        let tag_changes = may_have_tags.then(|| self.marks.tag_changes());
        Info { epoch: self.marks.epoch(), tag_changes }
    }
}

/// Takes two steps if the caller is slow.
async fn dawdle(loader: Loader) {
    if loader == Loader::Slow {
        step().await;
        step().await;
    }
}

/// A ticket, or with the flaw a ticket that is never given back.
struct Duty {
    ticket: Option<Ticket<Key, Landed, Info>>,
    forgotten: bool,
}

impl Duty {
    fn held(&self) -> &Ticket<Key, Landed, Info> {
        self.ticket.as_ref().expect("the duty is held until it is taken")
    }

    fn take(&mut self) -> Ticket<Key, Landed, Info> {
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
