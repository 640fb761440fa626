//! The return types of cached functions, by the type of value that their cache keeps.

use std::convert::Infallible;
use std::fmt::Display;

use larder_core::{BoxError, Error};

/// A return type of a function whose cache keeps `V`.
///
/// The four forms do not overlap, whatever `V` is: none is its own part. So a cache of `Option<V>`
/// keeps "none" as a value, and a cache of `V` as a known absence.
#[diagnostic::on_unimplemented(
    message = "a function that returns `{Self}` cannot be kept in a cache of `{V}`",
    note = "it returns `{V}`, `Option<{V}>`, `Result<{V}, E>` or `Result<Option<{V}>, E>`",
    note = "`E` is made from `larder::Error`, is `Display` and `Send`, and turns into a boxed error"
)]
pub trait Outcome<V>: Sized + Send {
    /// The function's error, which is not kept.
    type Failure: Into<BoxError> + Send + 'static;

    /// True if "there is none" is an answer.
    const FINDS: bool;

    /// Returns the result to keep: a value, or that there is none.
    fn into_found(self) -> Result<Option<V>, Self::Failure>;

    /// Converts a kept result back to the function's type. None if the type has no such answer.
    fn of(found: Option<V>) -> Option<Self>;

    /// The function's own failure.
    fn failed(failure: Self::Failure) -> Self;

    /// Converts the cache's own failure. None if the type cannot express it.
    fn refused(error: Error) -> Option<Self>;
}

impl<V: Send> Outcome<V> for V {
    type Failure = Infallible;
    const FINDS: bool = false;

    fn into_found(self) -> Result<Option<V>, Infallible> {
        Ok(Some(self))
    }

    fn of(found: Option<V>) -> Option<Self> {
        found
    }

    fn failed(failure: Infallible) -> Self {
        match failure {}
    }

    fn refused(_: Error) -> Option<Self> {
        None
    }
}

impl<V: Send> Outcome<V> for Option<V> {
    type Failure = Infallible;
    const FINDS: bool = true;

    fn into_found(self) -> Result<Self, Infallible> {
        Ok(self)
    }

    fn of(found: Self) -> Option<Self> {
        Some(found)
    }

    fn failed(failure: Infallible) -> Self {
        match failure {}
    }

    fn refused(_: Error) -> Option<Self> {
        None
    }
}

impl<V, E> Outcome<V> for Result<V, E>
where
    V: Send,
    E: From<Error> + Into<BoxError> + Display + Send + 'static,
{
    type Failure = E;
    const FINDS: bool = false;

    fn into_found(self) -> Result<Option<V>, E> {
        self.map(Some)
    }

    fn of(found: Option<V>) -> Option<Self> {
        found.map(Ok)
    }

    fn failed(failure: E) -> Self {
        Err(failure)
    }

    fn refused(error: Error) -> Option<Self> {
        Some(Err(error.into()))
    }
}

impl<V, E> Outcome<V> for Result<Option<V>, E>
where
    V: Send,
    E: From<Error> + Into<BoxError> + Display + Send + 'static,
{
    type Failure = E;
    const FINDS: bool = true;

    fn into_found(self) -> Self {
        self
    }

    fn of(found: Option<V>) -> Option<Self> {
        Some(Ok(found))
    }

    fn failed(failure: E) -> Self {
        Err(failure)
    }

    fn refused(error: Error) -> Option<Self> {
        Some(Err(error.into()))
    }
}
