//! Support for all other modules: time, the runtime, locks, threads, random numbers.

pub(crate) mod clock;
pub(crate) mod janitor;
pub(crate) mod mutation;
pub(crate) mod park;
pub(crate) mod random;
pub(crate) mod runtime;
pub(crate) mod sync;
pub(crate) mod thread_index;
