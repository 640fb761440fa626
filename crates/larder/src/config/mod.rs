//! A cache as its operator describes it: one plain value, from code, TOML, environment or URL.
//!
//! Every source becomes settings, which are texts under names. One place checks them.
//!
//! | name | means | default |
//! |---|---|---|
//! | `enabled` | `false`: every call is a miss or does nothing, and no backend is opened | `true` |
//! | `ttl` | a duration such as `90s` or `1h30m`, or `never` | `1h` |
//! | `grace` | a duration | `0s` |
//! | `capacity` | entries in memory | `1000` |
//! | `namespace` | text | `larder` |
//! | `strict` | `true`: a backend's failure is an error | `false` |
//! | `url` | the backend: `memory:`, `file:…`, whatever an opener opens | `memory:` |
//! | `host`, `port`, `db`, `username`, `password`, `tls` | a server, instead of `url` | `localhost`, `6379`, `0`, none, none, `false` |
//! | `pool_size`, `connect_timeout`, `timeout` | how the server is spoken to | `20`, `5s`, `5s` |
//!
//! A name that is not known is refused, with the nearest one that is.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use larder_core::{AnyBackend, Error, ErrorKind, Opener, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::{Cache, CacheBuilder};
use crate::connection::Connection;
use crate::key::CacheKey;
use crate::options::Ttl;

mod hidden;
mod server;
mod setting;
mod source;
mod url;

pub use self::hidden::Hidden;
pub use self::server::ServerConfig;

/// Configuration of a cache, as its operator writes it.
///
/// `Debug` shows no password and no URL.
///
/// ```
/// use larder::Cache;
/// use larder::config::CacheConfig;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let config = CacheConfig::from_toml("
///     ttl = '90s'
///     capacity = 500
///     namespace = 'shop'
/// ")?;
/// let cache = Cache::<u64, String>::from_config(&config, &[])?;
/// cache.insert(7, "soup".to_owned()).await?;
/// # Ok::<_, larder::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct CacheConfig {
    /// Turns the cache on or off. Default `true`.
    pub enabled: bool,
    /// Time to live: the time for which entries are fresh. Default an hour.
    pub ttl: Ttl,
    /// Time after the ttl for which entries are kept, stale. Default zero.
    pub grace: Duration,
    /// Largest number of entries in memory. Default 1,000.
    pub capacity: u64,
    /// The namespace in the backend. Default `larder`. Each type of values needs its own.
    pub namespace: String,
    /// Strict mode: a backend's failure is an error. Default `false`.
    pub strict: bool,
    /// Backend that shares the entries. Default: memory alone.
    pub backend: BackendConfig,
}

/// Backend that shares the entries.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendConfig {
    /// No backend: entries stay in the memory of the process.
    Memory,
    /// The backend named by this URL.
    Url(Hidden),
    /// A server.
    Server(ServerConfig),
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl: Ttl::For(Duration::from_secs(3_600)),
            grace: Duration::ZERO,
            capacity: 1_000,
            namespace: "larder".to_owned(),
            strict: false,
            backend: BackendConfig::Memory,
        }
    }
}

impl CacheConfig {
    /// The URL of the backend; none for memory alone.
    #[must_use]
    pub fn url(&self) -> Option<Hidden> {
        match &self.backend {
            BackendConfig::Memory => None,
            BackendConfig::Url(url) => Some(url.clone()),
            BackendConfig::Server(server) => Some(server.url()),
        }
    }

    /// Returns the backend as a connection that opens when it is first needed. None for memory
    /// alone, and for a configuration that is not enabled.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if none of the openers knows the URL's scheme.
    pub fn connection(&self, openers: &[&'static dyn Opener]) -> Result<Option<Connection>> {
        let Some(url) = self.url().filter(|_| self.enabled) else { return Ok(None) };
        let scheme = url.expose().split_once(':').map_or("", |(scheme, _)| scheme).to_owned();
        let is_its = |opener: &&&'static dyn Opener| opener.schemes().contains(&scheme.as_str());
        let Some(&opener) = openers.iter().find(is_its) else {
            let mut known = vec!["memory"];
            known.extend(openers.iter().flat_map(|opener| opener.schemes()));
            let message = format!("no opener for URLs of that scheme; known: {}", known.join(", "));
            return Err(Error::new(ErrorKind::InvalidInput, "config", message));
        };
        let capabilities = opener.capabilities(url.expose())?;
        let open = move || -> Result<AnyBackend> { opener.open(url.expose()) };
        Ok(Some(Connection::new(capabilities, open)))
    }
}

impl<K, V> Cache<K, V>
where
    K: CacheKey,
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Builds the cache that a configuration describes. `openers` know its backend's URL: one for
    /// each adapter that the configuration may name, none for memory alone.
    ///
    /// Nothing is opened here: the backend is when it is first needed.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a setting is out of its range, or no opener knows
    /// the URL.
    pub fn from_config(config: &CacheConfig, openers: &[&'static dyn Opener]) -> Result<Self> {
        Self::builder().config(config, openers)?.build()
    }
}

impl<K, V> CacheBuilder<K, V>
where
    K: CacheKey,
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Takes over all settings of a configuration, including its defaults: call this first.
    ///
    /// # Errors
    /// As [`Cache::from_config`].
    pub fn config(self, config: &CacheConfig, openers: &[&'static dyn Opener]) -> Result<Self> {
        let builder = self
            .enabled(config.enabled)
            .ttl(config.ttl)
            .grace(config.grace)
            .capacity(config.capacity)
            .namespace(&config.namespace)
            .strict(config.strict);
        Ok(match config.connection(openers)? {
            None => builder,
            Some(connection) => match &config.backend {
                BackendConfig::Server(server) => {
                    builder.backend(connection).backend_timeout(server.timeout)
                }
                _ => builder.backend(connection),
            },
        })
    }
}

impl CacheConfig {
    /// Settings as texts, by name, passwords included.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<&'static str, Hidden> {
        setting::all(self)
    }
}

impl fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheConfig")
            .field("enabled", &self.enabled)
            .field("ttl", &self.ttl)
            .field("grace", &self.grace)
            .field("capacity", &self.capacity)
            .field("namespace", &self.namespace)
            .field("strict", &self.strict)
            .field("backend", &self.backend)
            .finish()
    }
}

impl fmt::Debug for BackendConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("Memory"),
            Self::Url(_) => f.write_str("Url(***)"),
            Self::Server(server) => server.fmt(f),
        }
    }
}
