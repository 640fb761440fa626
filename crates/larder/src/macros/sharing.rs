//! The return of a function's own error through a load that several callers may share.
//!
//! An error that can be cloned goes back to all of them. Another error goes back to the caller
//! whose call has run the function; the others get a [`larder::Error`](Error) with its text.

use std::error;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use larder_core::{BoxError, Error};

use crate::macros::outcome::Outcome;
use crate::support::sync::lock;

/// The way of a failure from the function to its callers.
pub trait Sharing<F> {
    /// A place where a failure waits for its caller.
    type Slot: Clone + Default + Send + 'static;

    /// Called at the function: returns the error for the cache.
    fn give(slot: &Self::Slot, failure: F) -> BoxError;

    /// Called at the caller: returns the failure, if it has come to this caller.
    fn take(slot: &Self::Slot, error: &Error) -> Option<F>;
}

/// Shares an error with all callers, as clones.
#[derive(Clone, Copy, Debug)]
pub struct ByClone;

impl<F: error::Error + Clone + Send + Sync + 'static> Sharing<F> for ByClone {
    type Slot = ();

    fn give((): &(), failure: F) -> BoxError {
        failure.into()
    }

    fn take((): &(), error: &Error) -> Option<F> {
        error.loader_error::<F>().cloned()
    }
}

/// Hands an error to the caller that has run the function.
#[derive(Clone, Copy, Debug)]
pub struct ByHand;

impl<F: Display + Send + 'static> Sharing<F> for ByHand {
    type Slot = Arc<Mutex<Option<F>>>;

    fn give(slot: &Self::Slot, failure: F) -> BoxError {
        let text = failure.to_string();
        *lock(slot) = Some(failure);
        text.into()
    }

    fn take(slot: &Self::Slot, _: &Error) -> Option<F> {
        lock(slot).take()
    }
}

/// A function's return type beside what its cache keeps: method resolution finds its [`Sharing`].
#[derive(Debug)]
pub struct Returns<V, O>(PhantomData<fn() -> (V, O)>);

impl<V, O> Returns<V, O> {
    /// Both types, the one of the cache by inference.
    #[must_use]
    pub fn of<K: std::hash::Hash + Eq>(_: &crate::Cache<K, V>) -> Self {
        Self(PhantomData)
    }
}

/// A trait that method resolution finds first, where its condition holds.
pub trait SharedByClone {
    /// The way of failures that can be cloned.
    fn sharing(&self) -> ByClone {
        ByClone
    }
}

impl<V, O: Outcome<V>> SharedByClone for Returns<V, O> where
    O::Failure: error::Error + Clone + Send + Sync + 'static
{
}

/// A trait that method resolution finds by one more reference, everywhere.
pub trait SharedByHand {
    /// The way of all other failures.
    fn sharing(&self) -> ByHand {
        ByHand
    }
}

impl<V, O> SharedByHand for &Returns<V, O> {}
