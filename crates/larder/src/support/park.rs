//! Waiting for a future on a plain thread.

use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::support::sync::Arc;
use crate::support::sync::atomic::{AtomicBool, Ordering};
use crate::support::sync::thread::{self, Thread};

/// Runs a future to its end on this thread, which sleeps while it waits.
///
/// The first poll costs no waker: most calls of a cache are ready at once.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => parked.wait(),
        }
    }
}

/// A thread that waits, and whether it has been woken. The thread's own token does not tell: code
/// that the future runs, such as another wait or a channel, may have used it up.
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Parked {
    fn wait(&self) {
        while !self.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
