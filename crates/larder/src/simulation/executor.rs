//! Runs tasks on this thread, one scheduler's step at a time.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use tokio::runtime::{Builder, Runtime};

thread_local! {
    static IS_IDLE: Cell<bool> = const { Cell::new(false) };
    static SCHEDULER: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Makes a runtime that wakes the task in [`idle`] instead of falling asleep.
pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread()
        .on_thread_park(|| {
            if let Some(scheduler) = SCHEDULER.take() {
                IS_IDLE.set(true);
                scheduler.wake();
            }
        })
        .build()
        .expect("it needs no driver")
}

/// Waits until no other task can go on.
pub(super) async fn idle() {
    IS_IDLE.set(false);
    poll_fn(|context| {
        if IS_IDLE.get() {
            return Poll::Ready(());
        }
        SCHEDULER.set(Some(context.waker().clone()));
        Poll::Pending
    })
    .await;
}
