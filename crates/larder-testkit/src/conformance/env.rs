//! The environment that a backend's author supplies: it opens the store and passes time.

use std::fmt;
use std::thread;
use std::time::Duration;

use larder_core::{AnyBackend, Backend, BoxFuture};

use crate::{ManualClock, block_on};

/// The environment of a case: it opens the store and lets its time pass. Each case runs in one of
/// its own.
///
/// A store in memory takes [`ManualEnv`]. One behind a driver implements [`open`](Env::open), and
/// [`run`](Env::run) if the driver needs a runtime.
pub trait Env: Send + Sync + 'static {
    /// Opens a backend that nobody else closes.
    ///
    /// Its store may be shared with other cases, and with earlier runs: every trial has names that
    /// no other trial uses. It has room for some 10 MiB, so that nothing is evicted.
    fn open(&self) -> BoxFuture<'_, AnyBackend>;

    /// Lets the store's time pass. Blocks the thread that long by default.
    fn pass(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { wait(duration) })
    }

    /// Returns the smallest step of the store's clock, if [`pass`](Env::pass) alone moves that
    /// clock.
    ///
    /// None, the default, if time passes by itself: cases about the very moment of death are then
    /// skipped.
    fn resolution(&self) -> Option<Duration> {
        None
    }

    /// Runs a task to its end. Called from several threads at once.
    ///
    /// [`block_on`] by default; an adapter whose driver needs a runtime names it here.
    fn run(&self, task: BoxFuture<'_, ()>) {
        block_on(task);
    }
}

/// The environment of a store that reckons with an injected clock.
///
/// ```
/// use larder_testkit::ManualClock;
/// use larder_testkit::conformance::ManualEnv;
/// # use larder_core::Backend;
/// # fn setup<B: Backend>(my_backend: impl Fn(ManualClock) -> B + Send + Sync + 'static) -> ManualEnv {
/// ManualEnv::new(move |clock| my_backend(clock))
/// # }
/// ```
pub struct ManualEnv {
    clock: ManualClock,
    open: Box<dyn Fn(ManualClock) -> AnyBackend + Send + Sync>,
    resolution: Duration,
}

impl ManualEnv {
    /// Returns an environment over a manual clock, exact to the nanosecond.
    #[must_use]
    pub fn new<B: Backend>(open: impl Fn(ManualClock) -> B + Send + Sync + 'static) -> Self {
        Self {
            clock: ManualClock::new(),
            open: Box::new(move |clock| AnyBackend::new(open(clock))),
            resolution: Duration::from_nanos(1),
        }
    }

    /// Sets the smallest step of the store's time, such as a microsecond.
    #[must_use]
    pub fn with_resolution(mut self, resolution: Duration) -> Self {
        self.resolution = resolution;
        self
    }
}

impl fmt::Debug for ManualEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualEnv")
            .field("clock", &self.clock)
            .field("resolution", &self.resolution)
            .finish_non_exhaustive()
    }
}

impl Env for ManualEnv {
    fn open(&self) -> BoxFuture<'_, AnyBackend> {
        Box::pin(async { (self.open)(self.clock.clone()) })
    }

    fn pass(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.clock.advance(duration) })
    }

    fn resolution(&self) -> Option<Duration> {
        Some(self.resolution)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a store with time of its own can only be waited for"
)]
fn wait(duration: Duration) {
    thread::sleep(duration);
}
