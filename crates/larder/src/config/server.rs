//! A server, and the URL that names it.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::config::Hidden;
use crate::config::url::escape;

/// Address and settings of a server that holds entries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Name or address of the server, without brackets. Default `localhost`.
    pub host: String,
    /// Port. Default 6379.
    pub port: u16,
    /// Number of the database. Default 0.
    pub db: u32,
    /// User name. Default none.
    pub username: Option<String>,
    /// Password. Default none.
    pub password: Option<Hidden>,
    /// Encryption of the connection. Default `false`.
    pub tls: bool,
    /// Largest number of connections. Default 20.
    pub pool_size: u32,
    /// Time limit for connecting. Default 5 seconds.
    pub connect_timeout: Duration,
    /// Time limit for a call. Default 5 seconds.
    pub timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 6379,
            db: 0,
            username: None,
            password: None,
            tls: false,
            pool_size: 20,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
        }
    }
}

impl ServerConfig {
    /// URL of the server: `redis://` or, encrypted, `rediss://`. All that needs escaping is
    /// escaped.
    ///
    /// ```
    /// use larder::config::{Hidden, ServerConfig};
    ///
    /// let mut server = ServerConfig::default();
    /// server.password = Some(Hidden::new("p@ss:w/rd?"));
    /// assert_eq!(server.url().expose(), "redis://:p%40ss%3Aw%2Frd%3F@localhost:6379/0");
    /// ```
    #[must_use]
    pub fn url(&self) -> Hidden {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let username = self.username.as_deref().map(escape).unwrap_or_default();
        let user = match &self.password {
            Some(password) => format!("{username}:{}@", escape(password.expose())),
            None if username.is_empty() => String::new(),
            None => format!("{username}@"),
        };
        let is_ipv6 = self.host.parse::<Ipv6Addr>().is_ok();
        let host = if is_ipv6 { format!("[{}]", self.host) } else { escape(&self.host) };
        let mut url = format!("{scheme}://{user}{host}:{}/{}", self.port, self.db);
        let default = Self::default();
        let mut more = Vec::new();
        if self.pool_size != default.pool_size {
            more.push(format!("pool_size={}", self.pool_size));
        }
        let times = [
            ("connect_timeout", self.connect_timeout, default.connect_timeout),
            ("timeout", self.timeout, default.timeout),
        ];
        for (name, time, default) in times {
            if time != default {
                let time = humantime::format_duration(time).to_string().replace(' ', "");
                more.push(format!("{name}={time}"));
            }
        }
        if !more.is_empty() {
            url = format!("{url}?{}", more.join("&"));
        }
        Hidden::new(url)
    }
}
