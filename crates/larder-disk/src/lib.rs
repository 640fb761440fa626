//! Larder's records on disk: SQLite, shared by the processes of one host.
//!
//! [`DiskBackend`] keeps records in one folder. Any number of processes may open the same folder.
//! Every process reads the records that another has written, and waits for a load of another.
//!
//! ```
//! use larder_disk::{DiskBackend, DiskConfig};
//!
//! # let folder = std::env::temp_dir().join(format!("larder-doc-{}", std::process::id()));
//! let config = DiskConfig::new(&folder).max_bytes(Some(100 << 20));
//! let backend = DiskBackend::open(config)?;
//! assert_eq!(backend.usage()?.records, 0);
//! # drop(backend);
//! # std::fs::remove_dir_all(folder).ok();
//! # Ok::<_, larder_core::Error>(())
//! ```
//!
//! Give the backend to `larder::CacheBuilder::backend`, and a cache in memory stands above it.
//!
//! # What is promised
//! - **Expectations** are judged in the transaction that applies them, whichever process asks.
//! - **Lives** are reckoned by one clock of the host, which no change of its wall clock moves.
//! - **Durability** is chosen: [`Relaxed`](Durability::Relaxed) syncs nothing on a write and never
//!   leaves half of one; [`Synced`](Durability::Synced) answers when the disk has it.
//! - **Room** is bounded: beyond [`max_bytes`](DiskConfig::max_bytes) the records that were not
//!   used for longest go, by second chance; leases and locks go last. The bound is the store's,
//!   whichever process opens it.
//! - **Damage** is noticed by a check of every record: a damaged record is a miss. A damaged
//!   database is put away under a dated name, and an empty one takes its place.
//! - **Files** are 0600 in a folder that only its owner enters.
//!
//! # Limits
//! - One host: SQLite's write-ahead log does not work over network file systems.
//! - A value is at most a quarter of `max_bytes`, and below 1 GB.
//! - An application that builds another SQLite (sqlx's, say) shares this one's: the accepted range
//!   of `rusqlite` is wide for that.

pub use crate::backend::DiskBackend;
pub use crate::bound::room::DiskUsage;
pub use crate::config::{DiskConfig, Durability, OnCorrupt};
pub use crate::event::DiskEvent;
pub use crate::examine::report::{Finding, Problem, Report};
pub use crate::examine::{Examine, examine};
pub use crate::opener::DiskOpener;

mod backend;
mod bound;
mod config;
mod error;
mod event;
mod examine;
mod folder;
mod opener;
mod read;
mod record;
mod shared;
mod store;
mod thread;
mod time;
mod write;
