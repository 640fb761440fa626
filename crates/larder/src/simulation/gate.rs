//! Gates: tasks park there until the scheduler lets them go on.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::support::sync::lock;

/// The next action of a parked task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A read of the backend is on its way there.
    Read,
    /// A change of the backend is on its way there.
    Change,
    /// The answer to a read is on its way back.
    ReadAnswer,
    /// The answer to a change is on its way back.
    ChangeAnswer,
    /// A loader is about to read its source.
    Source,
    /// A loader is about to return.
    Return,
}

/// The scheduler's order to a parked task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The task goes on; a call's answer parks once more.
    Go,
    /// The task goes on, and its answer comes at once.
    Through,
    /// The call surely fails.
    Fail,
    /// The call is done, and its answer is lost.
    Lose,
    /// The answer is lost, and the call is done later.
    Late,
}

/// All parked tasks of a history. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Gates(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_open: bool,
    next: u64,
    parked: Vec<Parked>,
}

struct Parked {
    id: u64,
    place: Place,
    order: Option<Order>,
    waker: Waker,
}

impl Gates {
    /// Parks the task here, unless the gates are open.
    pub(super) fn pass(&self, place: Place) -> Pass<'_> {
        Pass { gates: self, place, id: None }
    }

    /// Lets all tasks through at once from now on, and releases all parked tasks.
    pub(super) fn open(&self) {
        let mut state = lock(&self.0);
        state.is_open = true;
        let wakers: Vec<Waker> = state.parked.iter().map(|parked| parked.waker.clone()).collect();
        for parked in &mut state.parked {
            parked.order.get_or_insert(Order::Through);
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Parks all tasks from now on.
    pub(super) fn close(&self) {
        lock(&self.0).is_open = false;
    }

    /// Returns the places of the parked tasks, in the order of their arrival.
    pub(super) fn parked(&self) -> Vec<Place> {
        lock(&self.0).parked.iter().map(|parked| parked.place).collect()
    }

    /// Lets one parked task go on.
    pub(super) fn release(&self, index: usize, order: Order) {
        let mut state = lock(&self.0);
        let parked = &mut state.parked[index];
        parked.order = Some(order);
        let waker = parked.waker.clone();
        drop(state);
        waker.wake();
    }
}

/// A task's stay at a gate.
pub(super) struct Pass<'a> {
    gates: &'a Gates,
    place: Place,
    id: Option<u64>,
}

impl Future for Pass<'_> {
    type Output = Order;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Order> {
        let mut state = lock(&self.gates.0);
        if let Some(id) = self.id {
            let index = state.parked.iter().position(|parked| parked.id == id);
            let index = index.expect("it stays until it is let go");
            let Some(order) = state.parked[index].order else { return Poll::Pending };
            state.parked.remove(index);
            drop(state);
            self.id = None;
            return Poll::Ready(order);
        }
        if state.is_open {
            return Poll::Ready(Order::Through);
        }
        let id = state.next;
        state.next += 1;
        let (place, waker) = (self.place, context.waker().clone());
        state.parked.push(Parked { id, place, order: None, waker });
        drop(state);
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let mut state = lock(&self.gates.0);
            let index = state.parked.iter().position(|parked| parked.id == id);
            let parked = index.map(|index| state.parked.remove(index));
            drop(state);
            drop(parked);
        }
    }
}
