//! Flights: one load per key and process, and the values that callers may take of it.

pub(crate) mod chain;
pub(crate) mod flights;
pub(crate) mod follower;
pub(crate) mod info;
pub(crate) mod limit;
pub(crate) mod outcome;
