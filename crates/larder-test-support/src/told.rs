//! The events of a cache.

use std::sync::{Arc, Mutex};

use larder::Event;

/// A log of the events that a cache has told its observer.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    /// The observer that fills it.
    pub fn observer(&self) -> impl Fn(&Event) + Send + Sync + 'static {
        let told = self.clone();
        move |event| told.0.lock().unwrap().push(event.clone())
    }

    /// The number of events for which this holds.
    pub fn count(&self, is_meant: impl Fn(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| is_meant(event)).count()
    }
}
