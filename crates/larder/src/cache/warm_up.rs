//! Loading keys before anybody asks for them.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder_core::{BoxError, Error, ErrorKind, Result};

use crate::cache::Cache;
use crate::inner::future_set::FutureSet;
use crate::key::CacheKey;
use crate::load::loader::{Load, Loaded};
use crate::support::runtime::Slice;

/// Progress of a [warm-up](Cache::warm_up).
#[derive(Clone)]
#[non_exhaustive]
pub struct WarmUp<K> {
    /// Number of keys loaded by this warm-up, including those the loader found absent.
    pub loaded: u64,
    /// Number of keys that were there, or were being loaded by somebody else.
    pub present: u64,
    /// Keys that failed, each with its error.
    pub failed: Vec<(K, Error)>,
}

impl<K> WarmUp<K> {
    /// Number of keys that are done, failed ones included.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.loaded + self.present + self.failed.len() as u64
    }

    fn note(&mut self, key: K, ended: Result<bool>) {
        match ended {
            Ok(true) => self.loaded += 1,
            Ok(false) => self.present += 1,
            Err(error) => self.failed.push((key, error)),
        }
    }
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Loads the keys that are missing, at most so many at once, in this order. `progress` is
    /// called after each.
    ///
    /// A key that fails is one of [`failed`](WarmUp::failed), and does not keep the others from
    /// being loaded. Each is loaded as by [`load`](Self::load), together with other callers that
    /// ask for it meanwhile.
    ///
    /// ```
    /// use larder::{Cache, Load};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let cache = Cache::<u64, String>::new(1_000)?;
    /// let loader = |load: Load<u64, String>| async move {
    ///     if load.key == 7 {
    ///         return Err(std::io::Error::other("no such user"));
    ///     }
    ///     Ok(format!("user {}", load.key))
    /// };
    /// let warm = cache.warm_up(0..100, 8, loader, |warm| assert!(warm.done() <= 100)).await?;
    /// assert_eq!((warm.loaded, warm.failed.len()), (99, 1));
    /// # Ok::<_, larder::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if none may be loaded at once,
    /// [`Closed`](ErrorKind::Closed) after `close`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the loads that have begun running, and begins no more.
    #[doc(alias("warmup", "preload", "prefetch"))]
    pub async fn warm_up<I, F, Fut, L, E>(
        &self,
        keys: I,
        at_once: usize,
        loader: F,
        mut progress: impl FnMut(&WarmUp<K>) + Send,
    ) -> Result<WarmUp<K>>
    where
        I: IntoIterator<Item = K>,
        I::IntoIter: Send,
        F: Fn(Load<K, V>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = std::result::Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        if at_once == 0 {
            let message = "the number of concurrent loads must be at least 1";
            return Err(Error::new(ErrorKind::InvalidInput, "warm up", message));
        }
        self.check()?;
        let (mut keys, mut loads) = (keys.into_iter(), FutureSet::<Loading<'_, K>>::new());
        let mut warm = WarmUp { loaded: 0, present: 0, failed: Vec::new() };
        let mut slice = Slice::begin();
        loop {
            for key in keys.by_ref().take(at_once - loads.len()) {
                loads.push(Box::pin(self.warm(key, loader.clone())));
            }
            let Some((key, ended)) = loads.next().await else { return Ok(warm) };
            warm.note(key, ended);
            progress(&warm);
            // A long run of keys that are all there would let no other task run.
            slice.pause().await;
        }
    }

    /// Loads a key that is not there. True if the loader was run for it.
    async fn warm<F, Fut, L, E>(&self, key: K, loader: F) -> (K, Result<bool>)
    where
        F: Fn(Load<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = std::result::Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let has_run = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&has_run);
        let loader = move |load| {
            told.store(true, Ordering::Relaxed);
            loader(load)
        };
        let ended = self.load(&key, loader).await;
        (key, ended.map(|_| has_run.load(Ordering::Relaxed)))
    }
}

/// A load under way. Ends with true if its loader has run, or with the reason why it failed.
type Loading<'a, K> = Pin<Box<dyn Future<Output = (K, Result<bool>)> + Send + 'a>>;

impl<K> fmt::Debug for WarmUp<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmUp")
            .field("loaded", &self.loaded)
            .field("present", &self.present)
            .field("failed", &self.failed.len())
            .finish_non_exhaustive()
    }
}
