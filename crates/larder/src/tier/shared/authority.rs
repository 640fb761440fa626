//! The tier whose versions decide: what this process knows of its marks, and changes of one record
//! at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder_core::{AnyBackend, Backend};

use crate::ops::Swap;
use crate::tier::marks::known::Table;
use crate::tier::shared::remote::Remote;

/// The last tier, and its marks as far as this process knows them.
pub(crate) struct Authority {
    pub(crate) remote: Remote,
    /// The time for which the epoch and a tag are believed without asking again.
    pub(crate) tag_check: Duration,
    pub(crate) table: Arc<Mutex<Table>>,
    swap: Swap<AnyBackend>,
}

impl Authority {
    pub(crate) fn new(remote: Remote, tag_check: Duration) -> Self {
        let swap = Swap::new(remote.backend().clone(), remote.clock.shared());
        let swap = swap.with_patience(remote.timeout / 2);
        Self { remote, tag_check, table: Arc::default(), swap }
    }

    /// Returns this authority, asked through `backend`. Its table of known marks is shared.
    pub(crate) fn through(&self, backend: impl Backend) -> Self {
        let (remote, table) = (self.remote.through(backend), Arc::clone(&self.table));
        Self { remote, table, swap: self.swap.clone(), ..*self }
    }

    /// Changes that depend on the record that is there. The cache has one `Swap`, so that its
    /// changes of one key wait for each other instead of competing.
    pub(crate) const fn swap(&self) -> &Swap<AnyBackend> {
        &self.swap
    }
}
