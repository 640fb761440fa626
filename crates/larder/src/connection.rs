//! A backend that is opened when it is needed.

use std::fmt;
use std::mem::replace;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use larder_core::{
    AnyBackend, Backend, Capabilities, Delete, Error, ErrorKind, Incarnation, Key, Outcome, Page,
    Record, Result, Retime, StoreTime, Write,
};

use crate::sync::lock;

/// A backend that is opened when it is first needed, and again when it is needed after it was
/// closed. Cloning shares it.
///
/// What keeps it from being opened is the failure of the call that needed it: the next call tries
/// again.
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
pub struct Connection(Arc<Shared>);

struct Shared {
    capabilities: Capabilities,
    open: Box<Open>,
    reopens: bool,
    /// Locked while the backend is being opened, never across a call of it.
    state: Mutex<State>,
}

type Open = dyn Fn() -> Result<AnyBackend> + Send + Sync;

enum State {
    New,
    Open(AnyBackend),
    Closed,
}

impl Connection {
    /// What `open` opens, with these capabilities. It may block for as long as opening a file takes.
    #[must_use]
    pub fn new(
        capabilities: Capabilities,
        open: impl Fn() -> Result<AnyBackend> + Send + Sync + 'static,
    ) -> Self {
        let (open, state) = (Box::new(open), Mutex::new(State::New));
        Self(Arc::new(Shared { capabilities, open, reopens: true, state }))
    }

    /// The same, unopened, that fails with [`Closed`](ErrorKind::Closed) after it was closed, until
    /// [`connect`](Self::connect).
    #[must_use]
    pub fn once(
        capabilities: Capabilities,
        open: impl Fn() -> Result<AnyBackend> + Send + Sync + 'static,
    ) -> Self {
        let (open, state) = (Box::new(open), Mutex::new(State::New));
        Self(Arc::new(Shared { capabilities, open, reopens: false, state }))
    }

    /// Opens the backend, if it is not open; whether it had to.
    ///
    /// # Errors
    /// What keeps it from being opened.
    pub fn connect(&self) -> Result<bool> {
        let mut state = lock(&self.0.state);
        if matches!(*state, State::Open(_)) {
            return Ok(false);
        }
        *state = State::Open((self.0.open)()?);
        Ok(true)
    }

    /// Closes the backend and opens it anew.
    ///
    /// # Errors
    /// What keeps it from being closed or opened.
    pub async fn reconnect(&self) -> Result<()> {
        self.close().await?;
        self.connect().map(drop)
    }

    /// Whether the backend is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(*lock(&self.0.state), State::Open(_))
    }

    fn backend(&self, operation: &'static str) -> Result<AnyBackend> {
        let mut state = lock(&self.0.state);
        if let State::Open(backend) = &*state {
            return Ok(backend.clone());
        }
        if matches!(*state, State::Closed) && !self.0.reopens {
            return Err(Error::new(ErrorKind::Closed, operation, "the connection is closed"));
        }
        let backend = (self.0.open)()?;
        *state = State::Open(backend.clone());
        Ok(backend)
    }
}

impl Backend for Connection {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        match self.backend("read") {
            Ok(backend) => backend.read(keys).await,
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Record>> {
        self.backend("read")?.read_one(key).await
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        match self.backend("write") {
            Ok(backend) => backend.write(writes).await,
            Err(error) => failed(&error, writes.len()),
        }
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        match self.backend("retime") {
            Ok(backend) => backend.retime(retimes).await,
            Err(error) => failed(&error, retimes.len()),
        }
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        match self.backend("delete") {
            Ok(backend) => backend.delete(deletes).await,
            Err(error) => failed(&error, deletes.len()),
        }
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        self.backend("scan")?.scan(prefix, cursor, limit).await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.backend("purge")?.purge(limit).await
    }

    async fn clock(&self) -> Result<StoreTime> {
        self.backend("clock")?.clock().await
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        self.backend("incarnation")?.incarnation().await
    }

    async fn close(&self) -> Result<()> {
        let before = replace(&mut *lock(&self.0.state), State::Closed);
        match before {
            State::Open(backend) => backend.close().await,
            State::New | State::Closed => Ok(()),
        }
    }
}

/// It was not opened, so surely nothing was applied.
fn failed(error: &Error, count: usize) -> Vec<Outcome> {
    vec![Outcome::Failed(error.clone()); count]
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}
