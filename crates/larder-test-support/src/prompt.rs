//! A backend that answers at once, though it has threads of its own.

use bytes::Bytes;
use larder::backend::{
    Backend, Capabilities, Delete, Incarnation, Key, Outcome, Page, Record, Result, Retime,
    StoreTime, Write,
};
use larder_testkit::block_on;

/// Waits for each call on the caller's thread. A test that lets all tasks run until they wait then
/// knows that no task waits for a thread of the backend.
#[derive(Debug)]
pub(crate) struct Prompt<B>(B);

impl<B: Backend> Prompt<B> {
    pub(crate) const fn new(backend: B) -> Self {
        Self(backend)
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper passes everything through")]
impl<B: Backend> Backend for Prompt<B> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        now(self.0.read(keys))
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Record>> {
        now(self.0.read_one(key))
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        now(self.0.write(writes))
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        now(self.0.retime(retimes))
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        now(self.0.delete(deletes))
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        now(self.0.scan(prefix, cursor, limit))
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        now(self.0.purge(limit))
    }

    async fn clock(&self) -> Result<StoreTime> {
        now(self.0.clock())
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        now(self.0.incarnation())
    }

    async fn close(&self) -> Result<()> {
        now(self.0.close())
    }
}

/// Waits for a call. The task's budget of steps is lifted, because it would end before a test's.
fn now<T>(call: impl Future<Output = T>) -> T {
    block_on(tokio::task::unconstrained(call))
}
