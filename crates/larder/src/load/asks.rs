//! Loads of many keys by one call of a loader.
//!
//! Each key has a load of its own, with its flight, its fence and its timeouts. Only the loaders of
//! these loads ask here, and one call answers all keys that were asked for by then.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem::replace;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use larder_core::{BoxError, BoxFuture, Error, ErrorKind, Result};

use crate::flight::chain::{Inside, Link};
use crate::flight::limit::LoadLimit;
use crate::inner::future_set::FutureSet;
use crate::inner::together::{Moment, Together};
use crate::key::CacheKey;
use crate::layer::LARGEST_BATCH;
use crate::load::loader::{BoxLoader, Ended, Load, Loaded, Loader};
use crate::support::clock::LocalClock;
use crate::support::runtime::{self, Sleep, Slice, oneshot, unconstrained, unless, yield_in_set};
use crate::support::sync::lock;

/// A loader of many keys, and the loads that wait for its next call.
pub(crate) struct Asks<K: Hash + Eq, V> {
    waiting: Mutex<Waiting<K, V>>,
    call: Call<K, V>,
    limit: Option<LoadLimit>,
    window: Option<Window>,
}

/// The time that the first load to ask waits for others, and the most keys of one call.
pub(crate) struct Window {
    pub(crate) length: Duration,
    pub(crate) max_keys: usize,
    pub(crate) clock: LocalClock,
}

struct Waiting<K: Hash + Eq, V> {
    next: Asked<K, V>,
    /// The number of calls so far: a window that was cut short must not cut the next one.
    calls: u64,
    /// True while a task waits for the end of the window.
    is_open: bool,
    /// How many loads had asked when the backend was last read, and how often it was read since.
    rounds: (usize, u32),
}

/// Loads that one call of the loader answers.
struct Asked<K: Hash + Eq, V> {
    asks: Vec<Ask<K, V>>,
    /// A sender that each load shares while it waits.
    wanted: Arc<oneshot::Sender<()>>,
    /// Ends when no load shares the sender any more.
    unwanted: oneshot::Receiver<()>,
}

struct Ask<K: Hash + Eq, V> {
    load: Load<K, V>,
    answer: oneshot::Sender<Ended<V>>,
}

/// A load's wait for its answer.
struct Wait<V> {
    answer: oneshot::Receiver<Ended<V>>,
    _wanted: Arc<oneshot::Sender<()>>,
}

type Call<K, V> = Box<dyn Fn(Vec<K>) -> BoxFuture<'static, Answers<K, V>> + Send + Sync>;
type Answers<K, V> = Result<Vec<(K, Loaded<V>)>>;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Asks<K, V> {
    /// A loader of many keys. Without a window the owner says when to call it.
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
        let next = Asked::new();
        let waiting = Waiting { next, calls: 0, is_open: false, rounds: (0, 0) };
        Arc::new(Self { waiting: Mutex::new(waiting), call, limit, window })
    }

    /// Returns the loader of one key, which asks here.
    pub(crate) fn loader(self: &Arc<Self>) -> BoxLoader<K, V> {
        Box::pin(Asking { asks: Arc::clone(self), answer: None })
    }

    /// Calls the loader for the loads of a batch that have asked, if this is the moment for it.
    pub(crate) fn pass(self: &Arc<Self>, moment: Moment, together: &Arc<Together>) {
        let mut waiting = lock(&self.waiting);
        if waiting.next.asks.is_empty() || (moment == Moment::Round && waiting.may_grow()) {
            return;
        }
        let asked = waiting.take();
        drop(waiting);
        let (this, room) = (Arc::clone(self), Arc::clone(together));
        // The loader runs in a task of its own. Its answers are handed out beside the calls that
        // wait.
        together.adopt(Box::pin(async move {
            let called = runtime::owned(Arc::clone(&this).call(asked)).await;
            if let Ok(Some(called)) = called {
                called.answer(Some(&room)).await;
            }
        }));
    }

    fn put(self: &Arc<Self>, load: Load<K, V>) -> Wait<V> {
        let (answer, receiver) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        waiting.next.asks.push(Ask { load, answer });
        let wait = Wait { answer: receiver, _wanted: Arc::clone(&waiting.next.wanted) };
        let Some(window) = &self.window else { return wait };
        let full = (waiting.next.asks.len() >= window.max_keys).then(|| waiting.take());
        let opens = full.is_none() && !replace(&mut waiting.is_open, true);
        let calls = waiting.calls;
        drop(waiting);
        // A load that asks runs in a task, so there is a runtime. A dropped answer is a failed
        // load.
        if let Some(asked) = full {
            let _ = runtime::spawn(Arc::clone(self).run(asked));
        } else if opens {
            let _ = runtime::spawn(Open { asks: Arc::clone(self), calls }.wait());
        }
        wait
    }

    async fn run(self: Arc<Self>, asked: Asked<K, V>) {
        if let Some(called) = self.call(asked).await {
            called.answer(None).await;
        }
    }

    /// Calls the loader. None if nobody waits for its answer any more.
    async fn call(self: Arc<Self>, asked: Asked<K, V>) -> Option<Called<K, V>> {
        let Asked { asks, wanted, unwanted } = asked;
        drop(wanted);
        let mut slice = Slice::begin();
        let (mut loads, mut senders) = (Vec::new(), Vec::new());
        let (mut keys, mut waits) = (Vec::new(), Vec::new());
        let link = Link::default();
        // Loads that were dropped, maybe with their runtime, wait no longer.
        for Ask { load, answer } in asks.into_iter().filter(|ask| !ask.answer.is_closed()) {
            // Code in the loader that asks for one of its own keys would wait for itself.
            waits.extend(load.flight.info().link.wait_for(&link).ok());
            keys.push(load.key.clone());
            loads.push(load);
            senders.push(answer);
            slice.pause().await;
        }
        if loads.is_empty() {
            return None;
        }
        let hash = |load: &Load<K, V>| load.inner.local.hash(&load.key);
        let call = async {
            let _permit = match &self.limit {
                Some(limit) => unless(needed(&loads), limit.all(loads.iter().map(hash))).await,
                None => None,
            };
            Inside::new(link, async { (self.call)(keys).await }).await
        };
        // Every load has run out of its time: nobody is left to be answered.
        let answers = unless(async { drop(unwanted.await) }, call).await?;
        let mut slice = Slice::begin();
        for wait in waits {
            drop(wait);
            slice.pause().await;
        }
        Some(Called { loads, senders, answers })
    }
}

