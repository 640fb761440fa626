//! Operations built on conditional writes, once for all backends.
//!
//! A backend judges one [`Expect`](crate::backend::Expect)ation atomically and knows nothing more.
//! Here that becomes what users ask for: [`Swap`] changes a record depending on what is there,
//! [`Counter`] adds, [`Lock`] excludes. A backend without conditional writes gets
//! [`Unsupported`](crate::backend::ErrorKind::Unsupported), never an imitation that races.
//!
//! A lost answer ([`Outcome::Unknown`](crate::backend::Outcome::Unknown)) is resolved by sending
//! the same change with the same version again: the store takes it at most once, and its refusal
//! tells what is there. If that is neither the change nor what was there before, nobody can know
//! whether the change was applied in between, and the call fails with the error of the lost answer.

mod counter;
pub(crate) mod edit;
mod key_lock;
mod lock;
mod step;
pub(crate) mod swap;
mod tries;

pub use counter::Counter;
pub(crate) use edit::renewed;
pub use lock::Lock;
pub use step::Step;
pub use swap::{Swap, Update};
