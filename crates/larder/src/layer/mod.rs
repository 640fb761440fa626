//! Behaviour around a backend, one wrapper each.

mod timeout;

pub(crate) use timeout::Timeout;
