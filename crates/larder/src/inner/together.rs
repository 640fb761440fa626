//! Many calls in one task: each runs the protocol of one key, and their requests to the backend are
//! sent in batches.
//!
//! ```text
//!  call call call ──ask──► layer/gather.rs ──a batch of each operation at a time──► backend
//!      └── a load, or a copy, that a call has started runs beside them, and outlives them
//! ```
//!
//! The work is linear in the number of calls: a call begins when those before it wait, and is
//! polled only after it was woken. A full batch is sent at once; a smaller one is sent when no call
//! gets on without an answer, and a loader is called then. The task lets others run whenever its
//! slice is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use larder_core::{BoxFuture, Error, Result};

use crate::inner::future_set::{FutureSet, Step};
use crate::layer::{Gather, LARGEST_BATCH, Operation};
use crate::support::runtime::{self, Slice, oneshot};
use crate::support::sync::lock;

/// The state that the calls of one batch share.
pub(crate) struct Together {
    /// None without a backend.
    gather: Option<Gather>,
    /// Tasks that calls have started and that are not polled yet.
    started: Mutex<Vec<BoxFuture<'static, ()>>>,
}

/// A moment at which loaders may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// No call gets on with an answer of the backend alone.
    Idle,
    /// The backend was only read, and no call gets on without reading again: the calls may be
    /// polling.
    Round,
}

impl Together {
    pub(crate) fn new(gather: Option<Gather>) -> Self {
        Self { gather, started: Mutex::default() }
    }

    /// Takes over a task, which runs beside the calls.
    pub(crate) fn adopt(&self, task: BoxFuture<'static, ()>) {
        lock(&self.started).push(task);
    }

    /// Waits until the backend keeps up with the calls' requests.
    pub(crate) async fn room(&self) {
        if let Some(gather) = &self.gather {
            gather.room().await;
        }
    }

    /// Runs the calls in a task, with the tasks that they start. Returns their results in the order
    /// in which the calls end. `between` is called at each [`Moment`].
    ///
    /// # Errors
    /// [`NoRuntime`](larder_core::ErrorKind::NoRuntime) outside of a runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the calls running.
    pub(crate) async fn run<T: Send + 'static>(
        self: Arc<Self>,
        calls: impl ExactSizeIterator<Item = BoxFuture<'static, T>> + Send + 'static,
        between: impl Fn(Moment) + Send + 'static,
    ) -> Result<Vec<T>> {
        if calls.len() == 0 {
            return Ok(Vec::new());
        }
        let (sender, receiver) = oneshot::channel();
        runtime::spawn(runtime::unconstrained(Driver {
            together: self,
            results: Vec::with_capacity(calls.len()),
            left: calls.len(),
            calls: Box::new(calls),
            has_panicked: false,
            sender: Some(sender),
            members: FutureSet::new(),
            sending: Vec::new(),
            has_read: false,
            between: Box::new(between),
        }))?;
        receiver.await.map_err(|_| Error::panicked("batch"))
    }
}

struct Driver<T> {
    together: Arc<Together>,
    /// The calls that have not begun.
    calls: Box<dyn Iterator<Item = BoxFuture<'static, T>> + Send>,
    /// The number of calls that have not ended.
    left: usize,
    results: Vec<T>,
    has_panicked: bool,
    /// The channel that takes the results when all are there.
    sender: Option<oneshot::Sender<Vec<T>>>,
    members: FutureSet<Member<T>>,
    /// The operations of which a batch is under way.
    sending: Vec<Operation>,
    /// True if a batch of reads has ended since the last [`Moment`].
    has_read: bool,
    between: Box<dyn Fn(Moment) + Send>,
}

