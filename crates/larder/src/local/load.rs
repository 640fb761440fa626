//! Loading on plain threads: one load per key.

use std::convert::Infallible;
use std::hash::Hash;

use larder_core::Life;

use crate::flight::chain::{Link, Waiting};
use crate::flight::flights::{Follower, Join, Meet, Ticket};
use crate::local::{EntryOptions, LocalCache};
use crate::lookup::Lookup;
use crate::support::park::block_on;
use crate::tier::marks::here::Generation;

/// The facts by which joiners judge a flight, and the fence of its load.
pub(super) struct About {
    generation: Generation,
    link: Link,
}

impl<K, V> LocalCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Gets the fresh value, or else makes it with the loader and keeps it.
    ///
    /// Of all threads that want a key at once, one runs its loader and the others wait for its
    /// value. A key that is changed while it is loaded keeps the change: the loaded value goes to
    /// the callers that asked before, and is not kept. If the loader panics, its caller gets the
    /// panic and one of the others loads instead.
    ///
    /// It blocks the thread; asynchronous code with slow loaders wants the asynchronous cache.
    ///
    /// # Panics
    /// If the loader asks, itself or by way of other loads, for the key it is loading.
    ///
    /// # Examples
    /// ```
    /// let cache = larder::LocalCache::<String, usize>::new(1_000);
    /// assert_eq!(cache.get_with("key", || 7), 7);
    /// assert_eq!(cache.get_with("key", || unreachable!()), 7);
    /// ```
    #[doc(alias = "get_or_insert_with")]
    pub fn get_with<Q: ?Sized + Lookup<K>>(&self, key: &Q, loader: impl FnOnce() -> V) -> V {
        match self.try_get_with(key, || Ok::<V, Infallible>(loader())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// Gets or makes the value with a loader that can fail.
    ///
    /// # Errors
    /// The errors of the caller's own loader. They are not shared, because sharing needs errors
    /// that can be cloned. When a load fails, the callers that waited for it run their own loaders,
    /// one after the other, until one succeeds.
    ///
    /// # Panics
    /// As [`get_with`](Self::get_with) does.
    pub fn try_get_with<Q: ?Sized + Lookup<K>, E>(
        &self,
        key: &Q,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        self.try_get_with_options(key, EntryOptions::new(), loader)
    }

    /// Gets or makes the value with options and a loader that can fail. The options of the call
    /// that loads count.
    ///
    /// # Errors
    /// As [`try_get_with`](Self::try_get_with).
    ///
    /// # Panics
    /// As [`get_with`](Self::get_with) does.
    pub fn try_get_with_options<Q: ?Sized + Lookup<K>, E>(
        &self,
        key: &Q,
        options: impl Into<EntryOptions>,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        match self.tier.hit(key) {
            Ok(value) => Ok(value),
            Err(hash) => self.load(hash, key, &options.into(), loader),
        }
    }

    #[cold]
    fn load<Q: ?Sized + Lookup<K>, E>(
        &self,
        hash: u64,
        key: &Q,
        options: &EntryOptions,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        self.tier.stats().miss();
        loop {
            // The marks are read before the flight begins, and so before its load does.
            let about =
                About { generation: self.tier.marks().see(&options.tags), link: Link::default() };
            let meet = |about: &About| {
                let is_valid = self.tier.marks().life(&about.generation) == Life::Fresh;
                if is_valid { Meet::Follow } else { Meet::Replace }
            };
            match self.flights.join(hash, key, Q::to_key, |_| about, meet) {
                Join::Lead(ticket) => return self.lead(hash, key, options, ticket, loader),
                Join::Follow(follower) => {
                    if let Some(value) = follow(follower) {
                        self.tier.stats().coalesced();
                        return Ok(value);
                    }
                }
                Join::Left => {}
            }
        }
    }

    fn lead<Q: ?Sized + Lookup<K>, E>(
        &self,
        hash: u64,
        key: &Q,
        options: &EntryOptions,
        ticket: Ticket<K, V, About>,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        // Another caller's load may have ended between the look and the flight. Callers that have
        // joined look again for themselves: the entry may have tags that this flight does not know,
        // and end by them.
        if let Some(value) = self.tier.peek(hash, key) {
            return Ok(value);
        }
        self.tier.stats().load();
        let failure = Failure(self);
        let link = ticket.info().link.clone();
        let waiting = wait_for(&link);
        let value = link.enter(loader)?;
        drop(waiting);
        std::mem::forget(failure);
        let key = key.to_key();
        let generation = ticket.info().generation.clone();
        let candidate = self.candidate(&key, value.clone(), options, generation);
        let stored = ticket.publish(value.clone(), |_| self.tier.put(hash, key, candidate));
        // The replaced entry is dropped only now, when the stripe is free again.
        drop(stored);
        Ok(value)
    }
}

/// Waits for another caller's value. None if its load gave no value.
fn follow<V: Clone>(follower: Follower<V, About>) -> Option<V> {
    let waiting = wait_for(&follower.info().link);
    let value = block_on(follower);
    drop(waiting);
    value
}

/// Registers that the load this code runs inside, if any, waits for another.
fn wait_for(link: &Link) -> Option<Waiting> {
    let waiting = Link::current()?.wait_for(link);
    Some(waiting.unwrap_or_else(|_| panic!("a loader asks for the key that it is loading")))
}

/// Counts a load that ends by an error or a panic.
struct Failure<'a, K, V>(&'a LocalCache<K, V>)
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static;

impl<K, V> Drop for Failure<'_, K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.0.tier.stats().load_failure();
    }
}
