//! Futures that are dropped, or polled in unusual ways.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use crate::support::sync::thread;

/// Polls a future this often and then drops it, as a caller that goes away does.
pub(crate) async fn for_polls<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        context.waker().wake_by_ref();
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// A step between two actions: pending once, so that another task may come first.
pub(crate) async fn step() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls a future once with a waker that nobody hears, as a `select` that moves on does, and lets
/// others run before the next poll.
pub(crate) async fn polled_before<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    thread::yield_now();
    future.await
}

/// A future whose inner future gets only the first waker.
pub(crate) struct FirstWaker<F> {
    future: F,
    waker: Option<Waker>,
}

impl<F> FirstWaker<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future, waker: None }
    }
}

impl<F: Future + Unpin> Future for FirstWaker<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let waker = self.waker.get_or_insert_with(|| context.waker().clone()).clone();
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker))
    }
}
