//! Events that no caller's result reports.

use std::fmt;
use std::sync::Arc;

use larder_core::Error;

/// Event that no caller's result reports. Holds no keys, values or secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A load was overtaken by a change: its callers have its value, and nobody keeps it.
    LoadOvertaken,
    /// A load failed, timed out or panicked; a stale value may have been served.
    LoadFailed(Error),
    /// The shared tier could not be read or written: the cache went on without it.
    SharedFailed(Error),
    /// Stored bytes could not be decoded, or are a value of another type: they count as nothing.
    Undecodable(Error),
    /// A value could not be encoded or stored. The entry under its key has been deleted, unless a
    /// [`NotConfirmed`](Self::NotConfirmed) comes right after this.
    NotStored(Error),
    /// A change was made here but the authority did not confirm it: it could not be reached, or not
    /// even delete. The earlier value may be served.
    NotConfirmed(Error),
    /// A snapshot could not be restored or saved, or a change could not be logged beside it: the
    /// cache goes on. The error's operation says which.
    SnapshotFailed(Error),
}

/// An observer of events. Called on the task that caused them, outside all locks.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Observe>);

type Observe = Arc<dyn Fn(&Event) + Send + Sync>;

impl Observer {
    pub(crate) fn new(observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    /// Tells the observer. A panic of the observer is caught.
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(observer) = &self.0 {
            let call = std::panic::AssertUnwindSafe(|| observer(event));
            let _ = std::panic::catch_unwind(call);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}
