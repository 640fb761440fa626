//! Loads as the tests make them: a source that counts, a failure, a loader that waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use larder::backend::Result;
use larder::{Cache, Options};
use tokio::sync::Semaphore;

/// A source whose loads are counted: each gives the number of its load.
#[derive(Clone, Default)]
pub(crate) struct Source {
    loads: Arc<AtomicU32>,
}

impl Source {
    pub(crate) fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }

    pub(crate) fn next(&self) -> u32 {
        self.loads.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) async fn get(&self, cache: &Cache<String, u32>, key: &str) -> Result<u32> {
        let source = self.clone();
        cache.get_with(key, || async move { source.next() }).await
    }

    pub(crate) async fn fail(&self, cache: &Cache<String, u32>, key: &str) -> Result<u32> {
        let source = self.clone();
        cache.try_get_with(key, || async move { Err(Refused(source.next())) }).await
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Refused(pub(crate) u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// A loader that waits until a test lets it go, and then gives this value.
pub(crate) fn gated(gate: &Arc<Semaphore>, value: u32) -> impl FnOnce() -> Gated + Send + 'static {
    let gate = Arc::clone(gate);
    move || {
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            value
        })
    }
}

pub(crate) type Gated = std::pin::Pin<Box<dyn Future<Output = u32> + Send>>;

pub(crate) fn gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

pub(crate) fn stale_too<V: Clone + Send + Sync + 'static>(
    cache: &Cache<String, V>,
) -> Cache<String, V> {
    cache.with(Options::new().allow_stale(true))
}
