//! Opening the store that a URL names.

use std::path::PathBuf;
use std::time::Duration;

use larder::backend::{AnyBackend, Opener};
use larder::{Error, ErrorKind, Result};
use larder_disk::{DiskBackend, DiskConfig, DiskEvent, DiskOpener};

use crate::output::remark;
use crate::store::refused;

/// An open store.
pub(crate) struct Opened {
    pub(crate) backend: AnyBackend,
    /// The same store, if it is one on disk.
    pub(crate) disk: Option<DiskBackend>,
}

/// The adapters whose URLs the command takes.
const OPENERS: [&dyn Opener; 1] = [&DiskOpener];

/// Opens the store that the URL names, else the folder under the user's cache directory. A change of a
/// store on disk waits at most `busy_timeout` for other processes.
pub(crate) fn open(url: Option<&str>, busy_timeout: Duration) -> Result<Opened> {
    let scheme = url.and_then(|url| url.split_once(':')).map_or("file", |(scheme, _)| scheme);
    let is_its = |opener: &&&dyn Opener| opener.schemes().contains(&scheme);
    match (OPENERS.iter().find(is_its), url) {
        (Some(opener), Some(url)) if scheme != "file" => {
            Ok(Opened { backend: opener.open(url)?, disk: None })
        }
        // The message of an unknown scheme is that of the disk's own URLs.
        _ => open_disk(url, busy_timeout),
    }
}

fn open_disk(url: Option<&str>, busy_timeout: Duration) -> Result<Opened> {
    let config = config(url)?.busy_timeout(busy_timeout);
    let folder = config.folder().to_owned();
    // A process that lives for milliseconds leaves the purge to processes that write.
    let config = config.purge_every(None).on_event(|event| {
        if let DiskEvent::SetAside { path } = event {
            let path = path.display();
            remark(&format!(
                "the store was damaged: it was moved to {path}, and an empty one took its place"
            ));
        }
    });
    let disk = DiskBackend::open(config).map_err(|error| refused(&folder, &error))?;
    Ok(Opened { backend: AnyBackend::new(disk.clone()), disk: Some(disk) })
}

/// Returns the store that the URL names, else the folder under the user's cache directory.
pub(crate) fn config(url: Option<&str>) -> Result<DiskConfig> {
    match url {
        Some(url) => DiskConfig::from_url(url),
        None => Ok(DiskConfig::new(default_folder()?)),
    }
}

/// Returns the path of `larder` in the user's cache directory.
fn default_folder() -> Result<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    let missing = "neither XDG_CACHE_HOME nor HOME names a folder; say --url or LARDER_URL";
    let cache = cache.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "open", missing))?;
    std::fs::create_dir_all(&cache)
        .map_err(|error| Error::with_source(ErrorKind::Unavailable, "open", error))?;
    Ok(cache.join("larder"))
}
