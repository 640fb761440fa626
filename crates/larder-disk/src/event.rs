//! Events that no caller's result reports.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

/// An event in the store that no caller's result reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskEvent {
    /// The damaged database was renamed, and an empty one has taken its place.
    SetAside {
        /// The path of the damaged database.
        path: PathBuf,
    },
    /// The database had gone or had been replaced. The one in its place is used from now on.
    Reopened,
    /// A record's check did not match. The record counts as nothing and has been dropped.
    Damaged,
    /// Live records were dropped for room.
    Evicted {
        /// The number of records.
        records: u64,
    },
}

type Tell = dyn Fn(&DiskEvent) + Send + Sync;

/// The callback for events, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Tell>>);

impl Observer {
    pub(crate) fn new(tell: impl Fn(&DiskEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, event: &DiskEvent) {
        if let Some(tell) = &self.0 {
            // The callback may panic. A panic there must not stop the thread that reports the
            // event.
            let _ = catch_unwind(AssertUnwindSafe(|| tell(event)));
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer(set)" } else { "Observer(none)" })
    }
}
