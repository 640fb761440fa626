//! Loading.

pub(crate) mod chain;
pub(crate) mod flight;
pub(crate) mod park;
