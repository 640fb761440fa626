//! A backend that is opened when it is needed.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    AnyBackend, Backend, Capabilities, Delete, Error, ErrorKind, Incarnation, Key, Outcome, Page,
    Record, Result, Retime, StoreTime, Timestamp, Write,
};

use crate::support::clock::SystemClock;
use crate::support::park::block_on;
use crate::support::runtime::{Notify, spawn_thread};
use crate::support::sync::lock;

/// A backend that is opened when it is first needed, and again when it is needed after it was
/// closed. Cloning shares it.
///
/// It is opened on a thread of its own, once for all calls that need it: each waits for as long as
/// its own timeout allows. An error that keeps the backend from being opened is the failure of
/// these calls, and of those that come within half a second; the next one tries again.
///
/// ```
/// use std::sync::Arc;
/// use larder::backend::{AnyBackend, Capabilities, Scope};
/// use larder::{Cache, Connection, MemoryBackend, SystemClock};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let open = || Ok(AnyBackend::new(MemoryBackend::new(Arc::new(SystemClock))));
/// let connection = Connection::new(Capabilities::new(Scope::Process), open);
/// let cache = Cache::<u64, String>::builder().backend(connection.clone()).build()?;
/// assert!(!connection.is_open());
/// cache.insert(7, "soup".to_owned()).await?;
/// assert!(connection.is_open());
/// # Ok::<_, larder::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    capabilities: Capabilities,
    open: Box<Open>,
    reopens: bool,
    state: Mutex<State>,
    /// Notified when the opening thread has ended.
    ended: Notify,
}

type Open = dyn Fn() -> Result<AnyBackend> + Send + Sync;

/// Locked for a moment, never while the backend is opened or called.
struct State {
    phase: Phase,
    is_closed: bool,
    /// The error of the last failed opening, and its time.
    failed: Option<(Error, Timestamp)>,
}

enum Phase {
    Idle,
    /// The opening thread is at work. It closes the backend again unless a call wants it.
    Opening {
        is_wanted: bool,
    },
    Open(AnyBackend),
}

/// The reason why a call asks for the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// A call of the backend: fails at once if the backend could not be opened a moment ago.
    Call,
    /// A call that connects on purpose: tries again.
    Connect,
}

impl Connection {
    /// A connection to the backend that `open` opens, with these capabilities. `open` may block: it
    /// runs on a thread of its own.
    #[must_use]
    pub fn new(
        capabilities: Capabilities,
        open: impl Fn() -> Result<AnyBackend> + Send + Sync + 'static,
    ) -> Self {
        Self::build(capabilities, Box::new(open), true)
    }

    /// An unopened connection that does not reopen by itself. After it was closed, calls fail with
    /// [`Closed`](ErrorKind::Closed) until [`connect`](Self::connect).
    #[must_use]
    pub fn once(
        capabilities: Capabilities,
        open: impl Fn() -> Result<AnyBackend> + Send + Sync + 'static,
    ) -> Self {
        Self::build(capabilities, Box::new(open), false)
    }

    fn build(capabilities: Capabilities, open: Box<Open>, reopens: bool) -> Self {
        let state = Mutex::new(State { phase: Phase::Idle, is_closed: false, failed: None });
        Self(Arc::new(Inner { capabilities, open, reopens, state, ended: Notify::new() }))
    }

    /// Opens the backend, if it is not open. Returns true if it had to be opened.
    ///
    /// # Errors
    /// The error that keeps the backend from being opened.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the backend to be opened, or closed.
    pub async fn connect(&self) -> Result<bool> {
        if self.is_open() {
            return Ok(false);
        }
        lock(&self.0.state).is_closed = false;
        self.opened("connect", Need::Connect).await.map(|_| true)
    }

    /// Closes the backend and opens it anew.
    ///
    /// # Errors
    /// The error that keeps the backend from being closed or opened.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the backend open or closed.
    pub async fn reconnect(&self) -> Result<()> {
        self.close().await?;
        self.connect().await.map(drop)
    }

