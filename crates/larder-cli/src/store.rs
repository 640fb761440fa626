//! The cache of a sub-command: a folder on disk and a namespace in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::backend::{AnyBackend, Backend as _, Class, Clock, Codec, Key, Namespace, Record};
use larder::config::{CacheConfig, Hidden};
use larder::ops::Swap;
use larder::{
    Cache, CacheBuilder, Error, ErrorKind, MessagePack, Options, Raw, Result, SystemClock, Ttl,
};
use larder_disk::DiskBackend;

use crate::backend::{self, Opened};
use crate::exit::{Failure, with_causes};

/// An open store, and the namespace that the arguments mean.
pub(crate) struct Store {
    pub(crate) backend: AnyBackend,
    /// The same store, if it is one on disk: only that can say how much room it takes.
    pub(crate) disk: Option<DiskBackend>,
    pub(crate) namespace: Namespace,
    /// The options of entries whose callers name no life.
    pub(crate) defaults: Options,
    pub(crate) name: String,
}

/// The store that the arguments mean, before it is opened.
pub(crate) struct Target {
    url: Option<Hidden>,
    pub(crate) namespace: Option<String>,
    pub(crate) ttl: Option<Ttl>,
    pub(crate) grace: Option<Duration>,
}

impl Target {
    /// Returns the target that this URL or this configuration names, else the default.
    pub(crate) fn new(
        url: Option<&str>,
        config: Option<&Path>,
    ) -> std::result::Result<Self, Failure> {
        // An empty variable counts as one that is not set.
        let url = url.filter(|url| !url.is_empty());
        let config = config.filter(|file| !file.as_os_str().is_empty());
        let mut target = Self { url: None, namespace: None, ttl: None, grace: None };
        if let Some(file) = config {
            let config = configuration(file)?;
            (target.ttl, target.grace) = (Some(config.ttl), Some(config.grace));
            target.url = config.url();
            target.namespace = Some(config.namespace);
        }
        if let Some(url) = url {
            let config = CacheConfig::from_url(url)?;
            target.url = config.url();
            // Only the settings that the URL names are taken. All others stay as they were.
            let query = url.split_once('?').map_or("", |(_, query)| query);
            let says =
                |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
            if says("namespace") {
                target.namespace = Some(config.namespace);
            }
            if says("ttl") {
                target.ttl = Some(config.ttl);
            }
            if says("grace") {
                target.grace = Some(config.grace);
            }
        }
        if target.url.is_none() && (url.is_some() || config.is_some()) {
            let message = "a cache in memory is not shared with a command: name a `file:` URL";
            return Err(Error::new(ErrorKind::InvalidInput, "store", message).into());
        }
        Ok(target)
    }

    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_ref().map(Hidden::expose)
    }
}

impl Store {
    /// Opens the target's store, else the folder under the user's cache directory.
    pub(crate) fn open(target: &Target, namespace: Option<&str>) -> Result<Self> {
        let namespace = namespace.or(target.namespace.as_deref()).unwrap_or("default");
        let store = Self::open_within(target.url(), namespace, BUSY_TIMEOUT)?;
        let mut defaults = Options::new();
        if let Some(ttl) = target.ttl {
            defaults = defaults.ttl(ttl);
        }
        if let Some(grace) = target.grace {
            defaults = defaults.grace(grace);
        }
        Ok(Self { defaults, ..store })
    }

    /// Opens a store, and waits at most this long for each change by others that are in the way.
    pub(crate) fn open_within(
        url: Option<&str>,
        namespace: &str,
        busy_timeout: Duration,
    ) -> Result<Self> {
        let Opened { backend, disk } = backend::open(url, busy_timeout)?;
        let (name, namespace) = (namespace.to_owned(), Namespace::new(namespace)?);
        Ok(Self { backend, disk, namespace, defaults: Options::new(), name })
    }

    /// Returns this store with another namespace.
    pub(crate) fn with_namespace(&self, namespace: &str) -> Result<Self> {
        let (backend, disk) = (self.backend.clone(), self.disk.clone());
        let (name, namespace) = (namespace.to_owned(), Namespace::new(namespace)?);
        Ok(Self { backend, disk, namespace, defaults: Options::new(), name })
    }

    /// Returns the record key of an entry.
    pub(crate) fn key(&self, text: &str) -> Key {
        Key::new(&self.namespace, Class::Entry, text.as_bytes())
    }

    /// Returns the record under an entry's key as the backend has it.
    pub(crate) async fn record(&self, text: &str) -> Result<Option<Record>> {
        self.backend.read_one(&self.key(text)).await
    }

    /// Returns the handle for swaps and counters.
    pub(crate) fn swap(&self) -> Swap<AnyBackend> {
        Swap::new(self.backend.clone(), clock())
    }

    /// Returns a cache of the entries of one codec, as that codec's bytes. Failures of the store
    /// are errors.
    pub(crate) fn entries(&self, codec: u16) -> Result<Cache<String, Bytes>> {
        self.cache_with(Verbatim(codec), |builder| builder.strict(true))
    }

    /// Returns a cache of the entries of every codec, stale ones included, to list their keys.
    pub(crate) fn names(&self) -> Result<Cache<String, Bytes>> {
        Ok(self.entries(raw())?.with(Options::new().allow_stale(true)))
    }

    /// Returns a cache over the namespace.
    pub(crate) fn cache_with<V: Clone + Send + Sync + 'static>(
        &self,
        codec: impl Codec<V>,
        settings: impl FnOnce(CacheBuilder<String, V>) -> CacheBuilder<String, V>,
    ) -> Result<Cache<String, V>> {
        let builder = Cache::builder()
            .namespace(&self.name)
            .backend_with(self.backend.clone(), codec)
            // Another process's writes may hold the file for a while.
            .backend_timeout(Duration::from_secs(10));
        settings(builder).build()
    }
}

/// Reads the settings in a file, or in `FILE#table` of a larger one.
fn configuration(file: &Path) -> std::result::Result<CacheConfig, Failure> {
    let named = file.to_str().and_then(|file| file.rsplit_once('#'));
    let (path, table) = named.map_or((file, None), |(path, table)| (Path::new(path), Some(table)));
    let text = std::fs::read_to_string(path).map_err(|error| refused(path, &unread(error)))?;
    Ok(match table {
        Some(table) => CacheConfig::from_toml_at(&text, table)?,
        None => CacheConfig::from_toml(&text)?,
    })
}

fn unread(error: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Unavailable, "read", error)
}

/// Returns the error for a store that cannot be used: the caller's arguments are not at fault.
pub(crate) fn refused(folder: &Path, error: &Error) -> Error {
    let source = format!("{}: {}", folder.display(), with_causes(error));
    Error::with_source(ErrorKind::Unavailable, "store", source)
}

/// A codec that leaves the bytes of another codec as they are.
struct Verbatim(u16);

impl Codec<Bytes> for Verbatim {
    fn id(&self) -> u16 {
        self.0
    }

    fn value_type(&self) -> u32 {
        0
    }

    fn encode(&self, value: &Bytes) -> Result<Bytes> {
        Ok(value.clone())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Bytes> {
        Ok(bytes.clone())
    }
}

/// Returns the id of the codec that keeps bytes as they are.
pub(crate) fn raw() -> u16 {
    Codec::<Bytes>::id(&Raw)
}

/// Returns the id of the codec that programs use for values of their own.
pub(crate) fn message_pack() -> u16 {
    Codec::<()>::id(&MessagePack)
}

/// Returns the clock of this process.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Half of the time that a cache of this store gives a call.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
