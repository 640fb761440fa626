//! One typed cache that stays correct when loads and invalidations race.

pub use larder_core as backend;
pub use larder_core::{Error, ErrorKind, Life, Result};

pub use crate::cache::{Blocking, Cache, CacheBuilder, Reach};
pub use crate::clock::SystemClock;
pub use crate::codec::{MessagePack, Raw};
pub use crate::event::Event;
pub use crate::info::{EntryInfo, Tier};
pub use crate::key::CacheKey;
pub use crate::listener::{Cause, Listener};
pub use crate::load::loader::{Load, Loaded};
pub use crate::local::{EntryOptions, LocalCache, LocalCacheBuilder};
pub use crate::lookup::{Equivalent, Lookup};
pub use crate::memory::MemoryBackend;
pub use crate::options::{Options, Ttl};
pub use crate::stats::Stats;

mod cache;
mod clock;
mod codec;
mod engine;
mod event;
mod info;
mod janitor;
mod key;
mod layer;
mod listener;
mod load;
mod local;
mod lookup;
mod memory;
pub mod ops;
mod options;
mod park;
mod rule;
mod runtime;
#[cfg(test)]
mod simulation;
mod stats;
mod sync;
mod tier;

/// The pages of `docs/`: each of their snippets is a test.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/backends.md")]
    mod backends {}
    #[doc = include_str!("../../../docs/coming-from-moka.md")]
    mod coming_from_moka {}
    #[doc = include_str!("../../../docs/invalidation.md")]
    mod invalidation {}
    #[doc = include_str!("../../../docs/loading.md")]
    mod loading {}
    #[doc = include_str!("../../../docs/staleness.md")]
    mod staleness {}
    #[doc = include_str!("../../../docs/testing.md")]
    mod testing {}
}
