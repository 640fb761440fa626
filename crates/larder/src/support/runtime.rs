//! The only file that names the asynchronous runtime.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use larder_core::{BoxFuture, Clock, Error, ErrorKind, Result, Timestamp};
use pin_project_lite::pin_project;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::support::clock::{LocalClock, SystemClock};

pub(crate) use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
pub(crate) use tokio::task::{unconstrained, yield_now};

/// A permit to load, given back when it is dropped.
pub(crate) type Permit<'a> = tokio::sync::SemaphorePermit<'a>;

/// A runtime's identity.
pub(crate) type RuntimeId = tokio::runtime::Id;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn coarse(&self) -> Timestamp {
        Self::coarse(self)
    }

    fn wall(&self) -> Option<Duration> {
        Some(Self::wall())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Requires that the caller has a runtime, which drives its timers and tasks.
///
/// # Errors
/// [`NoRuntime`](ErrorKind::NoRuntime) if not.
pub(crate) fn require() -> Result<()> {
    Handle::try_current().map(drop).map_err(|_| no_runtime())
}

/// Starts a task on the caller's runtime.
///
/// # Errors
/// [`NoRuntime`](ErrorKind::NoRuntime) outside of a runtime.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    match Handle::try_current() {
        Ok(handle) => {
            drop(handle.spawn(task));
            Ok(())
        }
        Err(_) => Err(no_runtime()),
    }
}

/// Runs a future to its end on the caller's runtime, also if the caller goes away meanwhile.
pub(crate) async fn owned<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let handle = Handle::try_current().map_err(|_| no_runtime())?;
    handle.spawn(task).await.map_err(|error| {
        if error.is_panic() {
            return Error::panicked("cache");
        }
        Error::new(ErrorKind::Closed, "cache", "the runtime has shut down")
    })
}

/// Starts a thread, which belongs to the caller's runtime if there is one.
pub(crate) fn spawn_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let handle = Handle::try_current().ok();
    let run = move || {
        let _entered = handle.as_ref().map(Handle::enter);
        run();
    };
    let spawned = std::thread::Builder::new().name(name.into()).spawn(run);
    spawned.map(drop).map_err(|error| Error::with_source(ErrorKind::Unavailable, "open", error))
}

/// Runs code that waits for files, on a thread that may wait: here, if there is no runtime.
pub(crate) async fn apart<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let Ok(handle) = Handle::try_current() else { return Ok(task()) };
    handle.spawn_blocking(task).await.map_err(|error| {
        if error.is_panic() {
            return Error::panicked("cache");
        }
        Error::new(ErrorKind::Closed, "cache", "the runtime has shut down")
    })
}

/// The time for which a task has kept its thread. A task that does much by itself, such as
/// decoding, lets others run whenever its slice is over.
pub(crate) struct Slice {
    began: Timestamp,
    is_in_set: bool,
}

impl Slice {
    pub(crate) fn begin() -> Self {
        Self { began: SystemClock.now(), is_in_set: false }
    }

    /// Begins a slice of a future in a set of futures, which must not look idle while this one
    /// pauses.
    pub(crate) fn begin_in_set() -> Self {
        Self { is_in_set: true, ..Self::begin() }
    }

    /// True if the slice is over. Never true for code that blocks its thread: it would wait for the
    /// others on that thread.
    pub(crate) fn is_over(&self) -> bool {
        SystemClock.now().since(self.began) >= SLICE && !BLOCKED.get()
    }

    /// Lets other tasks run if the slice is over.
    pub(crate) async fn pause(&mut self) {
        if !self.is_over() {
            return;
        }
        if self.is_in_set {
            yield_in_set().await;
        } else {
            yield_now().await;
        }
        self.began = SystemClock.now();
    }
}

/// Lets the other futures of a set go on. The future is woken at once and polled behind them, so that
/// the set never looks idle meanwhile. Other tasks run when the task of the set lets them.
pub(crate) async fn yield_in_set() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Wakes the task after others, and the timers, have run.
pub(crate) fn wake_after_others(context: &mut Context<'_>) {
    let _ = pin!(yield_now()).poll(context);
}

