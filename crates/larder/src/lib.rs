//! One typed cache that stays correct when loads and invalidations race.
//!
//! [`Cache`] keeps typed values in memory, alone or over a shared backend, and loads missing ones.
//! However many callers ask for a key, its loader runs once. After a change of a key, of one of its
//! tags or of everything is confirmed, no later read yields a value whose load began before it.
//! [`LocalCache`] is the same in memory alone: synchronous, infallible, without a runtime.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use larder::{Cache, Load, Loaded};
//!
//! #[derive(Debug)]
//! struct User {
//!     name: String,
//!     team: u32,
//! }
//!
//! async fn from_database(id: u64) -> Result<User, std::io::Error> {
//!     Ok(User { name: format!("user {id}"), team: 7 })
//! }
//!
//! #[tokio::main]
//! async fn main() -> larder::Result<()> {
//!     let users = Cache::<u64, Arc<User>>::builder()
//!         .capacity(10_000)
//!         .ttl(Duration::from_secs(60))
//!         .grace(Duration::from_secs(600))
//!         .build()?;
//!
//!     let loader = |load: Load<u64, Arc<User>>| async move {
//!         let user = from_database(load.key).await?;
//!         let tag = format!("team:{}", user.team);
//!         Ok::<_, std::io::Error>(Loaded::new(Arc::new(user)).tags([tag]))
//!     };
//!     let user = users.load(&1, loader).await?.expect("every id has a user");
//!     assert_eq!(user.name, "user 1");
//!
//!     users.invalidate_tag("team:7").await?;
//!     assert!(users.get(&1).await?.is_none());
//!     Ok(())
//! }
//! ```
//!
//! # Concepts
//!
//! ```text
//!  get, load                                  insert, invalidate
//!     │                                              │
//!     ▼                                              │ cuts the key's flight, and with it
//!  local tier: typed values in this process          │ the loads that began before
//!     │ nothing fresh                                ▼
//!     ▼                                   ┌────────────────────────┐
//!  flight: one load per key ──loader──►   │ stored only if the key,│
//!     │                                   │ its tags and the epoch │
//!     ▼                                   │ are as they were       │
//!  shared backend: versioned records      └────────────────────────┘
//! ```
//!
//! - An entry is **fresh** for its ttl, then **stale** for its grace, then **dead**. Callers get a
//!   stale value when a load fails or takes too long; a dead entry counts as nothing.
//! - All callers that want a key at once share a **flight**. It runs in a task of its own: a caller
//!   that goes away does no harm.
//! - The **authority** is the shared backend, or the local tier if there is none. A change goes there
//!   first. A load leaves a **lease** there, or holds the version of the stale value, and its result is
//!   written only over that.
//! - **Tags** and the **epoch** have random versions. An entry keeps those it was loaded under and
//!   is nothing as soon as one differs: invalidating a million entries is one small write.
//! - A **miss** is [`None`]; errors are for what went wrong. A backend's outage is a miss and an
//!   [`Event`], unless the cache is [strict](CacheBuilder::strict).
//!
//! # How to
//!
//! | to | see |
//! |---|---|
//! | build a cache | [`Cache::new`], [`Cache::builder`], [`CacheBuilder`]; [`LocalCache::builder`] |
//! | load what is missing | [`Cache::load`], [`get_with`](Cache::get_with), [`try_get_with`](Cache::try_get_with), [`optionally_get_with`](Cache::optionally_get_with) |
//! | give a call its own ttl, grace, tags, timeouts | [`Cache::with`], [`Options`], [`Ttl`] |
//! | let the loader decide ttl and tags | [`Load::tags`], [`Loaded`] |
//! | change a key | [`insert`](Cache::insert), [`insert_if_absent`](Cache::insert_if_absent), [`replace`](Cache::replace), [`remove`](Cache::remove) |
//! | read, load or change many keys at once | [`get_many`](Cache::get_many), [`get_many_with`](Cache::get_many_with), [`insert_many`](Cache::insert_many), [`invalidate_many`](Cache::invalidate_many), [`remove_many`](Cache::remove_many), [`contains_many`](Cache::contains_many); [`Batch`] |
//! | make one load of many small ones | [`Cache::batch_loader`] |
//! | count | [`incr`](Cache::incr), [`counter`](Cache::counter) |
//! | change what is as expected | [`compare_and_set`](Cache::compare_and_set), [`replace_if`](Cache::replace_if) |
//! | list, count or drop keys by a glob | [`keys`](Cache::keys), [`count`](Cache::count), [`clear`](Cache::clear); [`Pattern`] |
//! | exclude others | [`lock`](Cache::lock), [`try_lock`](Cache::try_lock) |
//! | invalidate | [`invalidate`](Cache::invalidate), [`invalidate_tag`](Cache::invalidate_tag), [`invalidate_all`](Cache::invalidate_all); how far it got: [`Reach`] |
//! | make stale, give a new life | [`mark_stale`](Cache::mark_stale), [`touch`](Cache::touch), [`set_ttl`](Cache::set_ttl), [`revive`](Cache::revive) |
//! | refresh before the ttl ends | [`refresh_after`](CacheBuilder::refresh_after), [`early_refresh`](Options::early_refresh), [`Cache::refresh`] |
//! | look without a trace | [`peek`](Cache::peek), [`contains_key`](Cache::contains_key), [`entry_info`](Cache::entry_info) |
//! | call it outside of tasks | [`Cache::blocking`], or [`LocalCache`] |
//! | bound memory by bytes | [`CacheBuilder::weigher`], [`LocalCacheBuilder::max_weight`] |
//! | describe it in TOML, a URL or the environment | `Cache::from_config`, the module `config` |
//! | close, reopen and scope its connection | [`Cache::connect`], [`Cache::session`], [`Connection`] |
//! | turn it off | [`CacheBuilder::enabled`] |
//! | let it survive a restart | [`CacheBuilder::snapshot`], [`Snapshot`], [`Cache::save`]; another medium than files: [`Sink`] |
//! | load before anybody asks | [`Cache::warm_up`] |
//! | share it between processes | [`CacheBuilder::backend`], [`CacheBuilder::namespace`] |
//! | use a key or a borrowed key of your own | [`CacheKey`], [`Lookup`], `#[derive(CacheKey)]` |
//! | cache a function | `#[cached]` |
//! | see what happens | [`Cache::stats`], [`CacheBuilder::on_event`], [`CacheBuilder::listener`] |
//! | count, swap or lock over a backend | [`ops`] |
//! | compress or encrypt what is stored, or change its type | [`Pipeline`] |
//! | write a backend, a codec or a clock | [`backend::Backend`], [`backend::Codec`], [`backend::Clock`] |
//! | test with a clock that stands still | the crate `larder-testkit` |
//!
//! # Features
//!
//! None is on by default. None changes what is there without it.
//!
//! | feature | brings |
//! |---|---|
//! | `config` | `CacheConfig`: a cache from TOML, environment variables or a URL |
//! | `json` | the codec `Json` |
//! | `macros` | `#[cached]` for functions, `#[derive(CacheKey)]` for keys of your own |
//! | `postcard` | the codec `Postcard` |
//! | `zstd` | `Zstd`: compression in a [`Pipeline`]; takes a C compiler |
//! | `lz4` | `Lz4`: faster compression without C |
//! | `encryption` | `Keyring`: encrypted records in a [`Pipeline`] |
//!
//! # Limits
//!
//! - A cache has at most one backend: [`MemoryBackend`], SQLite in the crate `larder-disk`, or one
//!   written against [`backend::Backend`]. It must have conditional writes.
//! - Without a backplane, another process notices a change of a key after its
//!   [`local_ttl`](CacheBuilder::local_ttl), one of a tag after its
//!   [`tag_check`](CacheBuilder::tag_check).
//! - A change that the backend did not take is not repeated: [`Reach::Local`] says so.
//! - Values are cloned out, under a lock: put big ones into an [`Arc`](std::sync::Arc). A value's
//!   `clone` and a key's `eq` must not call the cache.
//! - A tag has 1 to 255 bytes. A hit compares each tag of its entry.
//! - The asynchronous cache needs tokio, with its timers, where it loads or speaks to a backend.

