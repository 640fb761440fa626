//! Settings by name: checked, and listed.

use std::collections::BTreeMap;
use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};

use crate::config::{BackendConfig, CacheConfig, Hidden, ServerConfig};
use crate::options::Ttl;

/// The names of all settings.
pub(super) const NAMES: [&str; 16] = [
    "enabled",
    "ttl",
    "grace",
    "capacity",
    "namespace",
    "strict",
    "url",
    "host",
    "port",
    "db",
    "username",
    "password",
    "tls",
    "pool_size",
    "connect_timeout",
    "timeout",
];

/// Puts one setting into the configuration.
pub(super) fn apply(config: &mut CacheConfig, name: &str, value: &str) -> Result<()> {
    match name {
        "enabled" => config.enabled = switch(name, value)?,
        "ttl" => config.ttl = ttl(name, value)?,
        "grace" => config.grace = duration(name, value)?,
        "capacity" => config.capacity = number(name, value)?,
        "namespace" => value.clone_into(&mut config.namespace),
        "strict" => config.strict = switch(name, value)?,
        "url" => apply_url(config, value)?,
        "host" => server(config)?.host = host(name, value)?,
        "port" => server(config)?.port = number(name, value)?,
        "db" => server(config)?.db = number(name, value)?,
        "username" => server(config)?.username = Some(value.to_owned()).filter(|it| !it.is_empty()),
        "password" => server(config)?.password = Some(Hidden::new(value)),
        "tls" => server(config)?.tls = switch(name, value)?,
        "pool_size" => server(config)?.pool_size = number(name, value)?,
        "connect_timeout" => server(config)?.connect_timeout = duration(name, value)?,
        "timeout" => server(config)?.timeout = duration(name, value)?,
        _ => return Err(unknown(name)),
    }
    Ok(())
}

/// Returns all settings as texts.
pub(super) fn all(config: &CacheConfig) -> BTreeMap<&'static str, Hidden> {
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let ttl = match config.ttl {
        Ttl::For(ttl) => time(ttl),
        _ => "never".to_owned(),
    };
    let mut settings = BTreeMap::from([
        ("enabled", config.enabled.to_string()),
        ("ttl", ttl),
        ("grace", time(config.grace)),
        ("capacity", config.capacity.to_string()),
        ("namespace", config.namespace.clone()),
        ("strict", config.strict.to_string()),
    ]);
    match &config.backend {
        BackendConfig::Memory => {}
        BackendConfig::Url(url) => drop(settings.insert("url", url.expose().to_owned())),
        BackendConfig::Server(server) => settings.extend(of_server(server)),
    }
    settings.into_iter().map(|(name, value)| (name, Hidden::new(value))).collect()
}

fn of_server(server: &ServerConfig) -> Vec<(&'static str, String)> {
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let mut settings = vec![
        ("host", server.host.clone()),
        ("port", server.port.to_string()),
        ("db", server.db.to_string()),
        ("tls", server.tls.to_string()),
        ("pool_size", server.pool_size.to_string()),
        ("connect_timeout", time(server.connect_timeout)),
        ("timeout", time(server.timeout)),
    ];
    settings.extend(server.username.clone().map(|name| ("username", name)));
    let password = server.password.as_ref();
    settings.extend(password.map(|password| ("password", password.expose().to_owned())));
    settings
}

fn apply_url(config: &mut CacheConfig, url: &str) -> Result<()> {
    if matches!(config.backend, BackendConfig::Server(_)) {
        return Err(two_backends());
    }
    config.backend = match url {
        "" | "memory" | "memory:" => BackendConfig::Memory,
        url => BackendConfig::Url(Hidden::new(url)),
    };
    Ok(())
}

/// Returns the server that the settings describe.
fn server(config: &mut CacheConfig) -> Result<&mut ServerConfig> {
    if config.backend == BackendConfig::Memory {
        config.backend = BackendConfig::Server(ServerConfig::default());
    }
    match &mut config.backend {
        BackendConfig::Server(server) => Ok(server),
        _ => Err(two_backends()),
    }
}

fn two_backends() -> Error {
    invalid("a backend is named by `url` or by the settings of a server, not by both".to_owned())
}

fn host(name: &str, value: &str) -> Result<String> {
    let none = || invalid(format!("`{name}` is a name or an address"));
    Some(value.to_owned()).filter(|host| !host.is_empty()).ok_or_else(none)
}

fn switch(name: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(invalid(format!("`{name}` is `true` or `false`"))),
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| invalid(format!("`{name}` is a whole number, in its range")))
}

fn duration(name: &str, value: &str) -> Result<Duration> {
    let wrong = |_| invalid(format!("`{name}` is a duration such as 500ms, 90s or 1h30m"));
    humantime::parse_duration(value).map_err(wrong)
}

fn ttl(name: &str, value: &str) -> Result<Ttl> {
    if value == "never" { Ok(Ttl::Never) } else { duration(name, value).map(Ttl::For) }
}

fn unknown(name: &str) -> Error {
    let nearest = NAMES.iter().map(|known| (distance(name, known), known)).min();
    invalid(match nearest {
        Some((distance, known)) if distance <= 1 + known.len() / 3 => {
            format!("there is no setting `{name}`; did you mean `{known}`?")
        }
        _ => format!("there is no setting `{name}`; there are {}", NAMES.join(", ")),
    })
}

/// Returns the number of characters that have to be changed, added or removed to get from one text
/// to the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, from) in one.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(row.first_mut().unwrap_or(&mut 0), index + 1);
        let mut left = index + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(other.chars()) {
            let changed = diagonal + usize::from(from != to);
            diagonal = *cell;
            *cell = changed.min(left + 1).min(*cell + 1);
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

pub(super) fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, "config", message)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn a_distance_counts_changes() {
        for (one, other, expected) in [
            ("", "", 0),
            ("ttl", "ttl", 0),
            ("tll", "ttl", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{one} {other}");
        }
    }
}
