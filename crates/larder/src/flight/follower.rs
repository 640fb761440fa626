//! One flight, and the followers that wait for it.
//!
//! A flight's lock is a leaf. Wakers run and are dropped outside of it: dropping the last waker of
//! a task may drop the task, and with it another follower.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::support::sync::{Arc, Mutex, lock};

/// One shared run of a load.
pub(super) struct Flight<O, I> {
    pub(super) info: I,
    state: Mutex<State<O>>,
}

struct State<O> {
    phase: Phase<O>,
    offered: Option<O>,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

pub(super) enum Phase<O> {
    Flying,
    Landed(O),
    Abandoned,
}

impl<O, I> Flight<O, I> {
    pub(super) fn new(info: I) -> Self {
        let state =
            State { phase: Phase::Flying, offered: None, wakers: Vec::new(), free: Vec::new() };
        Self { info, state: Mutex::new(state) }
    }

    pub(super) fn has_ended(&self) -> bool {
        !matches!(lock(&self.state).phase, Phase::Flying)
    }

    /// Offers an outcome to followers that cannot wait until the end, and wakes them.
    pub(super) fn offer(&self, outcome: O) {
        let mut state = lock(&self.state);
        let earlier = state.offered.replace(outcome);
        let wakers: Vec<_> = state.wakers.iter().flatten().cloned().collect();
        drop(state);
        drop(earlier);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends the flight, and wakes its followers.
    pub(super) fn end(&self, phase: Phase<O>) {
        let mut state = lock(&self.state);
        state.phase = phase;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Waits for a flight's outcome: none if it was abandoned, and the follower may lead instead.
///
/// # Cancel safety
/// Dropping a follower leaves the flight and the other followers alone.
pub(crate) struct Follower<O, I> {
    flight: Arc<Flight<O, I>>,
    place: Option<usize>,
}

impl<O, I> Follower<O, I> {
    pub(super) fn new(flight: &Arc<Flight<O, I>>) -> Self {
        Self { flight: Arc::clone(flight), place: None }
    }

    /// Returns the flight's info, by which joiners judge it.
    pub(crate) fn info(&self) -> &I {
        &self.flight.info
    }
}

impl<O: Clone, I> Follower<O, I> {
    /// Returns the outcome that the leader offers meanwhile.
    pub(crate) fn offered(&self) -> Option<O> {
        lock(&self.flight.state).offered.clone()
    }
}

impl<O: Clone, I> Future for Follower<O, I> {
    type Output = Option<O>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let flight = Arc::clone(&self.flight);
        let mut state = lock(&flight.state);
        match &state.phase {
            Phase::Landed(outcome) => Poll::Ready(Some(outcome.clone())),
            Phase::Abandoned => Poll::Ready(None),
            Phase::Flying => {
                let (place, earlier) = state.place_waker(self.place, context.waker());
                self.place = Some(place);
                drop(state);
                // Dropping the last waker of a task may drop the task, and with it another follower
                // of this flight.
                drop(earlier);
                Poll::Pending
            }
        }
    }
}

impl<O, I> Drop for Follower<O, I> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut state = lock(&self.flight.state);
        let waker = state.wakers.get_mut(place).and_then(Option::take);
        if waker.is_some() {
            state.free.push(place);
        }
        drop(state);
        drop(waker);
    }
}

impl<O> State<O> {
    /// Keeps the waker in the follower's own place, so that 10,000 followers cost no search, and
    /// returns the waker that it replaces.
    fn place_waker(&mut self, place: Option<usize>, waker: &Waker) -> (usize, Option<Waker>) {
        let place = place.or_else(|| self.free.pop()).unwrap_or(self.wakers.len());
        match self.wakers.get_mut(place) {
            Some(Some(held)) if held.will_wake(waker) => (place, None),
            Some(there) => (place, there.replace(waker.clone())),
            None => {
                self.wakers.push(Some(waker.clone()));
                (place, None)
            }
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_follower_that_leaves_gives_its_place_back() {
        let flight = Arc::new(Flight::<u32, ()>::new(()));
        for _ in 0..3 {
            let mut follower = Follower::new(&flight);
            let poll = Pin::new(&mut follower).poll(&mut Context::from_waker(Waker::noop()));
            assert!(poll.is_pending());
        }
        assert_eq!(lock(&flight.state).wakers.len(), 1);
    }
}
