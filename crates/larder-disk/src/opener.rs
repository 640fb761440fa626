//! Opening a store that a configuration names.

use larder_core::{AnyBackend, Capabilities, Opener, Result};

use crate::backend::{DiskBackend, capabilities};
use crate::config::DiskConfig;

/// Opener of `file:` URLs, as [`DiskConfig::from_url`] reads them.
///
/// ```
/// use larder_core::Opener;
/// use larder_disk::DiskOpener;
///
/// assert_eq!(DiskOpener.schemes(), ["file"]);
/// assert!(DiskOpener.open("file:x?max-bytes=a-lot").is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskOpener;

impl Opener for DiskOpener {
    fn schemes(&self) -> &'static [&'static str] {
        &["file"]
    }

    fn capabilities(&self, url: &str) -> Result<Capabilities> {
        DiskConfig::from_url(url).map(|config| capabilities(config.new_bound()))
    }

    fn open(&self, url: &str) -> Result<AnyBackend> {
        Ok(AnyBackend::new(DiskBackend::open(DiskConfig::from_url(url)?)?))
    }
}