pub use larder_core as backend;
pub use larder_core::{Error, ErrorKind, Life, Result};

pub use crate::cache::{
    Batch, BatchLoader, Blocking, BlockingKeys, Cache, CacheBuilder, Keys, NewEntry, Session,
    WarmUp,
};
pub use crate::change::reach::Reach;
#[cfg(feature = "json")]
pub use crate::codec::Json;
#[cfg(feature = "encryption")]
pub use crate::codec::Keyring;
#[cfg(feature = "lz4")]
pub use crate::codec::Lz4;
#[cfg(feature = "postcard")]
pub use crate::codec::Postcard;
#[cfg(feature = "zstd")]
pub use crate::codec::Zstd;
pub use crate::codec::{Compression, MessagePack, Pipeline, Raw};
pub use crate::connection::Connection;
pub use crate::key::CacheKey;
pub use crate::load::loader::{Load, Loaded};
pub use crate::local::{EntryOptions, LocalCache, LocalCacheBuilder};
pub use crate::lookup::{Equivalent, Lookup};
pub use crate::memory::MemoryBackend;
pub use crate::observe::event::Event;
pub use crate::observe::info::{EntryInfo, Tier};
pub use crate::observe::listener::{Cause, Listener};
pub use crate::observe::stats::Stats;
pub use crate::options::{Options, SessionOptions, Ttl};
pub use crate::pattern::Pattern;
pub use crate::snapshot::Snapshot;
pub use crate::snapshot::file::FileSink;
pub use crate::snapshot::sink::Sink;
pub use crate::support::clock::SystemClock;
#[cfg(feature = "macros")]
pub use larder_macros::{CacheKey, cached};

