//! Access traces, and caches to replay them through: which hits would a cache have had?
//!
//! - [`Trace`]: the keys that were asked for, one after the other; recorded or [`synthetic`].
//! - [`Policy`] and [`hits`]: any cache that a trace is replayed through; [`Lru`] is one.
//! - [`optimum`] and [`optima`]: the most hits that any cache of that size can have.
//! - [`chart`]: pictures of the result, as SVG.
//!
//! ```
//! use larder_trace::{Lru, hits, optimum, synthetic};
//!
//! let trace = synthetic::cycle(100, 10_000);
//! assert_eq!(hits(&trace, &mut Lru::new(50), &mut |_| ()), 0);
//! assert!(optimum(&trace, 50) > 4_800);
//! ```
//!
//! The crate knows nothing of Larder: it measures any cache.

mod error;
mod trace;

pub mod synthetic;

mod policy;

mod lru;
mod optimum;

pub mod chart;

pub use self::error::{Error, Result};
pub use self::lru::Lru;
pub use self::optimum::{optima, optimum};
pub use self::policy::{Policy, hits};
pub use self::trace::{Format, MAX_ACCESSES, Trace};
