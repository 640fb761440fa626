//! Notes of changes beside a snapshot.

use std::time::Duration;

use crate::change::reach::Reach;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::snapshot::{Change, Ticket};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Notes a change that has just been made here, where the local tier is the authority, so that
    /// no snapshot brings back what it took away.
    pub(crate) fn note(&self, change: Change<'_>) -> Ticket {
        self.keeper.as_ref().map_or(Ticket::needless(), |keeper| keeper.note(change))
    }

    /// Waits until a change is noted, and tells how far it reaches.
    pub(crate) async fn noted(&self, ticket: Ticket) -> Reach {
        let Some(keeper) = &self.keeper else { return Reach::Confirmed };
        if keeper.noted(ticket).await { Reach::Confirmed } else { Reach::Local }
    }

    /// The same for a key that has another value now, or none.
    pub(crate) fn note_gone<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Ticket {
        if !self.notes() {
            return Ticket::needless();
        }
        self.note(Change::Key(&key.to_key().to_text()))
    }

    /// How long a snapshot keeps a stale value that had no end.
    pub(crate) fn endless_grace(&self) -> Duration {
        self.keeper.as_ref().map_or(Duration::ZERO, |keeper| keeper.grace())
    }

    /// The same as [`note_gone`](Self::note_gone) for a key whose value is stale now.
    pub(crate) fn note_stale<Q: ?Sized + Lookup<K>>(&self, key: &Q) -> Ticket {
        if !self.notes() {
            return Ticket::needless();
        }
        self.note(Change::StaleKey(&key.to_key().to_text()))
    }

    fn notes(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| keeper.notes())
    }
}
