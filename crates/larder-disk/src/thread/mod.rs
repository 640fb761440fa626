//! The threads of a store: their start and end, and the choice of one for a read.

mod dispatch;
pub(crate) mod handle;
