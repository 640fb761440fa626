//! Values of arguments: sizes, lives and patterns.

use std::ffi::OsString;
use std::time::Duration;

use larder::{Pattern, Ttl};

/// Parses a duration such as `10m`, `1h30m`, `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 500ms, 10m or 1h30m"))
}

/// Parses the life of a lease, which must be long enough to be renewed in time.
pub(crate) fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    let is_long_enough = lease >= Duration::from_millis(100);
    is_long_enough.then_some(lease).ok_or_else(|| "a lease lives at least 100ms".to_owned())
}

/// Parses a duration, or `never` for a life without end.
pub(crate) fn ttl(text: &str) -> Result<Ttl, String> {
    match text {
        "never" => Ok(Ttl::Never),
        text => duration(text).map(Ttl::For),
    }
}

/// Parses a number of bytes such as `4096`, `64MiB`, `2GB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u32 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err("its unit is none of B, KiB, MiB, GiB, kB, MB, GB".to_owned()),
    };
    let number = number.trim_end().parse::<u64>().map_err(|error| error.to_string())?;
    number.checked_mul(factor.into()).ok_or_else(|| "it is too large".to_owned())
}

/// The number of entries that a cache may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum CacheSize {
    Entries(u64),
    /// A percentage of the keys.
    Percent(f64),
}

impl CacheSize {
    /// Returns the number of entries for this many keys, at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of the keys is no more than they are, and above 0"
    )]
    pub(crate) fn entries(self, keys: u64) -> usize {
        let entries = match self {
            Self::Entries(entries) => entries,
            Self::Percent(percent) => (keys as f64 * percent / 100.0).round() as u64,
        };
        usize::try_from(entries).unwrap_or(usize::MAX).max(1)
    }
}

/// Parses a number of entries such as `1000`, `10k`, `2M`, or a share of the keys such as `2.5%`.
pub(crate) fn cache_size(text: &str) -> Result<CacheSize, String> {
    if let Some(number) = text.strip_suffix('%') {
        let percent = number.trim_end().parse().map_err(|_| "it is no share like 2.5%")?;
        let is_share = percent > 0.0 && percent <= 100.0;
        return is_share
            .then_some(CacheSize::Percent(percent))
            .ok_or_else(|| "a share is above 0% and at most 100%".to_owned());
    }
    let units = [("k", 1_000), ("K", 1_000), ("m", 1_000_000), ("M", 1_000_000)];
    let with_unit = |(unit, factor)| Some((text.strip_suffix(unit)?, factor));
    let (number, factor) = units.into_iter().find_map(with_unit).unwrap_or((text, 1));
    let number = number.parse::<u64>().map_err(|_| "it is no size like 1000, 10k or 5%")?;
    match number.checked_mul(factor) {
        Some(0) => Err("a cache has room for one entry at least".to_owned()),
        Some(entries) => Ok(CacheSize::Entries(entries)),
        None => Err("it is too large".to_owned()),
    }
}

/// Checks a glob over keys.
pub(crate) fn pattern(text: &str) -> Result<String, String> {
    Pattern::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Checks a tag of 1 to 255 bytes.
pub(crate) fn tag(text: &str) -> Result<String, String> {
    match text.len() {
        1..=255 => Ok(text.to_owned()),
        _ => Err("a tag has 1 to 255 bytes".to_owned()),
    }
}

/// Checks the name of an environment variable.
pub(crate) fn variable(text: &str) -> Result<OsString, String> {
    if text.is_empty() || text.contains('=') {
        return Err("a variable has a name, without `=`".to_owned());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::{CacheSize, cache_size, size, ttl};

    #[test]
    fn sizes_have_units_of_two_kinds() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("4096"), Ok(4_096));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("64m"), Ok(64 << 20));
        assert_eq!(size("2 GB"), Ok(2_000_000_000));
        for text in ["", "MiB", "-1", "1.5GiB", "1TiBx", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cache_has_entries_or_a_share_of_the_keys() {
        let entries = |text, keys| cache_size(text).map(|size| size.entries(keys));
        assert_eq!(cache_size("1000"), Ok(CacheSize::Entries(1_000)));
        assert_eq!(entries("10k", 5), Ok(10_000));
        assert_eq!(entries("2M", 5), Ok(2_000_000));
        assert_eq!(entries("2.5%", 1_000), Ok(25));
        assert_eq!(entries("1%", 3), Ok(1));
        assert_eq!(entries("100%", 3), Ok(3));
        for text in ["", "0", "0k", "%", "0%", "101%", "-1%", "nan%", "inf%", "-1", "1.5", "1e3"] {
            assert!(cache_size(text).is_err(), "{text}");
        }
        assert!(cache_size("99999999999999999M").is_err());
    }

    #[test]
    fn a_life_is_a_duration_or_never() {
        assert_eq!(ttl("never"), Ok(larder::Ttl::Never));
        assert!(ttl("1h30m").is_ok() && ttl("0").is_ok());
        for text in ["", "10", "-1s", "soon"] {
            assert!(ttl(text).is_err(), "{text}");
        }
    }
}
