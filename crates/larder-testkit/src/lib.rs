//! What tests of Larder and of its backends are made of.
//!
//! - [`ManualClock`]: time that moves when a test says so.
//! - [`block_on`]: runs a future without a runtime.

pub use crate::block_on::block_on;
pub use crate::clock::ManualClock;

mod block_on;
mod clock;
