//! The only file that names the asynchronous runtime.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use larder_core::{BoxFuture, Clock, Error, ErrorKind, Result, Timestamp};
use pin_project_lite::pin_project;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::clock::{LocalClock, SystemClock};

pub(crate) use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
pub(crate) use tokio::task::unconstrained;

/// Leave to load, given back when it is dropped.
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

/// Whether the caller has a runtime, to drive its timers and tasks.
///
/// # Errors
/// [`NoRuntime`](ErrorKind::NoRuntime) if not.
pub(crate) fn require() -> Result<()> {
    Handle::try_current().map(drop).map_err(|_| no_runtime())
}

/// Starts a task on the caller's runtime.
///
/// # Errors
/// [`NoRuntime`](ErrorKind::NoRuntime) outside of one.
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

/// Runs what waits for files on a thread that may wait: here, if there is no runtime.
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

/// The caller's runtime, if it runs all of its tasks on one thread.
pub(crate) fn single_threaded() -> Option<RuntimeId> {
    let handle = Handle::try_current().ok()?;
    matches!(handle.runtime_flavor(), RuntimeFlavor::CurrentThread).then(|| handle.id())
}

/// Runs a future on this thread, letting its runtime's other tasks move elsewhere where that is
/// possible.
pub(crate) fn blocking<T>(future: impl Future<Output = T>) -> T {
    // A task has so many steps until it must yield. One that blocks cannot: it would wait for ever.
    let run = || crate::park::block_on(unconstrained(future));
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(run),
        _ => run(),
    }
}

fn no_runtime() -> Error {
    Error::new(ErrorKind::NoRuntime, "cache", "call it from within a tokio runtime")
}

/// A thread with a runtime of its own, for callers that have none: ends with the last handle.
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

    /// Starts a task there. From that very thread, as a listener may call it, on another one, which
    /// ends with what comes back.
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

    /// Runs a future there and waits for it on this thread.
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
    /// A wait on the cache's clock: without a box for the system's, none at all for ever.
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

/// Runs a future, unless the sleep ends first.
pub(crate) async fn before<T>(sleep: Sleep, future: impl Future<Output = T>) -> Option<T> {
    unless(sleep, future).await
}

/// Runs a future, unless another ends first.
pub(crate) async fn unless<T>(
    end: impl Future<Output = ()>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let (mut end, mut future) = (pin!(end), pin!(future));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        end.as_mut().poll(context).map(|()| None)
    })
    .await
}
