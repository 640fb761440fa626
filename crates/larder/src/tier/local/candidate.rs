//! An entry on its way into the local tier, and the view of one that is there.

use std::sync::Arc;

use larder_core::{Life, Timestamp};

use crate::tier::marks::here::{Generation, TagGeneration};

/// An entry to be put into the local tier, weighed.
pub(crate) struct Candidate<V, N = ()> {
    pub(crate) value: V,
    /// The result of [`LocalTier::weigh`](super::LocalTier::weigh), computed outside all locks.
    pub(crate) weight: u32,
    /// The time until which a hit returns without a closer look. At most `fresh_until`.
    pub(crate) attend_at: Timestamp,
    pub(crate) fresh_until: Timestamp,
    /// The entry is stale from `fresh_until` to here, then dead.
    pub(crate) kept_until: Timestamp,
    /// The count of changes and the versions of the tags when the entry's load began.
    pub(crate) generation: Generation,
    pub(crate) metadata: Option<N>,
}

/// Metadata that a cache keeps beside an entry. Most of it follows from little, which is kept inline;
/// the rest costs an allocation.
pub(crate) trait EntryMetadata: Clone + Send + Sync + 'static {
    /// The little that most metadata follows from.
    type Brief: Copy + Default + Send + Sync + 'static;

    /// The little that this follows from; none if there is more to it.
    fn brief(metadata: Option<&Self>) -> Option<Self::Brief>;

    /// The metadata of an entry of which only the little is kept.
    fn from_brief(brief: Self::Brief) -> Option<Self>;
}

/// Only the presence of metadata says anything.
macro_rules! without_brief {
    ($($Type:ty),+) => {$(
        impl EntryMetadata for $Type {
            type Brief = ();

            fn brief(metadata: Option<&Self>) -> Option<()> {
                metadata.is_none().then_some(())
            }

            fn from_brief((): ()) -> Option<Self> {
                None
            }
        }
    )+};
}

without_brief!((), std::time::Duration);
#[cfg(test)]
without_brief!(u8);

/// An entry that is not dead, under its shard's lock.
pub(crate) struct View<'a, V, N = ()> {
    pub(crate) value: &'a V,
    /// Fresh or stale, with soft changes of tags and of everything applied.
    pub(crate) life: Life,
    /// True if only a mark has made the entry stale, before its time.
    pub(crate) is_marked: bool,
    pub(crate) attend_at: Timestamp,
    pub(crate) fresh_until: Timestamp,
    pub(crate) kept_until: Timestamp,
    pub(crate) metadata: Option<N>,
    pub(super) settled: u32,
    pub(super) tags: Option<&'a Arc<[TagGeneration]>>,
}

impl<V, N> View<'_, V, N> {
    /// Returns the versions of the entry's tags when its load began, and the count up to which it
    /// is settled.
    pub(crate) fn generation(&self) -> Generation {
        Generation { changes: self.settled, tags: self.tags.cloned() }
    }
}
