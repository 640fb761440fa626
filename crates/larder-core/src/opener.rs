//! Opening a backend that a URL names.

use crate::{AnyBackend, Capabilities, Result};

/// An opener of backends of one kind, by URL. Adapters enter a configuration through it.
///
/// ```
/// use larder_core::{AnyBackend, Capabilities, Opener, Result, Scope};
///
/// struct Nowhere;
///
/// impl Opener for Nowhere {
///     fn schemes(&self) -> &'static [&'static str] {
///         &["nowhere"]
///     }
///     fn capabilities(&self, _url: &str) -> Result<Capabilities> {
///         Ok(Capabilities::new(Scope::Process))
///     }
///     fn open(&self, url: &str) -> Result<AnyBackend> {
///         # let _ = url;
///         # unimplemented!()
///     }
/// }
/// ```
pub trait Opener: Send + Sync + 'static {
    /// Returns the schemes of the opener's URLs, without the `:`.
    fn schemes(&self) -> &'static [&'static str];

    /// Returns the capabilities of a URL's backend, known before it is opened.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the text is no such URL.
    fn capabilities(&self, url: &str) -> Result<Capabilities>;

    /// Opens the backend. The call may block for as long as opening a file takes, and leaves
    /// connecting to a server to the first call.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the text is no such URL, and any error
    /// that keeps the backend from being opened. Messages never hold the URL: it may have a
    /// password.
    fn open(&self, url: &str) -> Result<AnyBackend>;
}
