//! Tiers: typed values in this process, records at the authority, and the marks that end both.

pub(crate) mod entry;
pub(crate) mod freshness;
pub(crate) mod local;
pub(crate) mod marks;
pub(crate) mod message;
pub(crate) mod shared;
pub(crate) mod stack;
