//! Listeners for entries that leave, and the causes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::observe::stats::{Count, Counters};

/// Reason for which an entry left the local tier.
///
/// An entry that was already dead by its time or idle time has expired, whatever made it leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Entry that was evicted for others, or was too heavy to be stored.
    Size,
    /// Entry whose time, or idle time, had run out.
    Expired,
    /// Entry that was replaced by a newer value.
    Replaced,
    /// Entry that was removed or invalidated: by its key, by a tag, or with everything.
    Removed,
}

/// Called for each entry that leaves, exactly once, outside all locks.
///
/// The listener runs on the thread that made the entry leave: the caller's, or a `larder-janitor` for
/// entries that have died. It may call the cache. If it panics, the panic is counted and goes no further.
/// While it takes long, dead entries of its own cache wait; other caches are freed all the same.
pub type Listener<K, V> = Arc<dyn Fn(&K, &V, Cause) + Send + Sync>;

/// A listener, and the counters that its panics and all causes go to.
pub(crate) struct Teller<K, V> {
    listener: Option<Listener<K, V>>,
    counters: Counters,
}

impl<K, V> Teller<K, V> {
    pub(crate) fn new(listener: Option<Listener<K, V>>) -> Self {
        Self { listener, counters: Counters::default() }
    }

    pub(crate) fn has_listener(&self) -> bool {
        self.listener.is_some()
    }

    #[inline]
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    fn tell(&self, key: &K, value: &V, cause: Cause) {
        let Some(listener) = &self.listener else { return };
        if catch_unwind(AssertUnwindSafe(|| listener(key, value, cause))).is_err() {
            self.counters.add(Count::ListenerPanics);
        }
    }
}

/// Entries that have left. Its drop frees them and tells the listener: drop it outside all locks.
#[must_use = "let it go after the stripe's lock is released"]
pub(crate) struct Dropped<K, V> {
    teller: Option<Arc<Teller<K, V>>>,
    first: Option<Removal<K, V>>,
    more: Vec<Removal<K, V>>,
}

/// One entry that has left. Without a cause nobody is told. Without a value its caller has it.
struct Removal<K, V> {
    key: K,
    value: Option<V>,
    cause: Option<Cause>,
}

impl<K, V> Dropped<K, V> {
    pub(crate) const fn none() -> Self {
        Self { teller: None, first: None, more: Vec::new() }
    }

    /// Tells the listener and frees the entries, all of them: a key or a value that panics when it
    /// is dropped is no reason to keep the others.
    pub(crate) fn deliver(mut self) {
        let (teller, first) = (self.teller.take(), self.first.take());
        for left in first.into_iter().chain(std::mem::take(&mut self.more)) {
            left.tell(teller.as_deref());
            let Removal { key, value, .. } = left;
            let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
            let _ = catch_unwind(AssertUnwindSafe(|| drop(key)));
        }
    }

    /// Adds an entry whose end is counted and told.
    pub(crate) fn add(&mut self, teller: &Arc<Teller<K, V>>, key: K, value: V, cause: Cause) {
        teller.counters.add(match cause {
            Cause::Size => Count::Evicted,
            Cause::Expired => Count::Expired,
            Cause::Replaced => Count::Replaced,
            Cause::Removed => Count::Removed,
        });
        if teller.has_listener() && self.teller.is_none() {
            self.teller = Some(Arc::clone(teller));
        }
        self.push(Removal { key, value: Some(value), cause: Some(cause) });
    }

    /// Adds an entry that is freed, and that nobody is told of.
    pub(crate) fn add_quietly(&mut self, key: K, value: Option<V>) {
        self.push(Removal { key, value, cause: None });
    }

    fn push(&mut self, left: Removal<K, V>) {
        // Most writes make one entry leave, and then there is nothing to allocate.
        if self.first.is_none() {
            self.first = Some(left);
        } else {
            self.more.push(left);
        }
    }
}

impl<K, V> Drop for Dropped<K, V> {
    fn drop(&mut self) {
        for left in self.first.iter().chain(&self.more) {
            left.tell(self.teller.as_deref());
        }
    }
}

impl<K, V> Removal<K, V> {
    fn tell(&self, teller: Option<&Teller<K, V>>) {
        if let (Some(teller), Some(value), Some(cause)) = (teller, &self.value, self.cause) {
            teller.tell(&self.key, value, cause);
        }
    }
}
