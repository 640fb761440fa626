//! A caller's request for a key.

use std::hash::Hash;
use std::sync::Arc;

use larder_core::{Result, Timestamp};

use crate::flight::flights::{Join, Meet};
use crate::flight::info::{Arrival, Caller, FlightInfo, FlightKind};
use crate::flight::outcome::{Judge, Landed};
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::load::purpose::Purpose;
use crate::observe::stats::Count;
use crate::options::Settings;
use crate::tier::entry::{Content, Entry};
use crate::tier::marks::here::Marks;

/// A look-up that the fast path could not answer.
#[derive(Clone)]
pub(crate) struct Request<K: Hash + Eq, V> {
    pub(crate) inner: Arc<Inner<K, V>>,
    pub(crate) settings: Settings,
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) purpose: Purpose,
    pub(crate) caller: Caller,
    /// When the call began.
    pub(crate) arrived: Timestamp,
}

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Request<K, V> {
    pub(crate) fn check(&self) -> Result<()> {
        self.inner.check_open()?;
        self.settings.check()
    }

    /// Joins the key's flight: this request leads a new one, or follows the one that it meets.
    pub(super) fn join(
        &self,
        kind: FlightKind,
        meet: fn(&FlightInfo, &Arrival, &Marks) -> Meet,
    ) -> Join<K, Landed<V>, FlightInfo> {
        let marks = self.inner.local.marks();
        let now = self.inner.arrival(&self.caller);
        // A copy has the tags that its record names, whatever the options say.
        let may_add_tags = kind == FlightKind::Fill || self.purpose.late_tags;
        let generation = marks.see(self.settings.tags());
        let limit = self.inner.join_limit(&self.settings);
        let about = FlightInfo::new(kind, now.clone(), generation, may_add_tags, limit);
        let in_place_of = |older: Option<&FlightInfo>| match older {
            // A flight that is no longer valid is not waited for.
            Some(older) if older.is_valid(&now, marks) => about.after(older),
            _ => about,
        };
        let meet = |met: &FlightInfo| meet(met, &now, marks);
        self.inner.flights.join(self.hash, &self.key, K::clone, in_place_of, meet)
    }

    /// Returns how this caller judges a value from a flight that began then.
    pub(crate) fn judge_since(&self, began: Timestamp) -> Judge<'_> {
        let marks = self.inner.local.marks();
        let (now, arrived) = (self.inner.now(), self.arrived);
        Judge { marks, now, arrived, began, are_marks_checked: false }
    }

    /// Returns a stale value that was found here, if it is not dead by now.
    pub(super) fn stale(&self, found: Option<Entry<V>>) -> Option<Content<V>> {
        self.allowed(found.and_then(|entry| self.judge_since(self.arrived).take_stale(entry)))
    }

    /// Returns a stale value, for callers that take one.
    pub(super) fn allowed(&self, content: Option<Content<V>>) -> Option<Content<V>> {
        let content = content.filter(|content| self.settings.allow_stale && !content.is_absent());
        let count = if content.is_some() { Count::StaleHits } else { Count::Misses };
        self.inner.stats().add(count);
        content
    }
}
