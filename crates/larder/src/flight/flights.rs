//! One load per key, shared by all callers: the local fence.
//!
//! Each key that is being loaded has a *flight* in the table. A change of a key removes its flight
//! from the table under the same lock as the change itself, and a load stores its result, under
//! that lock again, only if the table still has its flight. After a change no earlier load can
//! therefore store, however the two are scheduled; and later callers, which no longer find the
//! flight, start their own. A removed flight still answers the callers that joined it before.
//!
//! Invariants:
//! - a stripe's lock is held while the change or the store runs, and for nothing else; the lock
//!   order is stripe, then engine shard; a flight's own lock is a leaf;
//! - a flight ends exactly once, landed or abandoned, even if its ticket is dropped;
//! - wakers run and drop outside all locks; a dropped follower takes its waker with it.
//!
//! This file has no clock, runtime or await, so that every schedule can be explored (`shuttle/`).

use std::hash::Hash;

use equivalent::Equivalent;
use hashbrown::HashTable;

pub(crate) use crate::flight::follower::Follower;
use crate::flight::follower::{Flight, Phase};
use crate::support::sync::{Arc, Mutex, lock};

/// The flights of a cache, by key. `O` is the outcome of a load, `I` the data that joiners judge it
/// by.
pub(crate) struct Flights<K, O, I> {
    stripes: Box<[Mutex<Stripe<K, O, I>>]>,
}

type Stripe<K, O, I> = HashTable<KeyState<K, O, I>>;

/// A flight that has left the table. Dropping it may run the user's code, so it is dropped
/// unlocked.
type Cut<O, I> = Option<Arc<Flight<O, I>>>;

/// The table's state of one key: its flight, and the writes that are under way.
struct KeyState<K, O, I> {
    hash: u64,
    key: K,
    flight: Option<Arc<Flight<O, I>>>,
    writes: Option<Writes>,
}

/// The writes of one key that are under way.
struct Writes {
    /// The identity by which write marks find their writes: unlike `Eq` of the key it cannot panic
    /// in a destructor.
    token: Arc<()>,
    under_way: u32,
    changes: u64,
}

/// The decision of a caller about the flight that it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meet {
    /// Wait for the flight's outcome.
    Follow,
    /// The flight is no longer valid: start another in its place.
    Replace,
    /// Neither wait nor replace: leave the flight alone.
    Leave,
}

/// The result of joining.
pub(crate) enum Join<K: Hash + Eq, O, I> {
    /// The caller leads a new flight and must publish.
    Lead(Ticket<K, O, I>),
    /// The caller waits for another caller's flight.
    Follow(Follower<O, I>),
    /// The caller asked to leave the flight alone.
    Left,
}

impl<K: Hash + Eq, O, I> Flights<K, O, I> {
    /// Makes a table of this many stripes, at least one.
    pub(crate) fn new(stripes: usize) -> Self {
        let stripes = (0..stripes.max(1)).map(|_| Mutex::new(HashTable::new())).collect();
        Self { stripes }
    }

    /// Joins the key's flight as `meet` decides, or starts one with the result of `info`. `info`
    /// gets the info of the flight that is replaced, if there is one.
    pub(crate) fn join<Q>(
        self: &Arc<Self>,
        hash: u64,
        key: &Q,
        to_key: impl FnOnce(&Q) -> K,
        info: impl FnOnce(Option<&I>) -> I,
        meet: impl FnOnce(&I) -> Meet,
    ) -> Join<K, O, I>
    where
        Q: ?Sized + Equivalent<K>,
    {
        let mut stripe = lock(self.stripe(hash));
        let known = stripe.find_mut(hash, |known| key.equivalent(&known.key));
        if let Some(flight) = known.as_ref().and_then(|known| known.flight.as_ref()) {
            match meet(&flight.info) {
                Meet::Follow => return Join::Follow(Follower::new(flight)),
                Meet::Leave => return Join::Left,
                Meet::Replace => {}
            }
        }
        let older = known.as_ref().and_then(|known| known.flight.as_ref());
        let flight = Arc::new(Flight::new(info(older.map(|flight| &flight.info))));
        let mut cut = None;
        if let Some(known) = known {
            cut = known.flight.replace(Arc::clone(&flight));
        } else {
            let known = KeyState::new(hash, to_key(key), Some(Arc::clone(&flight)));
            stripe.insert_unique(hash, known, |known| known.hash);
        }
        drop(stripe);
        drop(cut);
        Join::Lead(Ticket { flights: Arc::clone(self), hash, flight })
    }

