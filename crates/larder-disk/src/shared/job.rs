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
    /// To free so many dead records.
    Purge(usize, oneshot::Sender<Result<usize>>),
    /// To do what nobody asks for, at once.
    Tidy,
    /// To note which records were used.
    Uses,
    /// To drop a record that a reader found damaged.
    DropDamaged(i64, Key),
    /// To look whether the store is the one in the folder, and to open that if not. A reader may
    /// have found this one damaged.
    Check(Arc<Store>, Option<rusqlite::Error>, oneshot::Sender<Result<()>>),
}