/// The answers of a loader of many keys, and the loads that wait for them.
struct Called<K: Hash + Eq, V> {
    loads: Vec<Load<K, V>>,
    senders: Vec<oneshot::Sender<Ended<V>>>,
    answers: Answers<K, V>,
}

impl<K: CacheKey, V> Called<K, V> {
    /// Answers each load. In a batch, answers come no faster than the backend takes the results:
    /// until a load has its answer it renews its lease.
    async fn answer(self, batch: Option<&Together>) {
        let mut slice = if batch.is_some() { Slice::begin_in_set() } else { Slice::begin() };
        let mut made = match self.answers {
            Ok(answers) => Ok(by_key(answers, &mut slice).await),
            Err(error) => Err(error),
        };
        for (count, (load, sender)) in self.loads.into_iter().zip(self.senders).enumerate() {
            let _ = sender.send(match &mut made {
                Ok(made) => Ok(made.remove(&load.key).unwrap_or_else(Loaded::absent)),
                Err(error) => Err(error.clone()),
            });
            drop(load);
            match batch {
                Some(batch) if count % LARGEST_BATCH == LARGEST_BATCH - 1 => {
                    // Yields, so that the loads that were answered run first.
                    yield_in_set().await;
                    batch.room().await;
                }
                _ => slice.pause().await,
            }
        }
    }
}

/// Returns the answers by key. The last answer for a key counts.
async fn by_key<K: CacheKey, V>(
    answers: Vec<(K, Loaded<V>)>,
    slice: &mut Slice,
) -> HashMap<K, Loaded<V>> {
    let mut by_key = HashMap::with_capacity(answers.len());
    for (key, loaded) in answers {
        by_key.insert(key, loaded);
        slice.pause().await;
    }
    by_key
}

/// A window that is open until its task ends, or is dropped with its runtime.
struct Open<K: Hash + Eq, V> {
    asks: Arc<Asks<K, V>>,
    calls: u64,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Open<K, V> {
    async fn wait(self) {
        let Some(window) = &self.asks.window else { return };
        Sleep::new(&window.clock, window.length).await;
        if let Some(asked) = self.close() {
            Arc::clone(&self.asks).run(asked).await;
        }
    }

    /// Takes the loads that have asked, unless they have been taken already.
    fn close(&self) -> Option<Asked<K, V>> {
        let mut waiting = lock(&self.asks.waiting);
        (waiting.calls == self.calls).then(|| waiting.take())
    }
}

impl<K: Hash + Eq, V> Drop for Open<K, V> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.asks.waiting);
        if waiting.calls == self.calls {
            waiting.is_open = false;
        }
    }
}

impl<K: Hash + Eq, V> Waiting<K, V> {
    fn take(&mut self) -> Asked<K, V> {
        self.calls += 1;
        self.is_open = false;
        self.rounds = (0, 0);
        replace(&mut self.next, Asked::new())
    }

    /// True if more loads of the batch are likely to ask, after another round of the backend.
    fn may_grow(&mut self) -> bool {
        let asked = self.next.asks.len();
        let (before, rounds) = self.rounds;
        self.rounds = if asked == before { (before, rounds + 1) } else { (asked, 0) };
        self.rounds.1 < PATIENCE
    }
}

impl<K: Hash + Eq, V> Asked<K, V> {
    fn new() -> Self {
        let (wanted, unwanted) = oneshot::channel();
        Self { asks: Vec::new(), wanted: Arc::new(wanted), unwanted }
    }
}

/// A load asks after a few reads. A call that reads more often than this waits for another process,
/// which may in turn wait for a key that is loaded here.
const PATIENCE: u32 = 16;

/// Ends when a load with a permit waits for one of these: they must not wait for that permit.
async fn needed<K: CacheKey, V: Clone + Send + Sync + 'static>(loads: &[Load<K, V>]) {
    let (mut needed, mut slice) = (FutureSet::new(), Slice::begin());
    for load in loads {
        needed.push(Box::pin(unconstrained(load.flight.info().needed.notified())));
        slice.pause().await;
    }
    needed.next().await;
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

/// Wraps a loader's error. A loader that ran elsewhere may have failed with this kind already.
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
    answer: Option<Wait<V>>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Loader<K, V> for Asking<K, V> {
    fn poll_load(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        load: &mut Option<Load<K, V>>,
    ) -> Poll<Ended<V>> {
        if let Some(load) = load.take() {
            let wait = self.asks.put(load);
            self.answer = Some(wait);
        }
        let Some(wait) = &mut self.answer else {
            return Poll::Ready(Err(Error::panicked("load")));
        };
        let answered = Pin::new(&mut wait.answer).poll(context);
        answered.map(|answered| answered.unwrap_or_else(|_| Err(Error::panicked("load"))))
    }
}