    /// Changes the key: removes its flight from the table and applies the change in one step.
    pub(crate) fn change<Q, R>(&self, hash: u64, key: &Q, apply: impl FnOnce() -> R) -> R
    where
        Q: ?Sized + Equivalent<K>,
    {
        let mut stripe = lock(self.stripe(hash));
        let cut = Self::cut(&mut stripe, hash, |known| key.equivalent(&known.key));
        let result = apply();
        drop(stripe);
        drop(cut);
        result
    }

    /// Like [`change`](Self::change), for a caller that gives the key away.
    pub(crate) fn change_owned<R>(&self, hash: u64, key: K, apply: impl FnOnce(K) -> R) -> R {
        let mut stripe = lock(self.stripe(hash));
        let cut = Self::cut(&mut stripe, hash, |known| known.key == key);
        let result = apply(key);
        drop(stripe);
        drop(cut);
        result
    }

    /// Changes the key if `apply` makes a change: only then is its flight removed from the table.
    /// Returns the change, if there was one.
    pub(crate) fn change_if<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        apply: impl FnOnce() -> Option<R>,
    ) -> Option<R>
    where
        Q: ?Sized + Equivalent<K>,
    {
        let mut stripe = lock(self.stripe(hash));
        let result = apply();
        let cut = match result {
            Some(_) => Self::cut(&mut stripe, hash, |known| key.equivalent(&known.key)),
            None => None,
        };
        drop(stripe);
        drop(cut);
        result
    }

    /// Reads or quietly changes the key, leaving its flight alone: for changes of life that make no
    /// loaded value wrong.
    pub(crate) fn hold<R>(&self, hash: u64, apply: impl FnOnce() -> R) -> R {
        let _stripe = lock(self.stripe(hash));
        apply()
    }

    /// Announces a change whose last step comes later, after an authority has it.
    pub(crate) fn begin_write(self: &Arc<Self>, hash: u64, key: K) -> WriteMark<K, O, I> {
        let mut stripe = lock(self.stripe(hash));
        let mut entry = stripe
            .entry(hash, |known| known.key == key, |known| known.hash)
            .or_insert_with(|| KeyState::new(hash, key, None));
        let writes = entry.get_mut().writes.get_or_insert_with(Writes::new);
        writes.under_way += 1;
        let (token, changes) = (Arc::clone(&writes.token), writes.changes);
        drop(stripe);
        WriteMark { flights: Arc::clone(self), hash, token: Some(token), changes }
    }

    /// Returns the keys that are being loaded or written, with their hashes.
    pub(crate) fn keys(&self) -> Vec<(u64, K)>
    where
        K: Clone,
    {
        let mut keys = Vec::new();
        for stripe in &self.stripes {
            keys.extend(lock(stripe).iter().map(|known| (known.hash, known.key.clone())));
        }
        keys
    }

    /// Returns the number of keys with a flight or a write under way. For tests and idle checks.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.stripes.iter().map(|stripe| lock(stripe).len()).sum()
    }

    fn cut(
        stripe: &mut Stripe<K, O, I>,
        hash: u64,
        is_key: impl Fn(&KeyState<K, O, I>) -> bool,
    ) -> Cut<O, I> {
        let mut entry = stripe.find_entry(hash, is_key).ok()?;
        let known = entry.get_mut();
        let flight = known.flight.take();
        match &mut known.writes {
            Some(writes) => writes.changes += 1,
            None => drop(entry.remove()),
        }
        flight
    }

    /// Removes the key's flight and takes one write out of the table. Returns the number of changes
    /// that the key had before.
    fn leave_write(
        stripe: &mut Stripe<K, O, I>,
        hash: u64,
        token: &Arc<()>,
    ) -> Option<(u64, Cut<O, I>)> {
        let mut entry = stripe.find_entry(hash, |known| known.is_written_by(token)).ok()?;
        let cut = entry.get_mut().flight.take();
        let writes = entry.get_mut().writes.as_mut()?;
        let changes = writes.changes;
        writes.changes += 1;
        writes.under_way -= 1;
        if writes.under_way == 0 {
            entry.remove();
        }
        Some((changes, cut))
    }

    fn stripe(&self, hash: u64) -> &Mutex<Stripe<K, O, I>> {
        // The stripe comes from the high half of the hash: the table inside a stripe takes its
        // buckets from the low bits.
        let index = (hash >> 32) % self.stripes.len() as u64;
        self.stripes.get(usize::try_from(index).unwrap_or(0)).expect("there is at least one stripe")
    }
}

impl<K, O, I> KeyState<K, O, I> {
    fn new(hash: u64, key: K, flight: Option<Arc<Flight<O, I>>>) -> Self {
        Self { hash, key, flight, writes: None }
    }

