//! Key locks: the order of the changes of one key in this process.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use larder_core::Key;

use crate::support::sync::{Mutex, lock};

/// Lets the changes of one key in this process run one after another, in the order of arrival.
///
/// Without key locks the changes would refuse each other: of many changes of one key over a
/// network, all but one would have been sent in vain each time.
#[derive(Default)]
pub(super) struct KeyLocks(Mutex<Queues>);

/// The waiters of each key; the first one has the key lock. An empty queue is removed.
#[derive(Default)]
struct Queues {
    next_id: u64,
    waiting: HashMap<Key, VecDeque<Waiter>>,
}

struct Waiter {
    id: u64,
    waker: Option<Waker>,
}

/// A place in the queue. Dropping it, at any time, lets the next waiter have the key lock.
pub(super) struct KeyLock<'a> {
    key_locks: &'a KeyLocks,
    key: &'a Key,
    id: u64,
}

impl KeyLocks {
    /// Takes a place behind all earlier waiters.
    pub(super) fn enter<'a>(&'a self, key: &'a Key) -> KeyLock<'a> {
        let mut queues = lock(&self.0);
        queues.next_id += 1;
        let id = queues.next_id;
        queues.waiting.entry(key.clone()).or_default().push_back(Waiter { id, waker: None });
        KeyLock { key_locks: self, key, id }
    }
}

impl KeyLock<'_> {
    /// Waits until all earlier waiters are gone.
    pub(super) async fn wait(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queues = lock(&self.key_locks.0);
        let Some(queue) = queues.waiting.get_mut(self.key) else { return Poll::Ready(()) };
        if queue.front().is_none_or(|waiter| waiter.id == self.id) {
            return Poll::Ready(());
        }
        let own = queue.iter_mut().find(|waiter| waiter.id == self.id);
        let old = own.and_then(|own| own.waker.replace(cx.waker().clone()));
        // A waker may run code when it is dropped, so it is dropped without the lock.
        drop(queues);
        drop(old);
        Poll::Pending
    }
}

impl Drop for KeyLock<'_> {
    fn drop(&mut self) {
        let mut queues = lock(&self.key_locks.0);
        let Some(queue) = queues.waiting.get_mut(self.key) else { return };
        let own = queue.iter().position(|waiter| waiter.id == self.id);
        let removed = own.and_then(|place| queue.remove(place));
        let next = match own {
            Some(0) => queue.front_mut().and_then(|waiter| waiter.waker.take()),
            _ => None,
        };
        if queue.is_empty() {
            queues.waiting.remove(self.key);
        }
        drop(queues);
        drop(removed);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use larder_core::{Class, Key, Namespace};

    use super::{KeyLocks, lock};

    fn key(text: &str) -> Key {
        Key::new(&Namespace::new("").unwrap(), Class::Entry, text.as_bytes())
    }

    #[test]
    fn turns_go_in_the_order_of_arrival_and_the_dropped_are_skipped() {
        let (key_locks, key, other) = (KeyLocks::default(), key("a"), key("b"));
        let mut cx = Context::from_waker(Waker::noop());
        let [first, second, third] = [(), (), ()].map(|()| key_locks.enter(&key));
        assert!(first.poll(&mut cx).is_ready());
        assert!(second.poll(&mut cx).is_pending());
        assert!(third.poll(&mut cx).is_pending());
        assert!(key_locks.enter(&other).poll(&mut cx).is_ready());
        drop(second);
        assert!(third.poll(&mut cx).is_pending());
        drop(first);
        assert!(third.poll(&mut cx).is_ready());
        drop(third);
        assert!(lock(&key_locks.0).waiting.is_empty());
    }
}