enum Member<T> {
    Call(BoxFuture<'static, T>),
    /// A task that a call has started.
    Task(BoxFuture<'static, ()>),
    Sending(Operation, BoxFuture<'static, ()>),
}

/// The end of a member; a call without a result has panicked.
enum Ended<T> {
    Call(Option<T>),
    Task,
    Sending(Operation),
}

// The driver's futures are boxed, and its results are moved and never pinned.
impl<T> Unpin for Driver<T> {}

impl<T: Send> Future for Driver<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let slice = Slice::begin();
        loop {
            match self.members.step(context) {
                Step::Ended(ended) => self.note(ended),
                Step::Pending => {}
                Step::Idle if self.go_on() => {}
                Step::Idle => break,
            }
            if slice.is_over() {
                self.send_what_is_due();
                runtime::wake_after_others(context);
                return Poll::Pending;
            }
        }
        let is_done = self.sender.is_none() && self.members.len() == 0;
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<T> Driver<T> {
    fn note(&mut self, ended: Ended<T>) {
        match ended {
            Ended::Call(result) => {
                // A panic of one call is reported when the others have ended.
                self.has_panicked |= result.is_none();
                self.results.extend(result);
                self.left -= 1;
            }
            Ended::Task => {}
            Ended::Sending(operation) => {
                self.sending.retain(|sending| *sending != operation);
                self.has_read |= operation == Operation::Read;
            }
        }
        if self.left == 0
            && let Some(sender) = self.sender.take()
            && !self.has_panicked
        {
            let _ = sender.send(std::mem::take(&mut self.results));
        }
    }

    /// Finds work where no member has been woken. Returns true if there is any.
    fn go_on(&mut self) -> bool {
        self.begin_started()
            || self.send_what_is_due()
            || self.begin_call()
            || self.send_what_there_is()
            || self.pass_moment()
    }

    fn begin_started(&mut self) -> bool {
        let started = std::mem::take(&mut *lock(&self.together.started));
        let has_started = !started.is_empty();
        for task in started {
            self.members.push(Member::Task(task));
        }
        has_started
    }

    /// Begins one more call, unless the backend is behind with earlier requests.
    fn begin_call(&mut self) -> bool {
        if self.together.gather.as_ref().is_some_and(Gather::is_full) {
            return false;
        }
        // A call is made from the user's key, whose `Clone` may panic.
        match catch_unwind(AssertUnwindSafe(|| self.calls.next())) {
            Ok(Some(call)) => self.members.push(Member::Call(call)),
            Ok(None) => return false,
            Err(_) => self.note(Ended::Call(None)),
        }
        true
    }

    /// Sends full batches, and the renewals that keep leases alive.
    fn send_what_is_due(&mut self) -> bool {
        self.send(|operation| if operation == Operation::Retime { 1 } else { LARGEST_BATCH })
    }

    fn send_what_there_is(&mut self) -> bool {
        self.send(|_| 1)
    }

    /// Sends a batch of each operation that waits for at least so many calls and has no other batch
    /// under way. Returns true if there was one.
    fn send(&mut self, at_least: impl Fn(Operation) -> usize) -> bool {
        let Some(gather) = &self.together.gather else { return false };
        let before = self.members.len();
        for operation in [Operation::Read, Operation::Write, Operation::Retime, Operation::Delete] {
            if !self.sending.contains(&operation)
                && gather.len(operation) >= at_least(operation)
                && let Some(sending) = gather.take(operation)
            {
                self.sending.push(operation);
                self.members.push(Member::Sending(operation, sending));
            }
        }
        self.members.len() > before
    }

    /// Calls `between` if this is a [`Moment`]. Returns true if that has started a task.
    fn pass_moment(&mut self) -> bool {
        let changes =
            |operation: &Operation| matches!(operation, Operation::Write | Operation::Delete);
        let has_read = std::mem::take(&mut self.has_read);
        let moment = match &self.sending {
            sending if sending.iter().any(changes) => return false,
            sending if !sending.contains(&Operation::Read) => Moment::Idle,
            _ if has_read => Moment::Round,
            _ => return false,
        };
        (self.between)(moment);
        self.begin_started()
    }
}

impl<T> Future for Member<T> {
    type Output = Ended<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended<T>> {
        match self.get_mut() {
            Self::Call(call) => guarded(call, context).map(Ended::Call),
            // A panic ends this task alone, as in a task of its own.
            Self::Task(task) => guarded(task, context).map(|_| Ended::Task),
            Self::Sending(operation, sending) => {
                guarded(sending, context).map(|_| Ended::Sending(*operation))
            }
        }
    }
}

/// Polls a future. A panic ends that future alone.
fn guarded<T>(future: &mut BoxFuture<'static, T>, context: &mut Context<'_>) -> Poll<Option<T>> {
    let poll = AssertUnwindSafe(|| future.as_mut().poll(context));
    catch_unwind(poll).map_or(Poll::Ready(None), |poll| poll.map(Some))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::support::runtime::IoThread;

    /// A future that counts its polls.
    struct Counted<F> {
        future: Pin<Box<F>>,
        polls: Arc<AtomicUsize>,
    }

    impl<F: Future> Future for Counted<F> {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
            self.polls.fetch_add(1, Ordering::Relaxed);
            self.future.as_mut().poll(context)
        }
    }

    /// All calls used to be polled whenever one of them was woken.
    #[test]
    fn a_call_is_polled_when_it_begins_and_when_it_is_woken() {
        const CALLS: usize = 5_000;
        let polls = Arc::new(AtomicUsize::new(0));
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..CALLS).map(|_| oneshot::channel::<usize>()).unzip();
        let calls = receivers.into_iter().map({
            let polls = Arc::clone(&polls);
            move |receiver| -> BoxFuture<'static, usize> {
                let future = Box::pin(async { receiver.await.unwrap() });
                Box::pin(Counted { future, polls: Arc::clone(&polls) })
            }
        });
        let together = Arc::new(Together::new(None));
        let results = IoThread::start().unwrap().run(async move {
            let running = together.run(calls, |_| ());
            runtime::spawn(async move {
                for (count, sender) in senders.into_iter().enumerate() {
                    sender.send(count).unwrap();
                    runtime::yield_now().await;
                }
            })
            .unwrap();
            running.await.unwrap()
        });
        assert_eq!(results.unwrap().iter().sum::<usize>(), CALLS * (CALLS - 1) / 2);
        let polls = polls.load(Ordering::Relaxed);
        assert!(polls <= 2 * CALLS, "{polls} polls of {CALLS} calls");
    }

    #[test]
    fn a_panic_of_one_call_is_reported_when_the_others_have_ended() {
        let ended = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&ended);
        let calls = (0..10).map(move |count| -> BoxFuture<'static, ()> {
            let ended = Arc::clone(&told);
            Box::pin(async move {
                runtime::yield_now().await;
                assert_ne!(count, 3, "expected");
                ended.fetch_add(1, Ordering::SeqCst);
            })
        });
        let together = Arc::new(Together::new(None));
        let run = async move { together.run(calls, |_| ()).await.map(drop) };
        assert!(IoThread::start().unwrap().run(run).unwrap().is_err());
        assert_eq!(ended.load(Ordering::SeqCst), 9);
    }
}
