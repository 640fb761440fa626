//! Changes of many entries at once: of a tag, or of everything.

use std::sync::Arc;

use larder_core::Result;

use crate::change::Answer;
use crate::change::follow::{Follow, Known};
use crate::change::reach::Reach;
use crate::inner::Inner;
use crate::key::CacheKey;
use crate::tier::marks::current::MarkChange;
use crate::tier::message::{Ending, Message};
use crate::tier::shared::Shared;

impl<K: CacheKey, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Changes the mark that the message names.
    pub(crate) async fn change_mark(self: &Arc<Self>, message: Message<&K, &str>) -> Result<Reach> {
        let alone = |inner: &Self, ()| {
            inner.apply(message, Known::default());
            ((), Ending::Confirmed)
        };
        let there = |_: Arc<Self>, shared: Arc<Shared<V>>, ()| {
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
                let follow = Follow::Apply(Known { mark, settings: None });
                Answer { result: Ok(()), lost: written.err(), follow }
            }
        };
        self.change(message, (), alone, there).await.map(|((), reach)| reach)
    }
}
