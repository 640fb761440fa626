//! Flights: one load per key and process, and what callers may take of one.

pub(crate) mod chain;
pub(crate) mod flights;
pub(crate) mod follower;
pub(crate) mod info;
pub(crate) mod limit;
pub(crate) mod outcome;
