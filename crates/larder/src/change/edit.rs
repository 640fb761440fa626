//! Edits: changes of a key that need no new value.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Expect, Key, Record, Result, Times, Timestamp};

use crate::change::Answer;
use crate::change::follow::{Follow, Known};
use crate::change::reach::{Reach, lost};
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::lookup::Lookup;
use crate::ops::edit::{Edit, Edited, Subject};
use crate::options::Settings;
use crate::tier::entry::{Entry, Metadata};
use crate::tier::freshness::attend_at;
use crate::tier::local::Edition;
use crate::tier::message::{Ending, Message};
use crate::tier::shared::Shared;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Removes the key everywhere.
    pub(crate) async fn invalidate<Q>(self: &Arc<Self>, key: &Q) -> Result<Reach>
    where
        Q: ?Sized + Lookup<K>,
    {
        let alone = |inner: &Self, ()| {
            inner.drop_here(key);
            ((), Ending::Confirmed)
        };
        let there = |_: Arc<Self>, shared: Arc<Shared<V>>, ()| {
            let key = key.to_key();
            async move {
                let name = shared.key(&key);
                let outcome = shared.authority.remote.delete(&name, Expect::Any).await;
                let follow = Follow::Apply(Known::default());
                Answer { result: Ok(()), lost: lost(outcome), follow }
            }
        };
        self.change(Message::Key(key), (), alone, there).await.map(|((), reach)| reach)
    }

    /// Makes an edit to the entry under the key. Returns the entry as it was before, if the edit
    /// was made to it.
    pub(crate) async fn edit<Q>(
        self: &Arc<Self>,
        key: &Q,
        settings: &Settings,
        edit: Edit,
    ) -> Result<Option<Entry<V>>>
    where
        Q: ?Sized + Lookup<K>,
    {
        let message = match edit {
            Edit::MarkStale => Message::StaleKey(key),
            _ => Message::Key(key),
        };
        let alone = |inner: &Self, ()| inner.edit_alone(key, settings, edit);
        let there = |inner: Arc<Self>, shared: Arc<Shared<V>>, ()| {
            let (key, settings) = (key.to_key(), settings.clone());
            async move { inner.edit_there(&shared, &shared.key(&key), settings, edit).await }
        };
        self.change(message, (), alone, there).await.map(|(entry, _)| entry)
    }

    fn edit_alone<Q: ?Sized + Lookup<K>>(
        &self,
        key: &Q,
        settings: &Settings,
        edit: Edit,
    ) -> (Option<Entry<V>>, Ending) {
        let (entry, is_stale) = self.edit_here(key, Some(settings), edit);
        // The listeners are told also if the entry is not here: a snapshot may have it.
        let ending = match edit {
            Edit::Remove | Edit::SetTtl(_) | Edit::Revive(_) => Ending::Confirmed,
            Edit::MarkStale => {
                // The settings give an entry without end its grace, here and in a snapshot.
                let is_endless = entry.as_ref().is_some_and(|it| it.fresh_until == Timestamp::FAR);
                let is_kept = is_stale && (!is_endless || settings.grace >= self.endless_grace());
                // If told as stale, the entry would come back from a snapshot for a grace of its
                // own.
                if is_kept { Ending::Confirmed } else { Ending::Gone }
            }
            // A touch only lengthens a life.
            Edit::Touch => Ending::Unchanged,
        };
        (entry, ending)
    }

    async fn edit_there(
        &self,
        shared: &Shared<V>,
        name: &Key,
        settings: Settings,
        edit: Edit,
    ) -> Answer<K, V, Option<Entry<V>>> {
        let decide = |there: Option<(&Entry<V>, &Record)>| {
            let subject = there.map(|(entry, record)| {
                let there = entry.subject(self.now());
                // Only the record of a stale entry says since when it is stale.
                let times = Times { age: there.times.age, ..record.header.times };
                Subject { times, ..there }
            });
            Ok(edit.of(subject, settings.grace).step(there.map(|(_, record)| record)))
        };
        let changed = shared.change(name, self.local.marks(), decide).await;
        let follow = match (edit, &changed) {
            // An unchanged life makes no load wrong. The copy may be of a record that is gone.
            (Edit::SetTtl(_) | Edit::Touch | Edit::Revive(_), Ok((_, false))) => Follow::Forget,
            // The local entry may be out of date, whatever the authority answered.
            _ => Follow::Apply(Known::options(settings)),
        };
        let result =
            changed.map(|(entry, _)| entry.filter(|entry| edit.fits(&entry.subject(self.now()))));
        Answer { result, lost: None, follow }
    }

    /// Makes an edit here. Returns the entry that it was made to, and true if that is stale now.
    pub(super) fn edit_here<Q: ?Sized + Lookup<K>>(
        &self,
        key: &Q,
        settings: Option<&Settings>,
        edit: Edit,
    ) -> (Option<Entry<V>>, bool) {
        let hash = self.local.hash(key);
        let grace = settings.map_or(self.local.grace(), |settings| settings.grace);
        let apply = || {
            let now = self.now();
            let there = self.outline(hash, key);
            let subject = there.as_ref().map(|there| there.subject(now));
            let edited = edit.of(subject, grace);
            // A copy that is not returned would be dropped under the stripe's lock.
            let fits = subject.is_some_and(|it| edit.fits(&it));
            let entry = fits.then(|| self.look(hash, key)).flatten();
            let edition = |times: &Times, fresh_until| {
                let metadata = there.map(|there| {
                    let written_at = now.before(times.age);
                    let metadata = Metadata { written_at, ..there.metadata };
                    settings.map_or(metadata, |settings| metadata.with_refresh(settings))
                });
                let attend_at = metadata.map_or(fresh_until, |it| attend_at(fresh_until, &it));
                Edition { attend_at, metadata }
            };
            let dropped = self.local.edit(hash, key, edited, now, edition);
            (entry, dropped, matches!(edited, Edited::Stale(_)))
        };
        let (entry, dropped, is_stale) = match edit {
            // A value from a load under way is older than the edit. A change of life is no reason
            // to refuse such a value.
            Edit::Remove | Edit::MarkStale => self.flights.change(hash, key, apply),
            Edit::SetTtl(_) | Edit::Touch | Edit::Revive(_) => self.flights.hold(hash, apply),
        };
        drop(dropped);
        (entry, is_stale)
    }

    /// Returns how long a snapshot keeps a stale value that had no end.
    fn endless_grace(&self) -> Duration {
        self.keeper.as_ref().map_or(Duration::ZERO, |keeper| keeper.grace())
    }
}
