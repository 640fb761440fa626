//! The settings of a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder_core::{Clock, Error, ErrorKind, Result};

use crate::bound::Bound;
use crate::event::{DiskEvent, Observer};

/// The settings of a store: its folder, its bound and its behaviour.
///
/// ```
/// use larder_disk::{DiskConfig, Durability};
///
/// let config = DiskConfig::new("cache").max_bytes(Some(64 << 20)).durability(Durability::Synced);
/// let same = DiskConfig::from_url("file:cache?max-bytes=64MiB&durability=synced")?;
/// assert_eq!(format!("{config:?}"), format!("{same:?}"));
/// # Ok::<_, larder_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DiskConfig {
    pub(crate) folder: PathBuf,
    /// None: the store keeps its own bound.
    pub(crate) bound: Option<Bound>,
    /// The bound of a new store if `bound` is none.
    default_bound: Bound,
    pub(crate) durability: Durability,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) busy_timeout: Duration,
    pub(crate) purge_every: Option<Duration>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) observer: Observer,
}

/// The moment at which a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// A write is answered when every process sees it. A crash of the machine may lose the last
    /// seconds, never half of a record; a crash of the process loses nothing.
    #[default]
    Relaxed,
    /// A write is answered when the disk has it.
    Synced,
}

/// The action on a database whose pages are damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnCorrupt {
    /// The damaged database is renamed and an empty one takes its place. [`DiskEvent::SetAside`]
    /// tells. The newest three damaged databases are kept. Nothing of them is served.
    #[default]
    SetAside,
    /// Calls fail with [`Unavailable`](ErrorKind::Unavailable), and nothing is touched.
    Fail,
}

impl DiskConfig {
    /// Returns the settings of a store in this folder. The folder is created if it is missing.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            bound: None,
            default_bound: Bound::DEFAULT,
            durability: Durability::default(),
            on_corrupt: OnCorrupt::default(),
            busy_timeout: BUSY_TIMEOUT,
            purge_every: Some(Duration::from_secs(1)),
            clock: None,
            observer: Observer::default(),
        }
    }

    /// Reads the settings of a store from a URL: `file:` and a path, then settings.
    ///
    /// The path is relative or absolute; `%` and two hexadecimal digits stand for a byte. Settings
    /// are `max-bytes` (`none`, or a number with the unit `KiB`, `MiB` or `GiB`, or without one) and
    /// `durability` (`relaxed` or `synced`).
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for another scheme, an empty path, an unknown
    /// setting or a value out of its range.
    pub fn from_url(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("file:").ok_or_else(|| invalid("the scheme is not `file:`"))?;
        let (path, settings) = rest.split_once('?').unwrap_or((rest, ""));
        let path = match path.strip_prefix("//") {
            Some(absolute) if absolute.starts_with('/') => absolute,
            Some(_) => return Err(invalid("a file's URL names no host")),
            None => path,
        };
        if path.is_empty() {
            return Err(invalid("the path is empty"));
        }
        let settings = settings.split('&').filter(|setting| !setting.is_empty());
        settings.into_iter().try_fold(Self::new(unescaped(path)?), Self::with_setting)
    }

    /// Sets the bound in bytes on disk, the write-ahead log included. None for no bound.
    ///
    /// At least 256 KiB. Beyond it, records that were not used for longest go. The bound is the
    /// store's: to open it with another one changes it for all processes, and to open it without
    /// one changes nothing. Default: the store's own, 1 GiB for a new store.
    #[must_use]
    pub fn max_bytes(mut self, bytes: Option<u64>) -> Self {
        self.bound = Some(Bound(bytes));
        self
    }

    /// Returns the settings that open the store again: it keeps its bound, and a new one gets this
    /// one.
    pub(crate) fn again(&self, bound: Bound) -> Self {
        Self { bound: None, default_bound: bound, ..self.clone() }
    }

    /// Returns the bound of a store that is created anew.
    pub(crate) fn new_bound(&self) -> Bound {
        self.bound.unwrap_or(self.default_bound)
    }

    /// Sets the moment at which a write is answered. Default [`Durability::Relaxed`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the action on a damaged database. Default [`OnCorrupt::SetAside`].
    #[must_use]
    pub fn on_corrupt(mut self, on_corrupt: OnCorrupt) -> Self {
        self.on_corrupt = on_corrupt;
        self
    }

    /// Sets how long a call waits for other processes that write. Default 1.5 seconds, at most a
    /// day.
    ///
    /// Keep it below the cache's `backend_timeout`, whose default is 2 seconds: then a call that
    /// could not be made is known to have failed. With a longer one the cache gives up first; what
    /// it has given up is not begun later.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets the interval at which dead records are freed unasked; none for never. Default 1 second,
    /// at least a millisecond.
    #[must_use]
    pub fn purge_every(mut self, interval: Option<Duration>) -> Self {
        self.purge_every = interval;
        self
    }

    /// Sets the clock that lives are reckoned by. The default is the host's, which all its
    /// processes share.
    ///
    /// For tests: processes whose clocks differ do not agree on lives.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the callback for events that no caller's result reports. Called on the store's own
    /// threads; it must not block.
    #[must_use]
    pub fn on_event(mut self, tell: impl Fn(&DiskEvent) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(tell);
        self
    }

    /// Returns the folder of the store.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a setting is out of its range.
    pub(crate) fn check(&self) -> Result<()> {
        if self.folder.as_os_str().is_empty() {
            return Err(invalid("the path is empty"));
        }
        if !self.new_bound().is_possible() {
            return Err(invalid("a store has at least 256 KiB"));
        }
        if self.busy_timeout > MAX_BUSY_TIMEOUT {
            return Err(invalid("a busy timeout is at most a day"));
        }
        if self.purge_every.is_some_and(|every| every < MIN_PURGE_EVERY) {
            return Err(invalid("a purge comes at most every millisecond"));
        }
        Ok(())
    }

    fn with_setting(self, setting: &str) -> Result<Self> {
        match setting.split_once('=').unwrap_or((setting, "")) {
            ("max-bytes", "none") => Ok(self.max_bytes(None)),
            ("max-bytes", size) => Ok(self.max_bytes(Some(bytes(size)?))),
            ("durability", "relaxed") => Ok(self.durability(Durability::Relaxed)),
            ("durability", "synced") => Ok(self.durability(Durability::Synced)),
            ("durability", _) => Err(invalid("durability is `relaxed` or `synced`")),
            _ => Err(invalid("the settings are `max-bytes` and `durability`")),
        }
    }
}

