//! Changes of many entries at once: of a tag, or of everything.

use std::sync::Arc;

use larder_core::{Header, Result};

use crate::change::Answer;
use crate::change::follow::{Follow, Known};
use crate::change::reach::Reach;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::tier::marks::current::MarkChange;
use crate::tier::message::Message;
use crate::tier::shared::Shared;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Changes the mark that the message names.
    pub(crate) async fn change_mark(self: &Arc<Self>, message: Message<&K, &str>) -> Result<Reach> {
        let alone = |inner: &Self, ()| {
            inner.apply(message, Known::default());
            ((), Some(message))
        };
        let there = |inner: Arc<Self>, shared: Arc<Shared<V>>, ()| {
            let message = message.to_owned();
            async move {
                let written = match message {
                    Message::Tag(tag) => shared.authority.write_tag(&tag, MarkChange::Hard).await,
                    Message::StaleTag(tag) => {
                        shared.authority.write_tag(&tag, MarkChange::Soft).await
                    }
                    Message::StaleAll => shared.authority.write_epoch(MarkChange::Soft).await,
                    _ => shared.authority.write_epoch(MarkChange::Hard).await,
                };
                let mark = written.as_ref().ok().cloned();
                let result = match written {
                    Ok(_) => Ok(((), Reach::Confirmed)),
                    Err(error) => inner.unreached(&shared, error).map(|reach| ((), reach)),
                };
                Answer { result, follow: Follow::Apply(Known { mark, settings: None }) }
            }
        };
        self.change(message, (), alone, there).await.map(|((), reach)| reach)
    }

    /// A tag has changed, to this mark if that is known.
    pub(super) fn tag_changed(&self, tag: &str, change: MarkChange, mark: Option<&Header>) {
        let marks = self.local.marks();
        match (&self.shared, change) {
            (Some(shared), _) => shared.authority.tag_changed(marks, tag, change, mark),
            (None, MarkChange::Hard) => marks.invalidate_tag(tag),
            (None, MarkChange::Soft) => marks.mark_tag_stale(tag),
        }
    }

    /// The epoch has changed, to this mark if that is known.
    pub(super) fn epoch_changed(&self, change: MarkChange, mark: Option<&Header>) {
        let marks = self.local.marks();
        match (&self.shared, change) {
            (Some(shared), _) => shared.authority.epoch_changed(marks, change, mark),
            (None, MarkChange::Hard) => marks.invalidate_all(),
            (None, MarkChange::Soft) => marks.mark_all_stale(),
        }
    }
}