/// The length of a slice. It is real time, whatever the cache's clock, because it is the other
/// tasks' time. It is far below the 10 ms that a task may keep its thread, because one step after
/// it may be long.
const SLICE: Duration = Duration::from_millis(2);

/// Returns the caller's runtime, if it runs all of its tasks on one thread.
pub(crate) fn single_threaded() -> Option<RuntimeId> {
    let handle = Handle::try_current().ok()?;
    matches!(handle.runtime_flavor(), RuntimeFlavor::CurrentThread).then(|| handle.id())
}

/// Runs a future on this thread. Other tasks of its runtime move elsewhere where that is possible.
pub(crate) fn blocking<T>(future: impl Future<Output = T>) -> T {
    // A task has so many steps until it must yield. A task that blocks cannot yield: it would wait
    // for ever.
    let run = || {
        let _blocked = Blocked(BLOCKED.replace(true));
        crate::support::park::block_on(unconstrained(future))
    };
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(run),
        _ => run(),
    }
}

thread_local! {
    /// True if this thread is blocked by a future that it runs.
    static BLOCKED: Cell<bool> = const { Cell::new(false) };
}

/// Restores the earlier value when it is dropped.
struct Blocked(bool);

impl Drop for Blocked {
    fn drop(&mut self) {
        BLOCKED.set(self.0);
    }
}

fn no_runtime() -> Error {
    Error::new(ErrorKind::NoRuntime, "cache", "call it from within a tokio runtime")
}

/// A thread with a runtime of its own, for callers that have none. It ends with the last handle.
#[derive(Debug)]
pub(crate) struct IoThread {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl IoThread {
    pub(crate) fn start() -> Result<Self> {
        let failed = |error| Error::with_source(ErrorKind::NoRuntime, "blocking", error);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("larder-io".into())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
            })
            .map_err(failed)?;
        Ok(Self { handle, _stop: stop })
    }

    /// Starts a task on the thread. A call from that very thread, as from a listener, starts it on
    /// another one, which ends with the returned handle.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Option<Self>> {
        if self.is_current() {
            let other = Self::start()?;
            drop(other.handle.spawn(task));
            return Ok(Some(other));
        }
        drop(self.handle.spawn(task));
        Ok(None)
    }

    fn is_current(&self) -> bool {
        Handle::try_current().is_ok_and(|current| current.id() == self.handle.id())
    }

    /// Runs a future on the thread and waits for it on this thread.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let _other = self.spawn(async move { drop(answer.send(task.await)) })?;
        blocking(answered).map_err(|_| Error::panicked("blocking"))
    }
}

pin_project! {
    /// A wait on the cache's clock: without a box for the system's clock, and no wait at all for
    /// ever.
    #[project = SleepProjection]
    pub(crate) enum Sleep {
        Forever,
        System { #[pin] sleep: tokio::time::Sleep },
        Injected { sleep: BoxFuture<'static, ()> },
    }
}

impl Sleep {
    pub(crate) fn new(clock: &LocalClock, duration: Duration) -> Self {
        if duration == larder_core::NEVER {
            return Self::Forever;
        }
        match clock {
            LocalClock::System => Self::System { sleep: tokio::time::sleep(duration) },
            LocalClock::Injected(clock) => Self::Injected { sleep: clock.sleep(duration) },
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.project() {
            SleepProjection::Forever => Poll::Pending,
            SleepProjection::System { sleep } => sleep.poll(context),
            SleepProjection::Injected { sleep } => sleep.as_mut().poll(context),
        }
    }
}

pin_project! {
    /// A future, unless another ends first. It is not an async function, whose future would reserve
    /// space for both twice: a load is several of these, one inside the other.
    pub(crate) struct Unless<E, F> {
        #[pin]
        end: E,
        #[pin]
        future: F,
    }
}

/// Runs a future, unless the sleep ends first.
pub(crate) fn before<F: Future>(sleep: Sleep, future: F) -> Unless<Sleep, F> {
    unless(sleep, future)
}

/// Runs a future, unless another ends first.
pub(crate) fn unless<E: Future<Output = ()>, F: Future>(end: E, future: F) -> Unless<E, F> {
    Unless { end, future }
}

impl<E: Future<Output = ()>, F: Future> Future for Unless<E, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Some(output));
        }
        this.end.poll(context).map(|()| None)
    }
}
