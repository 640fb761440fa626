//! What tests of Larder and of its backends are made of.
//!
//! - [`conformance!`]: the suite that says what each rule of the contract means.
//! - [`ManualClock`]: time that moves when a test says so.
//! - [`Faulty`]: a backend that fails as told.
//! - [`block_on`]: runs a future without a runtime.

pub use crate::block_on::block_on;
pub use crate::clock::ManualClock;
pub use crate::faulty::{Call, Fault, Faulty, Held, Operation};

mod block_on;
mod clock;
pub mod conformance;
mod faulty;
