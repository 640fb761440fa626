//! Time: the store's clock, and waiting for others.

pub(crate) mod clock;
pub(crate) mod wait;
