//! Changes of many keys at once: by a tag, or of everything.

use larder_core::Result;

use crate::cache::Cache;
use crate::change::reach::Reach;
use crate::key::CacheKey;
use crate::options::check_tags;
use crate::tier::message::Message;

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
        self.change_tag(Message::Tag(tag), tag).await
    }

    /// Makes all entries that have the tag stale.
    ///
    /// # Errors
    /// As [`invalidate_tag`](Self::invalidate_tag).
    ///
    /// # Cancel safety
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub async fn mark_tag_stale(&self, tag: &str) -> Result<Reach> {
        self.change_tag(Message::StaleTag(tag), tag).await
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
        self.inner.check_open()?;
        self.inner.change_mark(Message::All).await
    }

    /// Makes all entries in the cache's namespace stale, at the price of one write.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    /// As [`invalidate_tag`](Self::invalidate_tag).
    pub async fn mark_all_stale(&self) -> Result<Reach> {
        self.inner.check_open()?;
        self.inner.change_mark(Message::StaleAll).await
    }

    async fn change_tag(&self, message: Message<&K, &str>, tag: &str) -> Result<Reach> {
        self.inner.check_open()?;
        check_tags(&[tag])?;
        self.inner.change_mark(message).await
    }
}