mod cache;
mod change;
mod codec;
#[cfg(feature = "config")]
pub mod config;
mod connection;
mod flight;
mod inner;
mod key;
mod layer;
mod load;
mod local;
mod lookup;
#[cfg(feature = "macros")]
mod macros;
mod memory;
mod observe;
pub mod ops;
mod options;
mod pattern;
#[cfg(test)]
mod simulation;
mod snapshot;
mod support;
mod tier;

/// Items for the code that the macros make, and for no other code: they may change at any time.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __macros {
    pub use crate::macros::*;
}

/// The pages of `docs/` and the README: each of their snippets is a test.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/adding-a-backend.md")]
    mod adding_a_backend {}
    #[doc = include_str!("../../../docs/atomic-changes.md")]
    mod atomic_changes {}
    #[doc = include_str!("../../../docs/codecs.md")]
    mod codecs {}
    #[doc = include_str!("../../../docs/coming-from-cached.md")]
    mod coming_from_cached {}
    #[doc = include_str!("../../../docs/coming-from-foyer.md")]
    mod coming_from_foyer {}
    #[doc = include_str!("../../../docs/coming-from-fusioncache.md")]
    mod coming_from_fusioncache {}
    #[doc = include_str!("../../../docs/coming-from-moka.md")]
    mod coming_from_moka {}
    #[doc = include_str!("../../../docs/configuration.md")]
    mod configuration {}
    #[doc = include_str!("../../../docs/disk.md")]
    mod disk {}
    #[doc = include_str!("../../../docs/five-systems.md")]
    mod five_systems {}
    #[doc = include_str!("../../../docs/invalidation.md")]
    mod invalidation {}
    #[doc = include_str!("../../../docs/loading.md")]
    mod loading {}
    #[doc = include_str!("../../../docs/many-keys.md")]
    mod many_keys {}
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/snapshots.md")]
    mod snapshots {}
    #[doc = include_str!("../../../docs/staleness.md")]
    mod staleness {}
    #[doc = include_str!("../../../docs/testing.md")]
    mod testing {}
}
