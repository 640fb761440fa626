//! Many futures in one task, each polled only after it was woken.
//!
//! Polling all of them whenever one is woken costs the square of their number.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::support::runtime::{Slice, wake_after_others};
use crate::support::sync::lock;

/// Futures that one task polls, in the order in which they were woken.
pub(crate) struct FutureSet<F> {
    places: Vec<Option<Member<F>>>,
    free: Vec<usize>,
    /// The places of woken futures that are polled next.
    next: VecDeque<usize>,
    woken: Arc<Mutex<Woken>>,
}

/// The result of one step of a set.
pub(crate) enum Step<T> {
    /// A future has ended with this output.
    Ended(T),
    /// A woken future was polled, and waits again.
    Pending,
    /// No future has been woken. The set's task is woken when one is.
    Idle,
}

struct Member<F> {
    future: F,
    state: Arc<WakeState>,
    waker: Waker,
}

/// Wakes one future of a set.
struct WakeState {
    place: usize,
    is_woken: AtomicBool,
    woken: Arc<Mutex<Woken>>,
}

#[derive(Default)]
struct Woken {
    places: VecDeque<usize>,
    /// The set's task, while it waits.
    task: Option<Waker>,
}

impl<F: Future + Unpin> FutureSet<F> {
    pub(crate) fn new() -> Self {
        let (places, free, next) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { places, free, next, woken: Arc::default() }
    }

    /// Adds a future, which is polled at the next steps.
    pub(crate) fn push(&mut self, future: F) {
        let place = self.free.pop().unwrap_or(self.places.len());
        let woken = Arc::clone(&self.woken);
        let state = Arc::new(WakeState { place, is_woken: AtomicBool::new(true), woken });
        let member = Member { future, waker: Waker::from(Arc::clone(&state)), state };
        match self.places.get_mut(place) {
            Some(free) => *free = Some(member),
            None => self.places.push(Some(member)),
        }
        self.next.push_back(place);
    }

    /// Returns the number of futures that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Polls one woken future.
    pub(crate) fn step(&mut self, context: &mut Context<'_>) -> Step<F::Output> {
        let Some(place) = self.next_woken(context) else { return Step::Idle };
        // The woken future may have ended: then its place has another future, or none.
        let Some(there) = self.places.get_mut(place) else { return Step::Pending };
        let Some(member) = there else { return Step::Pending };
        // The flag is cleared before the poll: a wake from now on is news.
        member.state.is_woken.store(false, Ordering::SeqCst);
        let mut inside = Context::from_waker(&member.waker);
        match Pin::new(&mut member.future).poll(&mut inside) {
            Poll::Pending => Step::Pending,
            Poll::Ready(output) => {
                *there = None;
                self.free.push(place);
                Step::Ended(output)
            }
        }
    }

    /// Waits for the first future that ends; none if there is none.
    pub(crate) async fn next(&mut self) -> Option<F::Output> {
        poll_fn(|context| {
            let slice = Slice::begin();
            loop {
                match self.step(context) {
                    Step::Ended(output) => return Poll::Ready(Some(output)),
                    Step::Idle if self.len() == 0 => return Poll::Ready(None),
                    Step::Idle => return Poll::Pending,
                    Step::Pending if slice.is_over() => {
                        wake_after_others(context);
                        return Poll::Pending;
                    }
                    Step::Pending => {}
                }
            }
        })
        .await
    }

    fn next_woken(&mut self, context: &Context<'_>) -> Option<usize> {
        if self.next.is_empty() {
            let mut woken = lock(&self.woken);
            std::mem::swap(&mut self.next, &mut woken.places);
            if self.next.is_empty() {
                let earlier = woken.task.replace(context.waker().clone());
                drop(woken);
                // Dropping the last waker of a task may drop the task.
                drop(earlier);
            }
        }
        self.next.pop_front()
    }
}

impl Wake for WakeState {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_woken.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut woken = lock(&self.woken);
        woken.places.push_back(self.place);
        let task = woken.task.take();
        drop(woken);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A future that ends at its second wake, and counts its polls.
    struct Twice {
        polls: Arc<AtomicUsize>,
        wakers: Arc<Mutex<Vec<Waker>>>,
        left: usize,
    }

    impl Future for Twice {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            self.polls.fetch_add(1, Ordering::Relaxed);
            if self.left == 0 {
                return Poll::Ready(());
            }
            self.left -= 1;
            lock(&self.wakers).push(context.waker().clone());
            Poll::Pending
        }
    }

    #[test]
    fn each_future_is_polled_once_for_each_wake_however_many_there_are() {
        let (polls, wakers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let mut set = FutureSet::new();
        for _ in 0..10_000 {
            let (polls, wakers) = (Arc::clone(&polls), Arc::clone(&wakers));
            set.push(Twice { polls, wakers, left: 2 });
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut ended = 0;
        loop {
            match set.step(&mut context) {
                Step::Ended(()) => ended += 1,
                Step::Pending => {}
                // Futures are woken one after the other, as loads elsewhere end.
                Step::Idle => match lock(&wakers).pop() {
                    Some(waker) => waker.wake(),
                    None => break,
                },
            }
        }
        assert_eq!((ended, set.len()), (10_000, 0));
        assert_eq!(polls.load(Ordering::Relaxed), 30_000);
    }

    #[test]
    fn a_wake_between_two_steps_wakes_the_task_once() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let task = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&task));
        let mut context = Context::from_waker(&waker);
        let (polls, wakers) = (Arc::default(), Arc::<Mutex<Vec<Waker>>>::default());
        let mut set = FutureSet::new();
        for _ in 0..2 {
            set.push(Twice { polls: Arc::clone(&polls), wakers: Arc::clone(&wakers), left: 1 });
        }
        while !matches!(set.step(&mut context), Step::Idle) {}
        let woken = std::mem::take(&mut *lock(&wakers));
        woken.iter().chain(&woken).for_each(Waker::wake_by_ref);
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        while !matches!(set.step(&mut context), Step::Idle) {}
        assert_eq!((set.len(), polls.load(Ordering::Relaxed)), (0, 4));
        // A wake of an ended future does nothing.
        woken.iter().for_each(Waker::wake_by_ref);
        assert!(matches!(set.step(&mut context), Step::Pending));
    }
}
