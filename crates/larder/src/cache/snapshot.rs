//! Saving a cache, and restoring it.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Class, Codec, Namespace, Result, Timestamp};

use crate::cache::Cache;
use crate::inner::candidate;
use crate::key::CacheKey;
use crate::observe::event::Observer;
use crate::options::Settings;
use crate::snapshot::{Keeper, RestoredEntry, Snapshot, SnapshotConfig};
use crate::support::runtime::apart;
use crate::tier::entry::{Content, Entry, Metadata};
use crate::tier::local::LocalTier;
use crate::tier::local::persist::{EntryCopy, Refill};

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Saves all entries in memory. Returns the number of entries saved.
    ///
    /// Readers and writers go on meanwhile. An entry that changes during the save may be in it as it
    /// was, as it is, or not at all. Without a [snapshot](crate::CacheBuilder::snapshot) it does
    /// nothing.
    ///
    /// # Errors
    /// - An error that keeps the snapshot from being written, such as
    ///   [`NoSpace`](crate::ErrorKind::NoSpace): the last one stays.
    /// - [`Codec`](crate::ErrorKind::Codec) if some entries cannot be encoded: the rest is saved.
    /// - [`Closed`](crate::ErrorKind::Closed) after `close`.
    ///
    /// # Cancel safety
    /// A save once begun is finished, also if the future is dropped.
    #[doc(alias("persist", "dump", "sync"))]
    pub async fn save(&self) -> Result<u64> {
        self.inner.check_open()?;
        let Some(keeper) = self.inner.keeper.clone() else { return Ok(0) };
        apart(move || keeper.save()).await?
    }

    /// Number of entries in memory, expired or invalidated ones not yet freed included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.local.len()
    }

    /// Returns true if there are no entries in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of the weights of the entries that [`len`](Self::len) counts.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.inner.local.weight()
    }
}

/// The identity of the cache's snapshot, and the form of its values.
pub(super) fn form<V>(
    snapshot: &Snapshot,
    codec: &Arc<dyn Codec<V>>,
    namespace: String,
    is_alone: bool,
    grace: Duration,
) -> SnapshotConfig<V> {
    let (sink, codec) = (Arc::clone(&snapshot.sink), Arc::clone(codec));
    // The prefix is as in a backend; a name that is too long for one is not escaped.
    let class = Namespace::new(&namespace).map(|namespace| namespace.class_prefix(Class::Entry));
    let mut prefix = class.unwrap_or_else(|_| namespace.clone().into_bytes());
    prefix.push(b':');
    SnapshotConfig { sink, codec, schema: snapshot.schema, namespace, prefix, is_alone, grace }
}

/// Makes a tier with the saved entries, and the keeper that saves it again.
pub(super) fn restored<K: CacheKey, V: Clone + Send + Sync + 'static>(
    form: SnapshotConfig<V>,
    every: Option<Duration>,
    observer: Observer,
    settings: &Settings,
    local: impl Fn() -> Arc<LocalTier<K, Content<V>, Metadata>>,
) -> Result<Arc<Keeper<K, V>>> {
    // A copy that a backend may have changed since is compared with it before it is served.
    let copy_due = if form.is_alone { Timestamp::FAR } else { Timestamp::ZERO };
    Keeper::open(form, every, observer, local, move |refill, returned| {
        put(refill, returned, copy_due, settings);
    })
}

fn put<K: CacheKey, V: Clone + Send + Sync + 'static>(
    refill: &mut Refill<'_, K, Content<V>, Metadata>,
    returned: RestoredEntry<K, V>,
    copy_due: Timestamp,
    settings: &Settings,
) {
    let (local, now) = (refill.tier(), refill.now);
    let mut metadata = Metadata::new(returned.version, now.before(returned.age));
    metadata.cost = returned.cost;
    metadata.copy_due = copy_due;
    let lives = (returned.fresh_left, returned.kept_left);
    let generation = local.marks().see(&returned.tags);
    let entry = Entry::new(returned.content, metadata, now, lives, generation);
    let key = returned.key;
    let mut candidate = candidate(local, &key, entry.with_refresh(settings));
    if matches!(candidate.value, Content::Counter(_)) {
        // No hit on a value ever finds a number.
        (candidate.attend_at, candidate.metadata) = (Timestamp::ZERO, None);
    }
    let hash = local.hash(&key);
    let copied = EntryCopy { candidate, idle: returned.idle };
    refill.expect(returned.number, returned.more);
    refill.put(hash, key, copied, returned.uses);
}
