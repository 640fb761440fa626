//! One job of the writing thread.

use std::sync::Arc;

use larder_core::{Key, Outcome, Result, StoreTime};
use tokio::sync::oneshot;

use crate::record::change::Change;
use crate::store::Store;

/// A job that callers give to the writing thread.
pub(crate) enum Job {
    /// Changes of keys that are all different, asked for at this store time.
    Changes(Vec<Change>, StoreTime, oneshot::Sender<Vec<Outcome>>),
    /// Free this many dead records.
    Purge(usize, oneshot::Sender<Result<usize>>),
    /// Do the upkeep at once.
    Tidy,
    /// Note which records were used.
    Uses,
    /// Drop a record that a reader found damaged.
    DropDamaged(i64, Key),
    /// Check whether the store is the one in the folder, and open that one if not. A reader may
    /// have found this one damaged.
    Check(Arc<Store>, Option<rusqlite::Error>, oneshot::Sender<Result<()>>),
}