fn bytes(size: &str) -> Result<u64> {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
    let unit = units.iter().find_map(|(unit, factor)| Some((size.strip_suffix(unit)?, factor)));
    unit.and_then(|(number, factor)| number.parse::<u64>().ok()?.checked_mul(*factor))
        .ok_or_else(|| invalid("a size is a whole number and KiB, MiB, GiB or nothing"))
}

fn unescaped(path: &str) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;

    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let pair = digit().zip(digit()).map(|(high, low)| high * 16 + low);
        let byte = pair.and_then(|byte| u8::try_from(byte).ok()).filter(|byte| *byte != 0);
        bytes.push(byte.ok_or_else(|| invalid("`%` is followed by two hexadecimal digits"))?);
    }
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "open", message)
}

/// Below the default `backend_timeout` of a cache.
const BUSY_TIMEOUT: Duration = Duration::from_millis(1_500);
const MAX_BUSY_TIMEOUT: Duration = Duration::from_secs(86_400);
const MIN_PURGE_EVERY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::DiskConfig;

    #[test]
    fn a_url_names_a_path_of_either_kind() {
        for (url, path) in [
            ("file:cache", "cache"),
            ("file:./a%20b%3Fc", "./a b?c"),
            ("file:/var/cache/x", "/var/cache/x"),
            ("file:///var/cache/x", "/var/cache/x"),
        ] {
            assert_eq!(DiskConfig::from_url(url).unwrap().folder(), Path::new(path), "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_meant_is_refused() {
        for url in [
            "",
            "cache",
            "redis://x",
            "file:",
            "file://host/x",
            "file:x?max-bytes=1TB",
            "file:x?max-bytes=-1",
            "file:x?max_bytes=1",
            "file:x?durability=",
            "file:%4",
            "file:%00",
            "file:x?max-bytes=99999999999GiB",
        ] {
            assert!(DiskConfig::from_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        let max = |url| DiskConfig::from_url(url).unwrap().new_bound().0;
        assert_eq!(max("file:x"), Some(1 << 30));
        assert_eq!(max("file:x?max-bytes=none"), None);
        assert_eq!(max("file:x?max-bytes=3MiB&durability=synced"), Some(3 << 20));
        assert_eq!(max("file:x?max-bytes=1000000"), Some(1_000_000));
    }
}
