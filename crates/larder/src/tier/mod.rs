//! Tiers.

pub(crate) mod local;
mod slot;
pub(crate) mod tag;
mod wheel;
