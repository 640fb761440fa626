//! Reads: their queries, their connections, their speed, and marks of the records that were read.

pub(crate) mod pace;
pub(crate) mod pool;
pub(crate) mod query;
pub(crate) mod uses;
