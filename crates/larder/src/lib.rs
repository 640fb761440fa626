//! One typed cache that stays correct when loads and invalidations race.

pub use larder_core as backend;

pub use crate::clock::SystemClock;
pub use crate::codec::{MessagePack, Raw};
pub use crate::key::CacheKey;
pub use crate::listener::{Cause, Listener};
pub use crate::local::{EntryInfo, EntryOptions, LocalCache, LocalCacheBuilder};
pub use crate::lookup::{Equivalent, Lookup};
pub use crate::memory::MemoryBackend;
pub use crate::options::Ttl;
pub use crate::stats::Stats;

mod clock;
mod codec;
mod engine;
mod janitor;
mod key;
mod listener;
mod load;
mod local;
mod lookup;
mod memory;
mod ops;
mod options;
mod runtime;
mod stats;
mod sync;
mod tier;
