//! Loads of many keys by one call of a loader.
//!
//! Each key has a load of its own, with its flight, its fence and its timeouts; only their loaders
//! ask here, and one call answers all who have asked by then.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::mem::take;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use larder_core::{BoxError, BoxFuture, Error, ErrorKind, Result};

use crate::clock::LocalClock;
use crate::key::CacheKey;
use crate::load::chain::{Inside, Link};
use crate::load::limit::LoadLimit;
use crate::load::loader::{BoxLoader, Ended, Load, Loaded, Loader};
use crate::runtime::{self, Sleep, oneshot, unless};
use crate::sync::lock;

/// A loader of many keys, and the loads that wait for its next call.
pub(crate) struct Asks<K: Hash + Eq, V> {
    waiting: Mutex<Waiting<K, V>>,
    call: Call<K, V>,
    limit: Option<LoadLimit>,
    window: Option<Window>,
}

/// How long the first who asks waits for others, and for how many.
pub(crate) struct Window {
    pub(crate) length: Duration,
    pub(crate) max_keys: usize,
    pub(crate) clock: LocalClock,
}

struct Waiting<K: Hash + Eq, V> {
    asks: Vec<Ask<K, V>>,
    /// Counts the calls: a window that was cut short must not cut the next one.
    calls: u64,
}

struct Ask<K: Hash + Eq, V> {
    load: Load<K, V>,
    answer: oneshot::Sender<Ended<V>>,
}

type Call<K, V> = Box<dyn Fn(Vec<K>) -> BoxFuture<'static, Answers<K, V>> + Send + Sync>;
type Answers<K, V> = Result<HashMap<K, Loaded<V>>>;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Asks<K, V> {
    /// Without a window its owner says when to call.
    pub(crate) fn new<F, Fut, M, L, E>(
        loader: F,
        limit: Option<LoadLimit>,
        window: Option<Window>,
    ) -> Arc<Self>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<M, E>> + Send + 'static,
        M: IntoIterator<Item = (K, L)>,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let call: Call<K, V> = Box::new(move |keys| {
            let loading = loader(keys);
            Box::pin(async move { answers(loading.await) })
        });
        let waiting = Mutex::new(Waiting { asks: Vec::new(), calls: 0 });
        Arc::new(Self { waiting, call, limit, window })
    }

    /// The loader of one key that asks here.
    pub(crate) fn loader(self: &Arc<Self>) -> BoxLoader<K, V> {
        Box::pin(Asking { asks: Arc::clone(self), answer: None })
    }

    /// Calls the loader for those who have asked, in a task of its own.
    pub(crate) fn flush(self: &Arc<Self>) {
        let asks = lock(&self.waiting).take();
        if !asks.is_empty() {
            // Who asks runs in a task, so there is a runtime; a dropped answer is a failed load.
            let _ = runtime::spawn(Arc::clone(self).run(asks));
        }
    }

    fn put(self: &Arc<Self>, load: Load<K, V>) -> oneshot::Receiver<Ended<V>> {
        let (answer, receiver) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        // Who has gone away, maybe with a runtime that had the window's task, waits no longer.
        waiting.asks.retain(|ask| !ask.answer.is_closed());
        waiting.asks.push(Ask { load, answer });
        let Some(window) = &self.window else { return receiver };
        let full = (waiting.asks.len() >= window.max_keys).then(|| waiting.take());
        let is_first = waiting.asks.len() == 1;
        let calls = waiting.calls;
        drop(waiting);
        if let Some(asks) = full {
            let _ = runtime::spawn(Arc::clone(self).run(asks));
        } else if is_first {
            let _ = runtime::spawn(Arc::clone(self).flush_later(calls));
        }
        receiver
    }

    async fn flush_later(self: Arc<Self>, calls: u64) {
        let Some(window) = &self.window else { return };
        Sleep::new(&window.clock, window.length).await;
        if lock(&self.waiting).calls == calls {
            self.flush();
        }
    }

    async fn run(self: Arc<Self>, asks: Vec<Ask<K, V>>) {
        let (loads, mut answers): (Vec<_>, Vec<_>) =
            asks.into_iter().map(|ask| (ask.load, ask.answer)).unzip();
        let link = Link::default();
        // Code in the loader that asks for one of its keys would wait for itself.
        let link_of = |load: &Load<K, V>| load.flight.info().link.clone();
        let waits: Vec<_> =
            loads.iter().filter_map(|load| link_of(load).wait_for(&link).ok()).collect();
        let keys = loads.iter().map(|load| load.key.clone()).collect();
        let hash = |load: &Load<K, V>| load.inner.local.hash(&load.key);
        let call = async {
            let _permit = match &self.limit {
                Some(limit) => unless(needed(&loads), limit.all(loads.iter().map(hash))).await,
                None => None,
            };
            Inside::new(link, async { (self.call)(keys).await }).await
        };
        // Every one of them has run out of its time: nobody is left to be answered.
        let Some(mut called) = unless(abandoned(&mut answers), call).await else { return };
        drop(waits);
        for (load, answer) in loads.into_iter().zip(answers) {
            let _ = answer.send(match &mut called {
                Ok(made) => Ok(made.remove(&load.key).unwrap_or_else(Loaded::absent)),
                Err(error) => Err(error.clone()),
            });
        }
    }
}

