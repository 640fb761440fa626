//! Tiers.

pub(crate) mod authority;
pub(crate) mod held;
mod known;
pub(crate) mod local;
pub(crate) mod mark;
pub(crate) mod persist;
mod purge;
mod put_if;
pub(crate) mod scan;
pub(crate) mod shared;
mod slot;
mod sweep;
pub(crate) mod tag;
mod tag_life;
mod wheel;
