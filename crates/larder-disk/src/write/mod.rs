//! Writes: the one thread that writes, room for its changes, and its upkeep.

mod call;
mod checkpoint;
mod limit;
mod space;
mod upkeep;
pub(crate) mod writer;
