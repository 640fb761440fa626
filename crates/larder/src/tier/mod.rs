//! Tiers.

pub(crate) mod local;
pub(crate) mod tag;
pub(crate) mod wheel;
