//! Many calls side by side: one task runs the protocol of one key for each, and asks the backend
//! only when none of them gets on without an answer.
//!
//! ```text
//!  call call call ──ask──► layer/gather.rs ──one batch──► backend
//!      └── a load, or a copy, that a call has started runs beside them, and outlives them
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use larder_core::{BoxFuture, Error, Result};

use crate::layer::Gather;
use crate::runtime::{self, oneshot};
use crate::sync::lock;

/// What the calls of one batch share.
pub(crate) struct Together {
    gather: Option<Gather>,
    /// Errands that calls have started and nobody runs yet.
    started: Mutex<Vec<BoxFuture<'static, ()>>>,
}

impl Together {
    /// Without a gather there is no backend.
    pub(crate) fn new(gather: Option<Gather>) -> Self {
        Self { gather, started: Mutex::default() }
    }

    /// Takes over an errand, which runs beside the calls.
    pub(crate) fn adopt(&self, errand: BoxFuture<'static, ()>) {
        lock(&self.started).push(errand);
    }

    /// Runs the calls in a task, with what they start; their results in order. `idle` is called
    /// whenever they wait for something else than the backend.
    ///
    /// # Errors
    /// [`NoRuntime`](larder_core::ErrorKind::NoRuntime) outside of a runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the calls running.
    pub(crate) async fn run<T: Send + 'static>(
        self: Arc<Self>,
        calls: Vec<BoxFuture<'static, T>>,
        idle: impl Fn() + Send + 'static,
    ) -> Result<Vec<T>> {
        let (sender, receiver) = oneshot::channel();
        let results = calls.iter().map(|_| None).collect();
        runtime::spawn(runtime::unconstrained(Driver {
            together: self,
            calls: calls.into_iter().map(Some).collect(),
            results,
            has_panicked: false,
            sender: Some(sender),
            errands: Vec::new(),
            sending: None,
            idle: Box::new(idle),
        }))?;
        receiver.await.map_err(|_| Error::panicked("batch"))
    }
}

struct Driver<T> {
    together: Arc<Together>,
    calls: Vec<Option<BoxFuture<'static, T>>>,
    results: Vec<Option<T>>,
    has_panicked: bool,
    /// Takes the results when all are there.
    sender: Option<oneshot::Sender<Vec<T>>>,
    errands: Vec<BoxFuture<'static, ()>>,
    /// What the backend is being asked.
    sending: Option<BoxFuture<'static, ()>>,
    idle: Box<dyn Fn() + Send>,
}

// Its futures are boxed, and its results are moved and never pinned.
impl<T> Unpin for Driver<T> {}

impl<T: Send> Future for Driver<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            self.poll_sending(context);
            while self.poll_calls(context) | self.poll_errands(context) {}
            if self.sending.is_none() {
                self.sending = self.together.gather.as_ref().and_then(Gather::flush);
                if self.sending.is_some() {
                    continue;
                }
                (self.idle)();
            }
            let is_done = self.sender.is_none() && self.errands.is_empty();
            return if is_done { Poll::Ready(()) } else { Poll::Pending };
        }
    }
}

impl<T> Driver<T> {
    fn poll_sending(&mut self, context: &mut Context<'_>) {
        if let Some(sending) = &mut self.sending
            && sending.as_mut().poll(context).is_ready()
        {
            self.sending = None;
        }
    }

    /// Whether one of them has ended.
    fn poll_calls(&mut self, context: &mut Context<'_>) -> bool {
        let mut has_ended = false;
        for (call, result) in self.calls.iter_mut().zip(&mut self.results) {
            let Some(running) = call else { continue };
            // A panic of one is reported when the others have ended.
            let poll = AssertUnwindSafe(|| running.as_mut().poll(context));
            match catch_unwind(poll) {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(output)) => *result = Some(output),
                Err(_) => self.has_panicked = true,
            }
            *call = None;
            has_ended = true;
        }
        if self.calls.iter().all(Option::is_none)
            && let Some(sender) = self.sender.take()
            && !self.has_panicked
        {
            let _ = sender.send(self.results.drain(..).flatten().collect());
        }
        has_ended
    }

    /// Whether one of them has begun or ended.
    fn poll_errands(&mut self, context: &mut Context<'_>) -> bool {
        let before = self.errands.len();
        self.errands.append(&mut lock(&self.together.started));
        let begun = self.errands.len() - before;
        self.errands.retain_mut(|errand| {
            // As in a task of its own: its end, also by a panic, is no matter of the others.
            let poll = AssertUnwindSafe(|| errand.as_mut().poll(context));
            matches!(catch_unwind(poll), Ok(Poll::Pending))
        });
        begun > 0 || self.errands.len() < before + begun
    }
}
