//! Keys by a pattern: listing those of a page, and clearing all of them.

use std::sync::Arc;

use larder_core::{Backend as _, Delete, Expect, Life, Outcome, Result};

use crate::change::Answer;
use crate::change::follow::{Follow, Known};
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::pattern::Pattern;
use crate::tier::marks::current::MarkChange;
use crate::tier::message::{Ending, Message};
use crate::tier::shared::Shared;
use crate::tier::shared::scan::{Met, Scan};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Removes all keys that match the pattern, and returns how many of them counted.
    pub(crate) async fn clear(self: &Arc<Self>, text: &str, allow_stale: bool) -> Result<u64> {
        let pattern = Pattern::parse(text)?;
        let message: Message<&K, &str> = Message::Pattern(text);
        let alone = |inner: &Self, ()| {
            let cleared = inner.clear_here(&pattern, allow_stale);
            if pattern.is_everything() {
                inner.local.marks().invalidate_all();
            }
            (cleared, Ending::Confirmed)
        };
        let there = |inner: Arc<Self>, shared: Arc<Shared<V>>, ()| {
            let pattern = pattern.clone();
            async move {
                let cleared = inner.clear_there(&shared, &pattern, allow_stale).await;
                Answer { result: cleared, lost: None, follow: Follow::Apply(Known::default()) }
            }
        };
        self.change(message, (), alone, there).await.map(|(cleared, _)| cleared)
    }

    /// True if the key counts for a listing.
    pub(crate) fn is_listed(&self, hash: u64, key: &K, allow_stale: bool) -> bool {
        let is_listed = |life| is_listed(life, allow_stale);
        self.life(hash, key).is_some_and(is_listed)
    }

    /// Returns the keys of the next page of a walk; none after the last.
    pub(crate) async fn page(
        &self,
        shared: &Shared<V>,
        scan: &mut Scan,
        allow_stale: bool,
    ) -> Result<Option<Vec<K>>> {
        // A page that fails, or whose caller goes away, is asked for again.
        let mut walk = scan.clone();
        let page = match walk.page(&shared.authority).await? {
            Some(page) => Some(self.listed(shared, page, allow_stale).await?),
            None => None,
        };
        *scan = walk;
        Ok(page.map(|page| page.iter().filter_map(|met| K::from_text(&met.text)).collect()))
    }

    /// Returns the records of a page that count.
    async fn listed(
        &self,
        shared: &Shared<V>,
        mut page: Vec<Met>,
        allow_stale: bool,
    ) -> Result<Vec<Met>> {
        page.retain(Met::is_stored);
        let mut lives = shared.authority.lives(self.local.marks(), &page).await?.into_iter();
        page.retain(|_| lives.next().is_some_and(|life| is_listed(life, allow_stale)));
        Ok(page)
    }

    /// Removes the keys here, and the flights of keys that are not here yet. Returns how many
    /// counted.
    pub(super) fn clear_here(&self, pattern: &Pattern, allow_stale: bool) -> u64 {
        let mut cleared = 0;
        let is_meant = |key: &K| pattern.matches(&key.to_text());
        let mut drop = |(hash, key): (u64, K)| {
            cleared += u64::from(self.is_listed(hash, &key, allow_stale));
            self.drop_here(&key);
        };
        // Flights come first: the walk meets the entries of flights that have landed before it.
        let flights = self.flights.keys().into_iter();
        flights.filter(|(_, key)| is_meant(key)).for_each(&mut drop);
        self.local.keys().filter(|(_, key)| is_meant(key)).for_each(drop);
        cleared
    }

    /// Deletes the keys at the authority, leases as well, and returns how many counted.
    async fn clear_there(
        &self,
        shared: &Shared<V>,
        pattern: &Pattern,
        allow_stale: bool,
    ) -> Result<u64> {
        let mut cleared = 0;
        let mut scan = Scan::new(&shared.authority, pattern.clone());
        while let Some(page) = scan.page(&shared.authority).await? {
            let delete = |met: &Met| Delete { key: met.key.clone(), expect: Expect::Any };
            let deletes: Vec<_> = page.iter().map(delete).collect();
            let counted = self.listed(shared, page, allow_stale).await?;
            for outcome in shared.authority.remote.backend().delete(&deletes).await {
                if let Outcome::Failed(error) | Outcome::Unknown(error) = outcome {
                    return Err(error);
                }
            }
            cleared += counted.len() as u64;
        }
        if pattern.is_everything() {
            // A record written behind the walk is as old as the records that it met.
            let written = shared.authority.write_epoch(MarkChange::Hard).await;
            self.stack.epoch_changed(self.local.marks(), MarkChange::Hard, written.as_ref().ok());
            written?;
        }
        Ok(cleared)
    }
}

const fn is_listed(life: Life, allow_stale: bool) -> bool {
    match life {
        Life::Fresh => true,
        Life::Stale => allow_stale,
        Life::Dead => false,
    }
}
