//! Loading: how a caller comes to a value.
//!
//! ```text
//!  look here ──fresh──────────────────────────────► answer (and refresh in the background, if due)
//!      │ nothing, stale, or due to be compared
//!      ▼
//!  join the key's flight ──follow──► wait, as long as this caller's timeouts allow
//!      │ lead
//!      ▼
//!  leader.rs, a task of its own: look again → read the authority → fence → loader
//!      ▼
//!  commit.rs: write over the fence → copy here under the flight → publish to all who wait
//! ```

pub(crate) mod asks;
mod beside;
mod commit;
mod fallback;
mod fence;
mod fencing;
mod foreign;
mod get;
mod give_up;
pub(crate) mod leader;
pub(crate) mod loader;
mod look;
pub(crate) mod purpose;
mod renewal;
pub(crate) mod request;
pub(crate) mod run;
mod wait;
pub(crate) mod with_loader;
