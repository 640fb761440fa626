//! The life cycle of a cache: open, closing, closed, and the work that `close` waits for.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use larder_core::{Error, ErrorKind, Result};
use pin_project_lite::pin_project;

use crate::options::SessionOptions;
use crate::support::runtime::{IoThread, Notify};

/// The life cycle of a cache, and the work that runs beside its callers.
#[derive(Default)]
pub(crate) struct Work {
    /// True if the next call opens the cache again after a close.
    pub(crate) reopens: bool,
    pub(crate) session: SessionOptions,
    pub(crate) io: OnceLock<IoThread>,
    state: AtomicU8,
    running: AtomicUsize,
    idle: Notify,
}

impl Work {
    /// Opens the cache again. Returns true if it was closed.
    pub(crate) fn open(&self) -> bool {
        self.state.swap(OPEN, Ordering::SeqCst) != OPEN
    }

    /// Refuses calls from now on; until the guard is dropped, nothing opens the cache again.
    pub(crate) fn close(self: &Arc<Self>) -> Closing {
        self.shut();
        Closing(Arc::clone(self))
    }

    /// Like [`close`](Self::close), for a caller that ends the close later.
    pub(crate) fn shut(&self) {
        self.state.store(CLOSING, Ordering::SeqCst);
    }

    /// Refuses to open a cache that is just being closed.
    pub(crate) fn check_not_closing(&self) -> Result<()> {
        if self.state.load(Ordering::SeqCst) == CLOSING {
            return Err(Error::new(ErrorKind::Closed, "cache", "the cache is being closed"));
        }
        Ok(())
    }

    /// True if calls are accepted.
    pub(super) fn is_open(&self) -> bool {
        self.state.load(Ordering::SeqCst) == OPEN
    }

    /// True if the cache is closed, and not just being closed.
    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Ordering::SeqCst) == CLOSED
    }

    /// Waits until no work runs any more.
    pub(super) async fn until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if !self.is_busy() {
                return;
            }
            idle.await;
        }
    }

    /// True if `close` would wait.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }
}

/// A close under way.
pub(crate) struct Closing(Arc<Work>);

impl Drop for Closing {
    fn drop(&mut self) {
        let state = &self.0.state;
        let _ = state.compare_exchange(CLOSING, CLOSED, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// Work under way: counted until it is dropped, also if its runtime drops it.
pub(crate) struct Running(Arc<Work>);

pin_project! {
    /// A task that counts as work under way. An async block would be twice the size of the task.
    pub(super) struct Counted<F> {
        #[pin]
        task: F,
        _running: Running,
    }
}

impl<F> Counted<F> {
    pub(super) const fn new(task: F, running: Running) -> Self {
        Self { task, _running: running }
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().task.poll(context)
    }
}

impl Running {
    pub(super) fn new(work: &Arc<Work>) -> Self {
        work.running.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(work))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// The states of a cache. A cache that is being closed accepts no calls.
const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;
