//! Support for the code that `larder-macros` makes: no part of the promised interface.

pub use crate::macros::ask::{Asked, ask, ask_blocking, renew, renew_blocking};
pub use crate::macros::outcome::Outcome;
pub use crate::macros::refs::Refs;
pub use crate::macros::sharing::{ByClone, ByHand, Returns, SharedByClone, SharedByHand, Sharing};
pub use crate::macros::text::{Component, Parts, join, push_escaped, push_plain};

mod ask;
mod outcome;
mod refs;
mod sharing;
mod text;
