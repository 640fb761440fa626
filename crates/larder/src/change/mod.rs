//! Changes: one path for all changes of entries, at the authority first and then here.
//!
//! Order: the listeners are told that a change begins; the authority makes it, or does not; the
//! local tier follows, whatever the authority answered; the listeners are told that the change is
//! over. Where no tier is below the local one, the local tier is the authority, and there is one
//! step less.

use std::sync::Arc;

use larder_core::{Error, Result};

use crate::change::follow::{Follow, Known};
use crate::change::reach::Reach;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::support::mutation::{self, Rule};
use crate::tier::message::{Ending, Message};
use crate::tier::shared::Shared;

mod at_authority;
mod clear;
mod counter;
mod edit;
mod follow;
mod insert;
mod marks;
mod put;
pub(crate) mod reach;

/// The result of the authority's step, and the step of the local tier after it.
struct Answer<K: CacheKey, V, T> {
    result: Result<T>,
    /// The reason why the authority has not confirmed a change that is made here all the same.
    lost: Option<Error>,
    follow: Follow<K, V>,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Makes a change. `message` is told to the listeners at its beginning; `alone` makes it where
    /// the local tier is the authority, under its lock; `there` makes it at the authority. One of
    /// the two gets the `input`.
    async fn change<Q, I, T, F>(
        self: &Arc<Self>,
        message: Message<&Q, &str>,
        input: I,
        alone: impl FnOnce(&Self, I) -> (T, Ending),
        there: impl FnOnce(Arc<Self>, Arc<Shared<V>>, I) -> F,
    ) -> Result<(T, Reach)>
    where
        Q: ?Sized + Lookup<K>,
        T: Send + 'static,
        F: Future<Output = Answer<K, V, T>> + Send + 'static,
    {
        let Some(shared) = self.stack.below().cloned() else {
            let told = self.begin_telling(message);
            let (answer, ending) = alone(self, input);
            let is_kept = self.end_telling(told, ending).await;
            return Ok((answer, if is_kept { Reach::Confirmed } else { Reach::Local }));
        };
        let (inner, message) = (Arc::clone(self), message.to_owned());
        let there = there(Arc::clone(self), shared, input);
        self.owned(Box::pin(async move {
            let told = inner.begin_telling(message.as_ref());
            if !mutation::holds(Rule::LocalAfterAuthority) {
                inner.apply(message.as_ref(), Known::default());
            }
            let Answer { result, lost, follow } = there.await;
            let ending = match (&follow, &result, &lost) {
                (Follow::Nothing | Follow::Forget, Ok(_), None) => Ending::Unchanged,
                (_, Ok(_), None) => Ending::Confirmed,
                _ => Ending::Unconfirmed,
            };
            if mutation::holds(Rule::LocalAfterAuthority) {
                inner.follow(message.as_ref(), follow);
            }
            let is_kept = inner.end_telling(told, ending).await;
            let reach = match lost {
                Some(error) => inner.unreached(error)?,
                None if is_kept => Reach::Confirmed,
                None => Reach::Local,
            };
            result.map(|answer| (answer, reach))
        }))
        .await?
    }

    /// Tells the listeners that a change begins. Returns the message as they get it; none without
    /// listeners.
    fn begin_telling<Q>(&self, message: Message<&Q, &str>) -> Option<Message<String, String>>
    where
        Q: ?Sized + Lookup<K>,
    {
        let told = (!self.listeners.is_empty()).then(|| message.to_text())?;
        self.listeners.iter().for_each(|listener| listener.began(told.by_text()));
        Some(told)
    }

    /// Tells the listeners that the change is over. Returns true if all of them have the change for
    /// sure.
    async fn end_telling(&self, told: Option<Message<String, String>>, ending: Ending) -> bool {
        let Some(told) = told else { return true };
        // All listeners are told before any of them is waited for.
        let keeping: Vec<_> =
            self.listeners.iter().map(|listener| listener.ended(told.by_text(), ending)).collect();
        let mut is_kept = true;
        for keeping in keeping.into_iter().flatten() {
            is_kept &= keeping.await;
        }
        is_kept
    }
}
