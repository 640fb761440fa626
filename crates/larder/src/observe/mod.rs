//! Observation of a cache at work: events, statistics, listeners, metadata of entries.

pub(crate) mod event;
pub(crate) mod info;
pub(crate) mod listener;
pub(crate) mod stats;