    fn is_written_by(&self, token: &Arc<()>) -> bool {
        self.writes.as_ref().is_some_and(|writes| Arc::ptr_eq(&writes.token, token))
    }

    fn holds(&self, flight: &Arc<Flight<O, I>>) -> bool {
        self.flight.as_ref().is_some_and(|held| Arc::ptr_eq(held, flight))
    }
}

/// The duty to end a flight. Dropping it abandons the flight, and one of its followers leads next.
pub(crate) struct Ticket<K: Hash + Eq, O, I> {
    flights: Arc<Flights<K, O, I>>,
    hash: u64,
    flight: Arc<Flight<O, I>>,
}

impl<K: Hash + Eq, O, I> Ticket<K, O, I> {
    /// Returns the flight's info, by which joiners judge it.
    pub(crate) fn info(&self) -> &I {
        &self.flight.info
    }

    /// Waits for this flight as any follower does.
    pub(crate) fn follow(&self) -> Follower<O, I> {
        Follower::new(&self.flight)
    }

    /// Offers an outcome to followers that cannot wait until the end, and wakes them.
    pub(crate) fn offer(&self, outcome: O) {
        self.flight.offer(outcome);
    }

    /// Ends the flight. `store` runs, under the stripe's lock, only if nothing has changed the key
    /// since the flight began; its result is returned then.
    pub(crate) fn publish<R>(self, outcome: O, store: impl FnOnce(&O) -> R) -> Option<R> {
        let mut stripe = lock(self.flights.stripe(self.hash));
        let stored = self.leave(&mut stripe).then(|| store(&outcome));
        drop(stripe);
        self.flight.end(Phase::Landed(outcome));
        stored
    }

    /// Takes the flight out of the table. Returns true if it was still there.
    fn leave(&self, stripe: &mut Stripe<K, O, I>) -> bool {
        let Ok(mut entry) = stripe.find_entry(self.hash, |known| known.holds(&self.flight)) else {
            return false;
        };
        entry.get_mut().flight = None;
        if entry.get().writes.is_none() {
            entry.remove();
        }
        true
    }
}

impl<K: Hash + Eq, O, I> Drop for Ticket<K, O, I> {
    fn drop(&mut self) {
        if self.flight.has_ended() {
            return;
        }
        self.leave(&mut lock(self.flights.stripe(self.hash)));
        self.flight.end(Phase::Abandoned);
    }
}

impl Writes {
    fn new() -> Self {
        Self { token: Arc::default(), under_way: 0, changes: 0 }
    }
}

/// A change under way: between its first step, at an authority, and its last, here. A drop before
/// the last step counts as a change too, since the authority may have taken the first.
pub(crate) struct WriteMark<K: Hash + Eq, O, I> {
    flights: Arc<Flights<K, O, I>>,
    hash: u64,
    token: Option<Arc<()>>,
    changes: u64,
}

impl<K: Hash + Eq, O, I> WriteMark<K, O, I> {
    /// Removes the key's flight and applies the last step. `apply` is told whether nothing else has
    /// changed the key since the mark was made.
    pub(crate) fn finish<R>(mut self, apply: impl FnOnce(bool) -> R) -> R {
        let token = self.token.take();
        let mut stripe = lock(self.flights.stripe(self.hash));
        let left = token.and_then(|token| Flights::leave_write(&mut stripe, self.hash, &token));
        let (changes, cut) = left.unzip();
        let result = apply(changes == Some(self.changes));
        drop(stripe);
        drop(cut);
        result
    }
}

impl<K: Hash + Eq, O, I> Drop for WriteMark<K, O, I> {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else { return };
        let mut stripe = lock(self.flights.stripe(self.hash));
        let left = Flights::leave_write(&mut stripe, self.hash, &token);
        drop(stripe);
        drop(left);
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread;

    use super::*;
    use crate::support::park::block_on;

    type Table = Flights<u32, u32, ()>;

    fn table() -> Arc<Table> {
        Arc::new(Flights::new(4))
    }

    fn join(table: &Arc<Table>, key: u32) -> Join<u32, u32, ()> {
        table.join(u64::from(key), &key, |key| *key, |_| (), |()| Meet::Follow)
    }

    fn lead(table: &Arc<Table>, key: u32) -> Ticket<u32, u32, ()> {
        match join(table, key) {
            Join::Lead(ticket) => ticket,
            _ => panic!("the key has a flight already"),
        }
    }

    fn follow(table: &Arc<Table>, key: u32) -> Follower<u32, ()> {
        match join(table, key) {
            Join::Follow(follower) => follower,
            _ => panic!("the key has no flight"),
        }
    }

