//! The user's weigher and listener of values, for the contents in memory: a value, a known absence
//! or a number.

use std::sync::Arc;

use crate::observe::listener::Listener;
use crate::tier::entry::Content;
use crate::tier::local::Weigher;

pub(super) fn weigher<K: 'static, V: 'static>(weigher: Weigher<K, V>) -> Weigher<K, Content<V>> {
    Arc::new(move |key, content| match content {
        Content::Value(value) => weigher(key, value),
        Content::Absent | Content::Counter(_) => 1,
    })
}

pub(super) fn listener<K: 'static, V: 'static>(
    listener: Listener<K, V>,
) -> Listener<K, Content<V>> {
    Arc::new(move |key, content, cause| {
        if let Content::Value(value) = content {
            listener(key, value, cause);
        }
    })
}
