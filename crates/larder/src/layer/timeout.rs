//! A backend that answers within a time limit.

use std::time::Duration;

use bytes::Bytes;
use larder_core::{
    AnyBackend, Backend, Capabilities, Delete, Error, ErrorKind, Incarnation, Key, Outcome, Page,
    Record, Result, Retime, StoreTime, Write,
};

use crate::support::clock::LocalClock;
use crate::support::runtime::{Sleep, before};

/// Ends each call of a backend after a time. A read then fails with
/// [`Timeout`](ErrorKind::Timeout); a change is [`Outcome::Unknown`], as it may still be applied.
#[derive(Clone, Debug)]
pub(crate) struct Timeout<B> {
    inner: B,
    clock: LocalClock,
    limit: Duration,
}

/// A backend whose time limit is not known yet.
pub(crate) type Untimed = Box<dyn FnOnce(LocalClock, Duration) -> AnyBackend + Send + Sync>;

/// Makes a backend that waits for its time limit, so that both are boxed at once: a call costs one
/// box.
pub(crate) fn untimed(backend: impl Backend) -> Untimed {
    Box::new(|clock, limit| AnyBackend::new(Timeout::new(backend, clock, limit)))
}

impl<B: Backend> Timeout<B> {
    pub(crate) const fn new(inner: B, clock: LocalClock, limit: Duration) -> Self {
        Self { inner, clock, limit }
    }

    async fn within<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        before(Sleep::new(&self.clock, self.limit), call).await
    }

    async fn result<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.within(call).await.unwrap_or_else(|| Err(too_slow(operation)))
    }

    async fn outcomes(
        &self,
        operation: &'static str,
        count: usize,
        call: impl Future<Output = Vec<Outcome>>,
    ) -> Vec<Outcome> {
        let unknown = || vec![Outcome::Unknown(too_slow(operation)); count];
        self.within(call).await.unwrap_or_else(unknown)
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper passes everything through")]
impl<B: Backend> Backend for Timeout<B> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        let failed = || keys.iter().map(|_| Err(too_slow("read"))).collect();
        self.within(self.inner.read(keys)).await.unwrap_or_else(failed)
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Record>> {
        self.result("read", self.inner.read_one(key)).await
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        self.outcomes("write", writes.len(), self.inner.write(writes)).await
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        self.outcomes("retime", retimes.len(), self.inner.retime(retimes)).await
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        self.outcomes("delete", deletes.len(), self.inner.delete(deletes)).await
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        self.result("scan", self.inner.scan(prefix, cursor, limit)).await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.result("purge", self.inner.purge(limit)).await
    }

    async fn clock(&self) -> Result<StoreTime> {
        self.result("clock", self.inner.clock()).await
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        self.result("incarnation", self.inner.incarnation()).await
    }

    async fn close(&self) -> Result<()> {
        self.result("close", self.inner.close()).await
    }
}

fn too_slow(operation: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, operation, "the backend did not answer in time")
}
