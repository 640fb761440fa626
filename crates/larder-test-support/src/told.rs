//! The events of a cache.

use std::sync::{Arc, Mutex};

use larder::Event;

/// A log of the events that a cache has told its observer.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    /// Returns the observer that fills the log.
    pub fn observer(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let told = self.clone();
        move |event| told.0.lock().unwrap().push(event.clone())
    }

    /// Returns the number of events for which this is true.
    pub fn count(&self, is_meant: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| is_meant(event)).count()
    }
}