    /// Returns true if the backend is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(lock(&self.0.state).phase, Phase::Open(_))
    }

    async fn backend(&self, operation: &'static str) -> Result<AnyBackend> {
        self.opened(operation, Need::Call).await
    }

    /// Returns the backend, once it is open.
    async fn opened(&self, operation: &'static str, need: Need) -> Result<AnyBackend> {
        let mut has_waited = false;
        loop {
            let ended = {
                let mut state = lock(&self.0.state);
                if state.is_closed && !self.0.reopens {
                    return Err(closed(operation));
                }
                match &mut state.phase {
                    Phase::Open(backend) => return Ok(backend.clone()),
                    Phase::Opening { is_wanted } => *is_wanted = true,
                    Phase::Idle => {
                        if let Some(error) = state.failure(need, has_waited) {
                            return Err(error);
                        }
                        if has_waited {
                            // The connection was closed while the backend was being opened.
                            return Err(closed(operation));
                        }
                        let shared = Arc::clone(&self.0);
                        spawn_thread("larder-open", move || shared.open())?;
                        state.phase = Phase::Opening { is_wanted: true };
                        state.is_closed = false;
                    }
                }
                // The notification is requested under the lock, so it hears of the end of this
                // opening.
                self.0.ended.notified()
            };
            ended.await;
            has_waited = true;
        }
    }
}

impl Inner {
    /// Opens the backend. Runs on a thread of its own, one at a time.
    fn open(&self) {
        let opened = catch_unwind(AssertUnwindSafe(|| (self.open)()));
        let opened = opened.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "open", "opening the backend panicked"))
        });
        let mut state = lock(&self.state);
        let is_wanted = matches!(state.phase, Phase::Opening { is_wanted: true });
        let (phase, unwanted) = match opened {
            Ok(backend) if is_wanted => (Phase::Open(backend), None),
            Ok(backend) => (Phase::Idle, Some(backend)),
            Err(error) => {
                state.failed = is_wanted.then(|| (error, SystemClock.now()));
                (Phase::Idle, None)
            }
        };
        state.phase = phase;
        drop(state);
        self.ended.notify_waiters();
        if let Some(backend) = unwanted {
            // No call has used the backend, and nobody waits for its end.
            let _ = block_on(backend.close());
        }
    }
}

impl State {
    /// Returns the reason why the backend is not opened now.
    fn failure(&self, need: Need, has_waited: bool) -> Option<Error> {
        let (error, at) = self.failed.as_ref()?;
        let is_recent = SystemClock.now().since(*at) < REMEMBERED;
        (has_waited || (need == Need::Call && is_recent)).then(|| error.clone())
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper passes everything through")]
impl Backend for Connection {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        match self.backend("read").await {
            Ok(backend) => backend.read(keys).await,
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Record>> {
        self.backend("read").await?.read_one(key).await
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        match self.backend("write").await {
            Ok(backend) => backend.write(writes).await,
            Err(error) => failed(&error, writes.len()),
        }
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        match self.backend("retime").await {
            Ok(backend) => backend.retime(retimes).await,
            Err(error) => failed(&error, retimes.len()),
        }
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        match self.backend("delete").await {
            Ok(backend) => backend.delete(deletes).await,
            Err(error) => failed(&error, deletes.len()),
        }
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        self.backend("scan").await?.scan(prefix, cursor, limit).await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.backend("purge").await?.purge(limit).await
    }

    async fn clock(&self) -> Result<StoreTime> {
        self.backend("clock").await?.clock().await
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        // A caller that connects on purpose asks for the incarnation.
        self.opened("incarnation", Need::Connect).await?.incarnation().await
    }

    async fn close(&self) -> Result<()> {
        let open = {
            let mut state = lock(&self.0.state);
            (state.is_closed, state.failed) = (true, None);
            match &mut state.phase {
                Phase::Idle => None,
                Phase::Opening { is_wanted } => {
                    *is_wanted = false;
                    None
                }
                Phase::Open(backend) => {
                    let backend = backend.clone();
                    state.phase = Phase::Idle;
                    Some(backend)
                }
            }
        };
        match open {
            Some(backend) => backend.close().await,
            None => Ok(()),
        }
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the connection is closed")
}

/// Returns failures: the backend was not opened, so surely nothing was applied.
fn failed(error: &Error, count: usize) -> Vec<Outcome> {
    vec![Outcome::Failed(error.clone()); count]
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

/// The time for which a failed opening answers calls: an outage does not make each of them wait.
const REMEMBERED: Duration = Duration::from_millis(500);
