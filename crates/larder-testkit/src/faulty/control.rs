//! The orders of faults, and the log of all calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::Key;

use super::change::Late;
use super::hold::Gates;
use super::{Fault, Operation};

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The kind of the call.
    pub operation: Operation,
    /// The keys, in the order of the arguments. None for a call without keys.
    pub keys: Vec<Key>,
}

/// The state that a test's handle and a cache's calls share.
#[derive(Default)]
pub(super) struct Control {
    pub(super) gates: Gates,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    /// The number of calls of each kind that have begun, forgotten ones included.
    begun: HashMap<Operation, usize>,
    once: HashMap<(Operation, usize), Fault>,
    every: Vec<Every>,
    late: Vec<Late>,
    settles_within: Option<Duration>,
}

#[derive(Clone)]
struct Every {
    operation: Operation,
    fault: Fault,
    only: Option<Meant>,
}

/// The predicate for the keys that a fault concerns.
pub(super) type Meant = Arc<dyn Fn(&Key) -> bool + Send + Sync>;

/// A fault that a call meets.
pub(super) struct Hit {
    pub(super) call: Call,
    pub(super) fault: Fault,
    /// True for each key that the fault concerns.
    pub(super) chosen: Vec<bool>,
}

impl Control {
    pub(super) fn order_once(&self, operation: Operation, n: usize, fault: Fault) {
        let mut state = self.lock();
        let mut call = state.begun.get(&operation).copied().unwrap_or_default() + n.max(1);
        while state.once.contains_key(&(operation, call)) {
            call += 1;
        }
        state.once.insert((operation, call), fault);
    }

    pub(super) fn order_every(&self, operation: Operation, only: Option<Meant>, fault: Fault) {
        self.lock().every.push(Every { operation, fault, only });
    }

    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.once.clear();
        let every = std::mem::take(&mut state.every);
        drop(state);
        drop(every);
    }

    /// Logs a call and finds the fault that it meets. A fault for this very call comes before
    /// standing ones, which come in the order in which they were given.
    pub(super) fn begin(&self, operation: Operation, keys: &[Key]) -> Option<Hit> {
        let call = Call { operation, keys: keys.to_vec() };
        let mut state = self.lock();
        state.calls.push(call.clone());
        let begun = state.begun.entry(operation).or_default();
        *begun += 1;
        let number = *begun;
        if let Some(fault) = state.once.remove(&(operation, number)) {
            return Some(Hit { call, fault, chosen: vec![true; keys.len()] });
        }
        let every = state.every.clone();
        drop(state);
        // The test's own predicates may use the handle, so the lock is released by now.
        every.into_iter().filter(|every| every.operation == operation).find_map(|every| {
            let chosen = match &every.only {
                None => vec![true; keys.len()],
                Some(is_meant) => keys.iter().map(|key| is_meant(key)).collect(),
            };
            let is_hit = every.only.is_none() || chosen.contains(&true);
            is_hit.then(|| Hit { call: call.clone(), fault: every.fault, chosen })
        })
    }

    pub(super) fn keep_late(&self, changes: impl Iterator<Item = Late>) {
        self.lock().late.extend(changes);
    }

    pub(super) fn take_late(&self) -> Vec<Late> {
        std::mem::take(&mut self.lock().late)
    }

    pub(super) fn settle_within(&self, duration: Duration) {
        self.lock().settles_within = Some(duration);
    }

    pub(super) fn settles_within(&self) -> Option<Duration> {
        self.lock().settles_within
    }

    pub(super) fn late(&self) -> usize {
        self.lock().late.len()
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub(super) fn count(&self, operation: Operation) -> usize {
        self.lock().calls.iter().filter(|call| call.operation == operation).count()
    }

    pub(super) fn forget_calls(&self) {
        self.lock().calls.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Control")
            .field("calls", &state.calls.len())
            .field("once", &state.once)
            .field("every", &state.every.len())
            .field("late", &state.late.len())
            .finish_non_exhaustive()
    }
}

impl Hit {
    /// Splits the changes into those that the fault concerns, and the others.
    pub(super) fn split<C: Clone>(&self, changes: &[C]) -> (Vec<C>, Vec<C>) {
        let (mut chosen, mut spared) = (Vec::new(), Vec::new());
        for (change, is_chosen) in changes.iter().zip(&self.chosen) {
            if *is_chosen { &mut chosen } else { &mut spared }.push(change.clone());
        }
        (chosen, spared)
    }
}