    fn poll(follower: &mut Follower<u32, ()>, waker: &Waker) -> Poll<Option<u32>> {
        Pin::new(follower).poll(&mut Context::from_waker(waker))
    }

    #[test]
    fn followers_get_what_the_leader_stores() {
        let table = table();
        let ticket = lead(&table, 1);
        let followers: Vec<_> = (0..4).map(|_| follow(&table, 1)).collect();
        let threads = followers.into_iter().map(|follower| thread::spawn(|| block_on(follower)));
        let threads: Vec<_> = threads.collect();
        assert_eq!(ticket.publish(7, |outcome| *outcome), Some(7));
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Some(7));
        }
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn an_abandoned_flight_sends_its_followers_to_lead() {
        let table = table();
        let ticket = lead(&table, 1);
        let follower = follow(&table, 1);
        drop(ticket);
        assert_eq!(block_on(follower), None);
        assert_eq!(table.len(), 0);
        drop(lead(&table, 1));
    }

    #[test]
    fn a_panic_in_the_store_abandons_the_flight() {
        let table = table();
        let ticket = lead(&table, 1);
        let follower = follow(&table, 1);
        let publish = || ticket.publish(7, |_| panic!("expected"));
        assert!(catch_unwind(AssertUnwindSafe(publish)).is_err());
        assert_eq!(block_on(follower), None);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn ten_thousand_followers_are_all_woken() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let ticket = lead(&table(), 1);
        let mut followers: Vec<_> = (0..10_000).map(|_| ticket.follow()).collect();
        assert!(followers.iter_mut().all(|follower| poll(follower, &waker).is_pending()));
        ticket.publish(7, |_| ());
        assert_eq!(count.0.load(Ordering::Relaxed), 10_000);
        let landed = Poll::Ready(Some(7));
        assert!(followers.iter_mut().all(|follower| poll(follower, &waker) == landed));
    }

    #[test]
    fn a_load_that_a_change_has_overtaken_answers_but_does_not_store() {
        let table = table();
        let ticket = lead(&table, 1);
        let follower = follow(&table, 1);
        assert_eq!(table.change(1, &1, || 3), 3);
        let later = lead(&table, 1);
        assert_eq!(ticket.publish(7, |_| ()), None);
        assert_eq!(block_on(follower), Some(7));
        assert_eq!(later.publish(8, |_| ()), Some(()));
    }

    #[test]
    fn a_flight_that_is_no_longer_valid_is_replaced_or_left() {
        let table = table();
        let first = lead(&table, 1);
        let [second, left] = [Meet::Replace, Meet::Leave]
            .map(|meet| table.join(1, &1, |key| *key, |_| (), |()| meet));
        assert!(matches!(left, Join::Left));
        let Join::Lead(second) = second else { panic!("the first flight was met") };
        assert_eq!(first.publish(7, |_| ()), None);
        assert_eq!(second.publish(8, |_| ()), Some(()));
    }

    #[test]
    fn a_write_learns_of_every_other_since_its_mark() {
        let table = table();
        let [first, second, third, last] = std::array::from_fn(|_| table.begin_write(1, 1));
        assert!(first.finish(|untouched| untouched));
        assert!(!second.finish(|untouched| untouched));
        drop(third);
        assert!(!last.finish(|untouched| untouched));

        let only = table.begin_write(1, 1);
        drop(table.begin_write(1, 1));
        assert!(!only.finish(|untouched| untouched), "an unfinished write is a change");

        let alone = table.begin_write(1, 1);
        let load = lead(&table, 1);
        assert!(alone.finish(|untouched| untouched));
        assert_eq!(load.publish(7, |_| ()), None);
        assert_eq!(table.len(), 0);
    }

    /// A drop of the waker under the flight's lock hung here.
    #[test]
    fn the_last_waker_of_a_task_may_drop_another_follower() {
        #[expect(dead_code, reason = "it is there to be dropped")]
        struct Task(Mutex<Option<Follower<u32, ()>>>);
        impl Wake for Task {
            fn wake(self: Arc<Self>) {}
        }

        let ticket = lead(&table(), 1);
        let [mut moved, dropped] = std::array::from_fn(|_| {
            let mut owned = ticket.follow();
            assert!(poll(&mut owned, Waker::noop()).is_pending());
            let task = Waker::from(Arc::new(Task(Mutex::new(Some(owned)))));
            let mut follower = ticket.follow();
            assert!(poll(&mut follower, &task).is_pending());
            follower
        });
        assert!(poll(&mut moved, Waker::noop()).is_pending());
        drop(dropped);
        ticket.publish(7, |_| ());
    }
}
