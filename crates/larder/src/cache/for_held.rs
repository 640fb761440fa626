//! The user's functions of values, for what memory holds: a value, a known absence or a number.

use std::sync::Arc;

use crate::observe::listener::Listener;
use crate::tier::held::Held;
use crate::tier::local::Weigher;

pub(super) fn weigher<K: 'static, V: 'static>(weigher: Weigher<K, V>) -> Weigher<K, Held<V>> {
    Arc::new(move |key, held| match held {
        Held::Value(value) => weigher(key, value),
        Held::Absent | Held::Counter(_) => 1,
    })
}

pub(super) fn listener<K: 'static, V: 'static>(listener: Listener<K, V>) -> Listener<K, Held<V>> {
    Arc::new(move |key, held, cause| {
        if let Held::Value(value) = held {
            listener(key, value, cause);
        }
    })
}
