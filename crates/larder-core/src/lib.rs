//! The contract between Larder and the stores it runs over.
//!
//! This crate is for people who write a backend, a codec or a clock. Users of the cache depend on
//! the crate `larder`, which re-exports all of this as `larder::backend`.
//!
//! ```text
//!  larder: Cache<K, V>, loading, tiers, tags
//!     │            ▲
//!     │ Write,     │ Record (a value, a known absence,
//!     │ Expect     │ a lease or a counter), Outcome
//!     ▼            │
//!  Backend: read · write · retime · delete · scan · purge · clock · incarnation
//! ```
//!
//! A backend stores versioned [`Record`]s under [`Key`]s and judges an [`Expect`]ation atomically.
//! It never sees a typed value, a loader, a codec or a policy. No instant crosses the trait, only
//! durations: each store reckons with its own clock.
//!
//! - [`Backend`] says what to implement; [`AnyBackend`] is the boxed form that composition uses.
//! - [`layout`] documents, byte by byte, how a record looks in a store of byte blobs.
//! - The crate `larder-testkit` holds the conformance suite that says what each rule means.

pub use crate::any::AnyBackend;
pub use crate::backend::{Backend, Delete, Expect, Outcome, Page, Retime, Scanned, Write};
pub use crate::capabilities::{Capabilities, Scope};
pub use crate::clock::{Clock, Incarnation, NEVER, StoreTime, Sweep, Timestamp};
pub use crate::codec::Codec;
pub use crate::error::{BoxError, Error, ErrorKind, Result};
pub use crate::key::{Class, Key, Namespace};
pub use crate::opener::Opener;
pub use crate::record::{Epoch, Header, Kind, Life, Record, TagVersion, Times, Token};
pub use crate::version::Version;

/// A boxed future that can be sent between threads.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

mod any;
mod backend;
mod capabilities;
mod clock;
mod codec;
mod error;
mod key;
pub mod layout;
mod opener;
mod record;
mod version;
