//! Behaviour around a backend, one wrapper each.

mod gather;
mod timeout;

pub(crate) use gather::{Gather, LARGEST_BATCH, Operation};
pub(crate) use timeout::{Untimed, untimed};
