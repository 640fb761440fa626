//! Sources of settings.

use std::ffi::OsString;

use larder_core::Result;

use crate::config::setting::{NAMES, apply, invalid};
use crate::config::url::Parts;
use crate::config::{BackendConfig, CacheConfig, Hidden};

impl CacheConfig {
    /// Reads a configuration from settings by name. A setting that is not named has its default.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is not known and for a value
    /// out of its range. The message names the setting, and never a value.
    pub fn from_settings<N: AsRef<str>, T: AsRef<str>>(
        settings: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self> {
        let mut config = Self::default();
        for (name, value) in settings {
            apply(&mut config, name.as_ref(), value.as_ref())?;
        }
        Ok(config)
    }

    /// Reads a configuration from the settings that begin with a prefix. The prefix is stripped;
    /// other settings are ignored.
    ///
    /// ```
    /// use larder::config::CacheConfig;
    ///
    /// let all = [("cache.ttl", "90s"), ("cache.capacity", "50"), ("server.port", "80")];
    /// assert_eq!(CacheConfig::from_prefixed(all, "cache.")?.capacity, 50);
    /// # Ok::<_, larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_settings`](Self::from_settings).
    pub fn from_prefixed<N: AsRef<str>, T: AsRef<str>>(
        settings: impl IntoIterator<Item = (N, T)>,
        prefix: &str,
    ) -> Result<Self> {
        let own = settings.into_iter().filter_map(|(name, value)| {
            let name = name.as_ref().strip_prefix(prefix)?.to_owned();
            Some((name, value))
        });
        Self::from_settings(own)
    }

    /// Reads a configuration from environment variables. `MY_APP_CACHE_TTL` is `ttl` with the
    /// prefix `MY_APP_CACHE_`. Pass [`std::env::vars_os`]: the library reads no environment by
    /// itself.
    ///
    /// ```
    /// use larder::config::CacheConfig;
    ///
    /// let config = CacheConfig::from_env(std::env::vars_os(), "MY_APP_CACHE_")?;
    /// assert!(config.enabled);
    /// # Ok::<_, larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_settings`](Self::from_settings), also for a value that is no Unicode.
    pub fn from_env(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        prefix: &str,
    ) -> Result<Self> {
        let mut own = Vec::new();
        for (name, value) in variables {
            let Some(name) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else {
                continue;
            };
            let name = name.to_ascii_lowercase();
            let no_text = |_| invalid(format!("`{name}` is no text"));
            let value = value.into_string().map_err(no_text)?;
            own.push((name, value));
        }
        Self::from_settings(own)
    }

    /// Reads a configuration from a TOML table.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a text that is no TOML; otherwise as
    /// [`from_settings`](Self::from_settings).
    pub fn from_toml(text: &str) -> Result<Self> {
        // The parser's own message shows the line, which may have a password.
        let table: toml::Table =
            toml::from_str(text).map_err(|_| invalid("it is no TOML".to_owned()))?;
        Self::from_table(&table)
    }

    /// Reads a configuration from one table of a TOML document. The name is like `cache`, or
    /// `services.cache`. Without such a table, all defaults.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_toml_at(text: &str, name: &str) -> Result<Self> {
        let mut table: toml::Table =
            toml::from_str(text).map_err(|_| invalid("it is no TOML".to_owned()))?;
        for part in name.split('.') {
            table = match table.remove(part) {
                None => return Ok(Self::default()),
                Some(toml::Value::Table(table)) => table,
                Some(_) => return Err(invalid(format!("`{name}` is no table"))),
            };
        }
        Self::from_table(&table)
    }

    /// Reads a configuration from a URL: the backend, and settings after the `?`. Settings that are
    /// not the cache's are left to the backend.
    ///
    /// ```
    /// use larder::config::CacheConfig;
    ///
    /// let config = CacheConfig::from_url("file:/var/cache/shop?ttl=90s&max-bytes=64MiB")?;
    /// assert_eq!(config.url().unwrap().expose(), "file:/var/cache/shop?max-bytes=64MiB");
    ///
    /// let config = CacheConfig::from_url("rediss://:p%40ss@cache.example:6380/2")?;
    /// assert_eq!(config.url().unwrap().expose(), "rediss://:p%40ss@cache.example:6380/2");
    /// # Ok::<_, larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a text that is no URL; otherwise as
    /// [`from_settings`](Self::from_settings).
    pub fn from_url(url: &str) -> Result<Self> {
        let parts = Parts::parse(url)?;
        let mut config = Self::default();
        match parts.scheme {
            "memory" => {}
            "redis" | "rediss" => apply_server(&mut config, &parts)?,
            _ => return of_others(url, &parts),
        }
        for (name, value) in parts.settings()? {
            apply(&mut config, &name, &value)?;
        }
        Ok(config)
    }

    fn from_table(table: &toml::Table) -> Result<Self> {
        let mut config = Self::default();
        for (name, value) in table {
            let value = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(switch) => switch.to_string(),
                _ => return Err(invalid(format!("`{name}` is a text, a number or a switch"))),
            };
            apply(&mut config, name, &value)?;
        }
        Ok(config)
    }
}

fn apply_server(config: &mut CacheConfig, parts: &Parts<'_>) -> Result<()> {
    let tls = (parts.scheme == "rediss").to_string();
    let mut settings = vec![("tls", tls.as_str())];
    if !parts.host.is_empty() {
        settings.push(("host", parts.host.as_str()));
    }
    settings.extend(parts.port.map(|port| ("port", port)));
    settings.extend(parts.username.as_deref().map(|name| ("username", name)));
    settings.extend(parts.password.as_deref().map(|password| ("password", password)));
    if !parts.path.is_empty() {
        settings.push(("db", parts.path));
    }
    settings.into_iter().try_for_each(|(name, value)| apply(config, name, value))
}

/// Reads a URL whose meaning an opener knows. Settings that are not the cache's stay in it, as they
/// were written.
fn of_others(url: &str, parts: &Parts<'_>) -> Result<CacheConfig> {
    let own = |name: &str| NAMES[..6].contains(&name);
    let mut config = CacheConfig::default();
    for (name, value) in parts.settings()?.into_iter().filter(|(name, _)| own(name)) {
        apply(&mut config, &name, &value)?;
    }
    let base = url.split_once('?').map_or(url, |(base, _)| base);
    let is_theirs = |pair: &&str| !own(pair.split_once('=').map_or(*pair, |(name, _)| name));
    let theirs: Vec<&str> = parts.query.split('&').filter(is_theirs).collect();
    let mut kept = base.to_owned();
    if theirs.iter().any(|pair| !pair.is_empty()) {
        kept = format!("{kept}?{}", theirs.join("&"));
    }
    config.backend = BackendConfig::Url(Hidden::new(kept));
    Ok(config)
}
