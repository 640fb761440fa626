//! Calls that wait until a test lets them go.

use std::collections::BTreeMap;
use std::future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use larder_core::Key;

use super::Operation;
use super::control::Call;

/// A call that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// The id to release the call by. Later calls have greater ones.
    pub id: u64,
    /// The kind of the call.
    pub operation: Operation,
    /// The keys of the call.
    pub keys: Vec<Key>,
}

/// All calls that are held, and the wakers of tasks that wait for held calls.
#[derive(Default)]
pub(super) struct Gates(Mutex<State>);

#[derive(Default)]
struct State {
    next_id: u64,
    held: BTreeMap<u64, (Call, Option<Waker>)>,
    watchers: Vec<Waker>,
}

impl Gates {
    /// Waits until the call is released. A call whose caller gives up is held no longer.
    pub(super) async fn hold(&self, call: &Call) {
        let place = self.enter(call);
        future::poll_fn(|cx| {
            let mut state = self.lock();
            let Some((_, waker)) = state.held.get_mut(&place.1) else { return Poll::Ready(()) };
            let replaced = waker.replace(cx.waker().clone());
            drop(state);
            // Dropping a waker may drop a task, and with it other held calls.
            drop(replaced);
            Poll::Pending
        })
        .await;
    }

    fn enter(&self, call: &Call) -> Place<'_> {
        let mut state = self.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.held.insert(id, (call.clone(), None));
        let watchers = std::mem::take(&mut state.watchers);
        drop(state);
        watchers.into_iter().for_each(Waker::wake);
        Place(self, id)
    }

    pub(super) fn held(&self) -> Vec<Held> {
        let state = self.lock();
        let held = state.held.iter().map(|(&id, (call, _))| Held {
            id,
            operation: call.operation,
            keys: call.keys.clone(),
        });
        held.collect()
    }

    pub(super) async fn until_held(&self, count: usize) {
        future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.held.len() >= count {
                return Poll::Ready(());
            }
            state.watchers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(super) fn release(&self, id: u64) -> bool {
        let released = self.lock().held.remove(&id);
        let is_held = released.is_some();
        if let Some((_, Some(waker))) = released {
            waker.wake();
        }
        is_held
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A held call's entry, removed when this is dropped.
struct Place<'a>(&'a Gates, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self.0.lock().held.remove(&self.1);
        drop(left);
    }
}
