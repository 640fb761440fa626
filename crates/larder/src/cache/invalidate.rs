//! Changes of many keys at once: by a tag, or of everything.

use std::sync::Arc;

use larder_core::Result;

use crate::cache::Cache;
use crate::change::reach::Reach;
use crate::key::CacheKey;
use crate::options::check_tags;
use crate::snapshot::Change as Noted;
use crate::tier::marks::current::MarkChange;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Cache<K, V> {
    /// Drops all entries that have the tag, however many there are. Loads under way do not bring
    /// them back.
    ///
    /// Another process notices at the latest after its
    /// [`tag_check`](crate::CacheBuilder::tag_check).
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a tag of no or of more than 255 bytes;
    /// otherwise as [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// A change once begun is finished, also if the future is dropped.
    #[doc(alias("remove_by_tag", "delete_by_tag"))]
    pub async fn invalidate_tag(&self, tag: &str) -> Result<Reach> {
        self.change_tag(tag, MarkChange::Hard).await
    }

    /// Makes all entries that have the tag stale.
    ///
    /// # Errors
    /// As [`invalidate_tag`](Self::invalidate_tag).
    ///
    /// # Cancel safety
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub async fn mark_tag_stale(&self, tag: &str) -> Result<Reach> {
        self.change_tag(tag, MarkChange::Soft).await
    }

    /// Drops all entries in the cache's namespace, at the price of one write.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// As [`invalidate_tag`](Self::invalidate_tag).
    #[doc(alias("clear", "flush"))]
    pub async fn invalidate_all(&self) -> Result<Reach> {
        self.change_all(MarkChange::Hard).await
    }

    /// Makes all entries in the cache's namespace stale, at the price of one write.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub async fn mark_all_stale(&self) -> Result<Reach> {
        self.change_all(MarkChange::Soft).await
    }

    async fn change_tag(&self, tag: &str, change: MarkChange) -> Result<Reach> {
        self.inner.check_open()?;
        check_tags(&[tag])?;
        let Some(shared) = self.inner.shared.clone() else {
            match change {
                MarkChange::Hard => self.inner.local.marks().invalidate_tag(tag),
                MarkChange::Soft => self.inner.local.marks().mark_tag_stale(tag),
            }
            let ticket = self.inner.note(match change {
                MarkChange::Hard => Noted::Tag(tag),
                MarkChange::Soft => Noted::StaleTag(tag),
            });
            return Ok(self.inner.noted(ticket).await);
        };
        let (inner, tag) = (Arc::clone(&self.inner), Arc::from(tag));
        self.inner
            .owned(Box::pin(async move {
                match shared.authority.change_tag(inner.local.marks(), &tag, change).await {
                    Ok(()) => Ok(Reach::Confirmed),
                    Err(error) => inner.unreached(&shared, error),
                }
            }))
            .await?
    }

    async fn change_all(&self, change: MarkChange) -> Result<Reach> {
        self.inner.check_open()?;
        let Some(shared) = self.inner.shared.clone() else {
            match change {
                MarkChange::Hard => self.inner.local.marks().invalidate_all(),
                MarkChange::Soft => self.inner.local.marks().mark_all_stale(),
            }
            let ticket = self.inner.note(match change {
                MarkChange::Hard => Noted::All,
                MarkChange::Soft => Noted::StaleAll,
            });
            return Ok(self.inner.noted(ticket).await);
        };
        let inner = Arc::clone(&self.inner);
        self.inner
            .owned(Box::pin(async move {
                match shared.authority.change_epoch(inner.local.marks(), change).await {
                    Ok(()) => Ok(Reach::Confirmed),
                    Err(error) => inner.unreached(&shared, error),
                }
            }))
            .await?
    }
}
