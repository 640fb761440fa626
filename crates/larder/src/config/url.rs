//! The parts of a URL.

use std::fmt::Write as _;

use larder_core::{Error, ErrorKind, Result};

/// A URL in its parts, unescaped; the rest after the scheme as it was.
pub(super) struct Parts<'a> {
    pub(super) scheme: &'a str,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<&'a str>,
    /// The text after the host and its `/`.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn parse(url: &'a str) -> Result<Self> {
        let parts = url.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
        let (scheme, rest) = parts.ok_or_else(|| invalid("a URL has a scheme"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let Some(rest) = rest.strip_prefix("//") else {
            let (username, password, port) = (None, None, None);
            let host = String::new();
            return Ok(Self { scheme, username, password, host, port, path: rest, query });
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (Some(user), server),
            None => (None, authority),
        };
        let (username, password) = match user.map(|user| user.split_once(':')) {
            None => (None, None),
            Some(None) => (user.map(unescape).transpose()?, None),
            Some(Some((name, password))) => (Some(unescape(name)?), Some(unescape(password)?)),
        };
        let (host, port) = match server.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) =
                    bracketed.split_once(']').ok_or_else(|| invalid("a [ has no ]"))?;
                let after = port.strip_prefix(':');
                if after.is_none() && !port.is_empty() {
                    return Err(invalid("a port follows a `:`"));
                }
                (host.to_owned(), after)
            }
            None => match server.rsplit_once(':') {
                Some((host, port)) => (unescape(host)?, Some(port)),
                None => (unescape(server)?, None),
            },
        };
        let username = username.filter(|name| !name.is_empty());
        Ok(Self { scheme, username, password, host, port, path, query })
    }

    /// Returns the settings after the `?`.
    pub(super) fn settings(&self) -> Result<Vec<(String, String)>> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((unescape(name)?, unescape(value)?))
        };
        pairs.map(pair).collect()
    }
}

fn is_scheme(text: &str) -> bool {
    let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_of_one)
}

/// Escapes all characters that have a meaning in a URL.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

pub(super) fn unescape(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let pair = digit().zip(digit()).map(|(high, low)| high * 16 + low);
        let byte = pair.and_then(|byte| u8::try_from(byte).ok());
        bytes.push(byte.ok_or_else(|| invalid("`%` is followed by two hexadecimal digits"))?);
    }
    String::from_utf8(bytes).map_err(|_| invalid("a URL is text"))
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "config", message)
}
