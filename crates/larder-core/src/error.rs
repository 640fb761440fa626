//! The one error type of the workspace.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Any error, boxed, as loaders and drivers hand it over.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A result with Larder's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error: it says what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A key, name or setting is outside its range: change the argument.
    InvalidInput,
    /// The backend lacks the capability that was asked for: choose another backend or verb.
    Unsupported,
    /// The backend could not be reached or refused to serve: try again later.
    Unavailable,
    /// The call ran out of its time: try again or allow more.
    Timeout,
    /// A value could not be encoded, or stored bytes could not be decoded.
    Codec,
    /// The store has no room for the value, or it takes no value so large.
    NoSpace,
    /// The key has no value, and the call was told to fail then. Load or insert it.
    NotFound,
    /// The loader failed or panicked: see [`Error::loader_error`] and [`Error::is_panic`].
    Loader,
    /// A loader asked for a key that waits for this very load: change the loader.
    Reentrant,
    /// The cache or the backend has been closed.
    Closed,
    /// The call needs an asynchronous runtime and none is running.
    NoRuntime,
}

impl ErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid input",
            Self::Unsupported => "not supported by this backend",
            Self::Unavailable => "backend unavailable",
            Self::Timeout => "timed out",
            Self::Codec => "encoding failed",
            Self::NoSpace => "no space",
            Self::NotFound => "not found",
            Self::Loader => "the loader failed",
            Self::Reentrant => "the loader asked for a key that waits for it",
            Self::Closed => "closed",
            Self::NoRuntime => "no asynchronous runtime",
        }
    }
}

/// An error: its kind, the operation that failed, and the reason.
///
/// Cheap to clone, because all callers that waited for one load share its failure. Messages never
/// hold keys, values or secrets.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    message: Cow<'static, str>,
    retryable: bool,
    panic: bool,
    source: Option<BoxError>,
}

impl Error {
    /// Makes an error of this kind in this operation (`"read"`, `"load"`). The message is a
    /// lower-case fragment.
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) and [`Timeout`](ErrorKind::Timeout) are retryable.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::build(kind, operation, message.into(), None, false)
    }

    /// Makes an error with the driver's or loader's own error as its source.
    #[must_use]
    pub fn with_source(
        kind: ErrorKind,
        operation: &'static str,
        source: impl Into<BoxError>,
    ) -> Self {
        Self::build(kind, operation, Cow::Borrowed(""), Some(source.into()), false)
    }

    /// Makes the error of a loader that panicked. The panic's own text is left out: it may hold
    /// values.
    #[must_use]
    pub fn panicked(operation: &'static str) -> Self {
        Self::build(ErrorKind::Loader, operation, Cow::Borrowed("it panicked"), None, true)
    }

    fn build(
        kind: ErrorKind,
        operation: &'static str,
        message: Cow<'static, str>,
        source: Option<BoxError>,
        panic: bool,
    ) -> Self {
        let retryable = matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout);
        Self(Arc::new(Inner { kind, operation, message, retryable, panic, source }))
    }

    /// Returns the kind, which says what the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns true if the call may succeed when it is repeated later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns true if a loader panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.0.panic
    }

    /// Returns the loader's own error, if this is a loader's failure of that type.
    ///
    /// ```
    /// use larder_core::{Error, ErrorKind};
    ///
    /// let error = Error::with_source(ErrorKind::Loader, "load", std::fmt::Error);
    /// assert!(error.loader_error::<std::fmt::Error>().is_some());
    /// assert!(error.loader_error::<std::io::Error>().is_none());
    /// ```
    #[must_use]
    pub fn loader_error<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self.0.kind {
            ErrorKind::Loader => self.0.source.as_ref()?.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.kind.text())?;
        if !self.0.message.is_empty() {
            write!(f, ": {}", self.0.message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The conversion is for functions that fail in reading, and are read through a cache.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Timeout => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::{Error, ErrorKind};

    #[test]
    fn display_names_operation_and_kind_and_keeps_the_source_apart() {
        let error = Error::with_source(ErrorKind::Unavailable, "read", "connection refused");
        assert_eq!(error.to_string(), "read: backend unavailable");
        assert_eq!(error.source().unwrap().to_string(), "connection refused");
        assert!(error.is_retryable());
        assert!(!Error::new(ErrorKind::Codec, "read", "bad magic").is_retryable());
    }

    #[test]
    fn an_error_of_reading_keeps_it_whole() {
        let error = io::Error::from(Error::new(ErrorKind::Timeout, "load", "too slow"));
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let inner = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(inner.kind(), ErrorKind::Timeout);
    }
}