impl<K: Hash + Eq, V> Waiting<K, V> {
    fn take(&mut self) -> Vec<Ask<K, V>> {
        self.calls += 1;
        take(&mut self.asks)
    }
}

/// Ends when nobody waits for an answer any more.
async fn abandoned<V>(answers: &mut [oneshot::Sender<Ended<V>>]) {
    poll_fn(|context| {
        let is_gone = |answer: &mut oneshot::Sender<_>| answer.poll_closed(context).is_ready();
        let left = answers.iter_mut().map(is_gone).filter(|is_gone| !is_gone).count();
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Ends when a load that has a permit waits for one of these: they must not wait for that permit.
async fn needed<K: CacheKey, V: Clone + Send + Sync + 'static>(loads: &[Load<K, V>]) {
    let needed = loads.iter().map(|load| &load.flight.info().needed);
    let mut needed: Vec<_> = needed.map(|needed| Box::pin(needed.notified())).collect();
    poll_fn(|context| {
        let is_needed = needed.iter_mut().any(|needed| needed.as_mut().poll(context).is_ready());
        if is_needed { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn answers<K, V, M, L, E>(loaded: std::result::Result<M, E>) -> Answers<K, V>
where
    K: Hash + Eq,
    M: IntoIterator<Item = (K, L)>,
    L: Into<Loaded<V>>,
    E: Into<BoxError>,
{
    match loaded {
        Ok(loaded) => Ok(loaded.into_iter().map(|(key, loaded)| (key, loaded.into())).collect()),
        Err(error) => Err(failed(error.into())),
    }
}

/// A loader that ran elsewhere may have failed as one of ours already.
fn failed(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) if error.kind() == ErrorKind::Loader => *error,
        Ok(error) => Error::with_source(ErrorKind::Loader, "load", error),
        Err(error) => Error::with_source(ErrorKind::Loader, "load", error),
    }
}

/// A load that asks once and waits for the answer.
struct Asking<K: Hash + Eq, V> {
    asks: Arc<Asks<K, V>>,
    answer: Option<oneshot::Receiver<Ended<V>>>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Loader<K, V> for Asking<K, V> {
    fn poll_load(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        load: &mut Option<Load<K, V>>,
    ) -> Poll<Ended<V>> {
        if let Some(load) = load.take() {
            let receiver = self.asks.put(load);
            self.answer = Some(receiver);
        }
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(Error::panicked("load")));
        };
        let answered = Pin::new(answer).poll(context);
        answered.map(|answered| answered.unwrap_or_else(|_| Err(Error::panicked("load"))))
    }
}
