//! Loading many keys with a loader that runs on the calling thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use larder_core::{BoxError, Error, Result};

use crate::cache::many::to_keys;
use crate::cache::{Batch, Blocking};
use crate::flight::chain::Link;
use crate::flight::info::Caller;
use crate::key::CacheKey;
use crate::load::asks::Asks;
use crate::load::loader::Loaded;
use crate::lookup::Lookup;
use crate::support::runtime::{blocking, mpsc, oneshot};

/// A request to this thread from the calls, which run elsewhere.
enum Wish<K, V> {
    /// Run the loader for these keys.
    Load(Vec<K>, Option<Link>, oneshot::Sender<Answers<K, V>>),
    /// Stop: this is the result.
    End(Result<Vec<(K, Result<Option<V>>)>>),
}

type Answers<K, V> = std::result::Result<Vec<(K, Loaded<V>)>, BoxError>;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Blocking<'_, K, V> {
    /// Blocking form of [`Cache::get_many`](crate::Cache::get_many).
    ///
    /// # Errors
    /// As [`Cache::get_many`](crate::Cache::get_many).
    pub fn get_many<'q, Q>(&self, keys: impl IntoIterator<Item = &'q Q>) -> Result<Batch<K, V>>
    where
        Q: ?Sized + Lookup<K> + 'q,
    {
        let (cache, keys, caller) = (self.cache.clone(), to_keys(keys), Caller::blocking());
        self.run(async move { cache.look_up(keys, &caller).await })?
    }

    /// Blocking form of [`Cache::get_many_with`](crate::Cache::get_many_with), with a loader that
    /// runs on this thread.
    ///
    /// # Errors
    /// As [`Cache::get_many_with`](crate::Cache::get_many_with).
    pub fn get_many_with<'q, Q, F, M, L, E>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        mut loader: F,
    ) -> Result<Batch<K, V>>
    where
        Q: ?Sized + Lookup<K> + 'q,
        F: FnMut(Vec<K>) -> std::result::Result<M, E>,
        M: IntoIterator<Item = (K, L)>,
        L: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        self.cache.check()?;
        let (batch, missing) = blocking(self.cache.held_here(to_keys(keys)));
        if missing.is_empty() {
            return Ok(batch);
        }
        let (sender, mut wishes) = mpsc::channel(1);
        let loads = self.cache.load_each(missing, asks(sender.clone()), &Caller::blocking());
        let _other = self.io()?.spawn(async move {
            let end = Wish::End(loads.await);
            let _ = sender.send(end).await;
        })?;
        let mut load = |keys| match loader(keys) {
            Ok(made) => Ok(made.into_iter().map(|(key, made)| (key, made.into())).collect()),
            Err(error) => Err(error.into()),
        };
        loop {
            match blocking(wishes.recv()) {
                Some(Wish::Load(keys, link, answer)) => {
                    let _ = answer.send(run(|| load(keys), link.as_ref()));
                }
                Some(Wish::End(results)) => return Ok(blocking(batch.with(results?))),
                None => return Err(Error::panicked("batch")),
            }
        }
    }
}

/// Makes a loader that lets another thread load.
fn asks<K, V>(wishes: mpsc::Sender<Wish<K, V>>) -> Arc<Asks<K, V>>
where
    K: CacheKey,
    V: Clone + Send + Sync + 'static,
{
    let loader = move |keys| {
        let wishes = wishes.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            let _ = wishes.send(Wish::Load(keys, Link::current(), answer)).await;
            answered.await.unwrap_or_else(|_| Err(Error::panicked("load").into()))
        }
    };
    // A loader on its caller's own thread takes no permit.
    Asks::new(loader, None, None)
}

/// Runs a loader here, inside the load that it belongs to.
fn run<K, V>(load: impl FnOnce() -> Answers<K, V>, link: Option<&Link>) -> Answers<K, V> {
    let inside = || match link {
        Some(link) => link.enter(load),
        None => load(),
    };
    let panicked = |_| Err(Error::panicked("load").into());
    catch_unwind(AssertUnwindSafe(inside)).unwrap_or_else(panicked)
}
