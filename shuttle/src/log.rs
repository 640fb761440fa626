//! The changes, their times, and the values that a reader may still get.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::world::{Key, Value};

/// The changes of one schedule. Its lock is the observer's own: it adds no scheduling points.
#[derive(Default)]
pub(crate) struct Log(Mutex<State>);

#[derive(Default)]
struct State {
    now: u64,
    changes: Vec<Change>,
}

struct Change {
    /// The key that changed; none means all keys.
    key: Option<Key>,
    /// True if the change does not concern loaded values.
    spares_loads: bool,
    /// The number that the source gives since this change.
    number: u64,
    began: u64,
    returned: Option<u64>,
}

/// The changes that had returned when a reader began.
pub(crate) struct Asked(Vec<usize>);

impl Log {
    /// Notes a change that begins, with the number it has given the source.
    pub(crate) fn begin(&self, key: Option<Key>, number: u64) -> usize {
        self.state().begin(key, number, false)
    }

    /// Like [`begin`](Self::begin), for a change that concerns inserted values and no loaded ones.
    pub(crate) fn begin_inserted(&self) -> usize {
        self.state().begin(None, 0, true)
    }

    /// Notes that the change returns now.
    pub(crate) fn end(&self, change: usize) {
        let mut state = self.state();
        let now = state.tick();
        state.changes[change].returned = Some(now);
    }

    /// Returns the changes of this key that have returned when a reader begins.
    pub(crate) fn ask(&self, key: Key) -> Asked {
        let state = self.state();
        let returned = |change: &Change| {
            change.returned.is_some() && change.key.is_none_or(|changed| changed == key)
        };
        Asked((0..state.changes.len()).filter(|index| returned(&state.changes[*index])).collect())
    }

    /// Fails the schedule if the value is older than a change that had returned before.
    pub(crate) fn judge(&self, asked: &Asked, value: Value, what: &str) {
        let stale = {
            let state = self.state();
            asked.0.iter().any(|index| state.outdates(*index, value))
        };
        assert!(!stale, "{what}: {value:?} outlived a change that had returned");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn begin(&mut self, key: Option<Key>, number: u64, spares_loads: bool) -> usize {
        let began = self.tick();
        self.changes.push(Change { key, spares_loads, number, began, returned: None });
        self.changes.len() - 1
    }

    fn outdates(&self, index: usize, value: Value) -> bool {
        let change = &self.changes[index];
        match value {
            Value::Loaded(number) => !change.spares_loads && number < change.number,
            Value::Inserted(insert) => {
                let returned = self.changes[insert].returned;
                returned.is_some_and(|returned| returned < change.began)
            }
        }
    }
}
