//! The boxed type that stands for every backend.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Backend, BoxFuture, Capabilities, Delete, Incarnation, Key, Outcome, Page, Record, Result,
    Retime, StoreTime, Write,
};

/// Any backend, shared and boxed. Tiers and wrappers are composed of it.
///
/// Cloning shares the backend. A call costs one box more than the backend's own.
///
/// An `AnyBackend` is a [`Backend`] itself, so a wrapper generic over `Backend` takes both.
#[derive(Clone)]
pub struct AnyBackend(Arc<dyn DynBackend>);

impl AnyBackend {
    /// Boxes a backend.
    #[must_use]
    pub fn new(backend: impl Backend) -> Self {
        Self(Arc::new(backend))
    }
}

impl fmt::Debug for AnyBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyBackend").field(&self.0.dyn_capabilities()).finish()
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper passes everything through")]
impl Backend for AnyBackend {
    fn capabilities(&self) -> Capabilities {
        self.0.dyn_capabilities()
    }

    async fn read(&self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        self.0.dyn_read(keys).await
    }

    async fn read_one(&self, key: &Key) -> Result<Option<Record>> {
        self.0.dyn_read_one(key).await
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        self.0.dyn_write(writes).await
    }

    async fn retime(&self, retimes: &[Retime]) -> Vec<Outcome> {
        self.0.dyn_retime(retimes).await
    }

    async fn delete(&self, deletes: &[Delete]) -> Vec<Outcome> {
        self.0.dyn_delete(deletes).await
    }

    async fn scan(&self, prefix: &[u8], cursor: Option<Bytes>, limit: usize) -> Result<Page> {
        self.0.dyn_scan(prefix, cursor, limit).await
    }

    async fn purge(&self, limit: usize) -> Result<usize> {
        self.0.dyn_purge(limit).await
    }

    async fn clock(&self) -> Result<StoreTime> {
        self.0.dyn_clock().await
    }

    async fn incarnation(&self) -> Result<Incarnation> {
        self.0.dyn_incarnation().await
    }

    async fn close(&self) -> Result<()> {
        self.0.dyn_close().await
    }
}

/// The boxed twin. Its names differ, so that both traits can be in scope.
trait DynBackend: Send + Sync {
    fn dyn_capabilities(&self) -> Capabilities;
    fn dyn_read<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Vec<Result<Option<Record>>>>;
    fn dyn_read_one<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Record>>>;
    fn dyn_write<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Vec<Outcome>>;
    fn dyn_retime<'a>(&'a self, retimes: &'a [Retime]) -> BoxFuture<'a, Vec<Outcome>>;
    fn dyn_delete<'a>(&'a self, deletes: &'a [Delete]) -> BoxFuture<'a, Vec<Outcome>>;
    fn dyn_scan<'a>(
        &'a self,
        prefix: &'a [u8],
        cursor: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page>>;
    fn dyn_purge(&self, limit: usize) -> BoxFuture<'_, Result<usize>>;
    fn dyn_clock(&self) -> BoxFuture<'_, Result<StoreTime>>;
    fn dyn_incarnation(&self) -> BoxFuture<'_, Result<Incarnation>>;
    fn dyn_close(&self) -> BoxFuture<'_, Result<()>>;
}

impl<B: Backend> DynBackend for B {
    fn dyn_capabilities(&self) -> Capabilities {
        self.capabilities()
    }

    fn dyn_read<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Vec<Result<Option<Record>>>> {
        Box::pin(self.read(keys))
    }

    fn dyn_read_one<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Record>>> {
        Box::pin(self.read_one(key))
    }

    fn dyn_write<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(self.write(writes))
    }

    fn dyn_retime<'a>(&'a self, retimes: &'a [Retime]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(self.retime(retimes))
    }

    fn dyn_delete<'a>(&'a self, deletes: &'a [Delete]) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(self.delete(deletes))
    }

    fn dyn_scan<'a>(
        &'a self,
        prefix: &'a [u8],
        cursor: Option<Bytes>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        Box::pin(self.scan(prefix, cursor, limit))
    }

    fn dyn_purge(&self, limit: usize) -> BoxFuture<'_, Result<usize>> {
        Box::pin(self.purge(limit))
    }

    fn dyn_clock(&self) -> BoxFuture<'_, Result<StoreTime>> {
        Box::pin(self.clock())
    }

    fn dyn_incarnation(&self) -> BoxFuture<'_, Result<Incarnation>> {
        Box::pin(self.incarnation())
    }

    fn dyn_close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.close())
    }
}
