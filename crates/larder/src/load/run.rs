//! Runs the loader, within the limit of concurrent loads and the hard timeout.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use larder_core::{Error, ErrorKind};

use crate::flight::chain::Inside;
use crate::key::CacheKey;
use crate::load::leader::{Leader, Ready};
use crate::load::loader::{BoxLoader, Ended, Load};
use crate::support::runtime::{Sleep, before, unless};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Ready<K, V> {
    /// Returns the arguments of the loader.
    pub(crate) fn load(&self) -> Load<K, V> {
        let stale = self.previous.as_ref().and_then(|entry| entry.content.clone().into_option());
        let Leader { request, ticket } = &self.leader;
        let (key, inner) = (request.key.clone(), Arc::clone(&request.inner));
        Load { key, stale, inner, flight: ticket.follow() }
    }

    /// Runs the loader, for at most the hard timeout and within the limit of concurrent loads.
    pub(super) async fn run_loader(&self, mut loader: BoxLoader<K, V>) -> Ended<V> {
        let inner = &self.leader.request.inner;
        let mut load = Some(self.load());
        let polled = poll_fn(|context| {
            let poll = AssertUnwindSafe(|| loader.as_mut().poll_load(context, &mut load));
            catch_unwind(poll).unwrap_or_else(|_| Poll::Ready(Err(Error::panicked("load"))))
        });
        let link = self.leader.ticket.info().link.clone();
        let needed = &self.leader.ticket.info().needed;
        let limited = async {
            let _permit = match &inner.loads.limit {
                Some(limit) => {
                    unless(needed.notified(), limit.one(self.leader.request.hash)).await.flatten()
                }
                None => None,
            };
            inner.stats().load();
            Inside::new(link, polled).await
        };
        let sleep = Sleep::new(inner.clock(), self.leader.request.settings.hard_timeout);
        let too_slow = || Error::new(ErrorKind::Timeout, "load", "the hard timeout ran out");
        let in_time = before(sleep, limited);
        let ended = match self.renewal() {
            Some(renewal) => unless(renewal, in_time).await.flatten(),
            None => in_time.await,
        };
        let ended = ended.unwrap_or_else(|| Err(too_slow()));
        // The end of the loader is the user's code: a panic there must not keep the lease from
        // being given up.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(loader)));
        ended
    }
}
