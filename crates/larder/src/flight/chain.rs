//! The graph of loads that wait for other loads, so that a cycle is an error and not a hang.
//!
//! Code that runs inside a load knows that load. When such code waits for another flight, the wait
//! becomes an edge of a graph; a wait that would close a cycle is refused instead. All edges are
//! made and searched under one lock, so of two loads that are about to wait for each other one
//! finds the other's edge. The lock is a leaf. It is taken by code inside a load and, under its
//! stripe's lock, by a flight that takes the place of an older one.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// The most loads that one search visits. A cycle beyond them ends with the hard timeout.
const MAX_VISITS: usize = 1_024;

static GRAPH: Mutex<()> = Mutex::new(());

thread_local! {
    static CURRENT: RefCell<Option<Link>> = const { RefCell::new(None) };
}

/// One load, as a node of the graph.
#[derive(Clone, Default)]
pub(crate) struct Link(Arc<Mutex<Waits>>);

/// The loads that one load waits for, by their addresses, and how often: a batch waits for many.
type Waits = BTreeMap<usize, (Link, usize)>;

/// The error of a wait that would never end: the other load waits, in the end, for this one.
#[derive(Debug)]
pub(crate) struct Cycle;

/// A wait under way. Dropping it removes the edge.
pub(crate) struct Waiting {
    from: Link,
    to: Link,
}

impl Link {
    /// Returns the load that this code runs inside, if any.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Runs code inside this load.
    pub(crate) fn enter<R>(&self, run: impl FnOnce() -> R) -> R {
        let outer = swap_current(Some(self.clone()));
        let _restore = Restore(outer);
        run()
    }

    /// Notes that this load waits for `other`.
    pub(crate) fn wait_for(&self, other: &Self) -> Result<Waiting, Cycle> {
        let _graph = GRAPH.lock().unwrap_or_else(PoisonError::into_inner);
        if other.reaches(self) {
            return Err(Cycle);
        }
        self.waits().entry(other.address()).or_insert_with(|| (other.clone(), 0)).1 += 1;
        Ok(Waiting { from: self.clone(), to: other.clone() })
    }

    /// True if this load is `other`, or waits in the end for it.
    pub(crate) fn waits_for(&self, other: &Self) -> bool {
        let _graph = GRAPH.lock().unwrap_or_else(PoisonError::into_inner);
        self.reaches(other)
    }

    /// True if this load is `target`, or waits in the end for it. Visits each load once: loads that
    /// wait for several form diamonds, and the number of ways doubles with each diamond in a row.
    fn reaches(&self, target: &Self) -> bool {
        let mut visited = HashSet::new();
        let mut todo = vec![self.clone()];
        while let Some(link) = todo.pop() {
            if link.is(target) {
                return true;
            }
            if visited.len() < MAX_VISITS && visited.insert(link.address()) {
                todo.extend(link.waits().values().map(|(link, _)| link.clone()));
            }
        }
        false
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Waits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _graph = GRAPH.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waits = self.from.waits();
        let address = self.to.address();
        let Some((_, times)) = waits.get_mut(&address) else { return };
        *times -= 1;
        if *times == 0 {
            waits.remove(&address);
        }
    }
}

struct Restore(Option<Link>);

impl Drop for Restore {
    fn drop(&mut self) {
        swap_current(self.0.take());
    }
}

/// Sets the current load and returns the one before. Does nothing on a thread that is ending, where
/// destructors still may use a cache: they run inside no load.
fn swap_current(link: Option<Link>) -> Option<Link> {
    CURRENT.try_with(|current| current.replace(link)).ok().flatten()
}

pin_project! {
    /// A loader's future that knows its load whenever it runs.
    pub(crate) struct Inside<F> {
        link: Link,
        #[pin]
        future: F,
    }
}

impl<F> Inside<F> {
    pub(crate) fn new(link: Link, future: F) -> Self {
        Self { link, future }
    }
}

impl<F: Future> Future for Inside<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.link.enter(|| this.future.poll(context))
    }
}

#[cfg(test)]
mod tests {
    use super::Link;

    #[test]
    fn a_wait_that_closes_a_cycle_is_refused_and_the_others_stay() {
        let [a, b, c] = std::array::from_fn(|_| Link::default());
        assert!(a.wait_for(&a).is_err());
        let first = a.wait_for(&b).unwrap();
        let _second = b.wait_for(&c).unwrap();
        assert!(c.wait_for(&a).is_err());
        drop(first);
        assert!(c.wait_for(&a).is_ok());
    }

    /// A search along every way through these loads took longer than any caller would wait.
    #[test]
    fn a_row_of_diamonds_is_searched_in_no_time() {
        let rows: Vec<[Link; 2]> = (0..60).map(|_| Default::default()).collect();
        let mut waits = Vec::new();
        for pair in rows.windows(2) {
            for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                waits.push(pair[0][from].wait_for(&pair[1][to]).unwrap());
            }
        }
        assert!(Link::default().wait_for(&rows[0][0]).is_ok());
        assert!(rows[59][1].wait_for(&rows[0][0]).is_err());
        drop(waits);
        assert!(rows[59][1].wait_for(&rows[0][0]).is_ok());
    }

    /// Removing the first of so many waits searched all the others.
    #[test]
    fn a_load_waits_for_a_hundred_thousand_others_in_no_time() {
        let load = Link::default();
        let batch: Vec<_> = (0..100_000).map(|_| Link::default()).collect();
        let waits: Vec<_> = batch.iter().map(|other| load.wait_for(other).unwrap()).collect();
        let again = load.wait_for(&batch[7]).unwrap();
        waits.into_iter().rev().for_each(drop);
        assert!(batch[7].wait_for(&load).is_err());
        drop(again);
        assert!(batch[7].wait_for(&load).is_ok());
    }

    #[test]
    fn the_current_load_is_restored_after_nested_ones_and_panics() {
        let [outer, inner] = std::array::from_fn(|_| Link::default());
        outer.enter(|| {
            let panicked = std::panic::catch_unwind(|| inner.enter(|| panic!("expected")));
            assert!(panicked.is_err());
            assert!(std::sync::Arc::ptr_eq(&Link::current().unwrap().0, &outer.0));
        });
        assert!(Link::current().is_none());
    }

    /// Without its thread-local a load panicked in such a destructor, which ends the process.
    #[test]
    fn destructors_of_an_ending_thread_run_inside_no_load() {
        struct Probe;
        impl Drop for Probe {
            fn drop(&mut self) {
                Link::default().enter(|| assert!(Link::current().is_none()));
            }
        }
        thread_local!(static PROBE: Probe = const { Probe });

        let thread = std::thread::spawn(|| {
            PROBE.with(|_| ());
            Link::default().enter(|| ());
        });
        thread.join().unwrap();
    }
}
