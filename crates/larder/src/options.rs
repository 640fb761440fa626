//! Options of an entry's life and of its callers' waits: defaults, and a call's own.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Error, ErrorKind, NEVER, Result, Timestamp};

/// Time to live: the time for which an entry is fresh.
///
/// A zero duration, or an instant that has passed, means already expired: the earlier entry goes,
/// and no new one is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// The ttl that the cache was built with.
    #[default]
    Default,
    /// No end: the entry stays fresh.
    Never,
    /// Fresh for this long after the write.
    For(Duration),
    /// Fresh until the cache's clock shows this time.
    Until(Timestamp),
}

impl From<Duration> for Ttl {
    fn from(duration: Duration) -> Self {
        Self::For(duration)
    }
}

impl Ttl {
    /// The time from now for which an entry written now is fresh.
    pub(crate) fn length(self, now: Timestamp, default: Duration) -> Duration {
        match self {
            Self::Default => default,
            Self::Never => NEVER,
            Self::For(duration) => duration,
            Self::Until(instant) => instant.since(now),
        }
    }
}

/// Options of a call, beyond the cache's own settings. An option that is not set stays as it is.
///
/// ```
/// use std::time::Duration;
/// use larder::Options;
///
/// let options = Options::new()
///     .ttl(Duration::from_secs(30))
///     .grace(Duration::from_secs(600))
///     .tags(["users", "team:7"]);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Options {
    ttl: Option<Ttl>,
    grace: Option<Duration>,
    absent_ttl: Option<Duration>,
    refresh_after: Option<Duration>,
    early_refresh: Option<f64>,
    jitter: Option<f64>,
    soft_timeout: Option<Duration>,
    hard_timeout: Option<Duration>,
    allow_stale: Option<bool>,
    tags: Option<Arc<[Arc<str>]>>,
}

impl Options {
    /// Options that change nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Time to live: the time for which an entry is fresh. The builder's default is [`Ttl::Never`].
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// Time after its ttl for which a value may be served as a fallback. It is served when a load
    /// fails or takes too long. The builder's default is zero: not at all.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Time to live of a loader's "there is none". The builder's default is zero: not kept at all.
    pub fn absent_ttl(mut self, ttl: Duration) -> Self {
        self.absent_ttl = Some(ttl);
        self
    }

    /// Age from which a hit of a load starts another load in the background.
    pub fn refresh_after(mut self, age: Duration) -> Self {
        self.refresh_after = Some(age);
        self
    }

    /// Refreshes early by chance (XFetch). A refresh is the likelier the nearer the expiry and the
    /// dearer the load. 1.0 is the theory's optimum, larger is earlier, 0.0 turns it off (default).
    ///
    /// From Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede
    /// Prevention", VLDB 2015.
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.early_refresh = Some(beta);
        self
    }

    /// Largest share of the ttl that chance adds at each write. Entries written together then do
    /// not expire together. From 0.0 (default) to 1.0.
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = Some(share);
        self
    }

    /// Longest wait of this caller for a load when a stale value is at hand. Then the caller gets
    /// the stale value, and the load finishes in the background. By default the caller waits for
    /// the load.
    pub fn soft_timeout(mut self, timeout: Duration) -> Self {
        self.soft_timeout = Some(timeout);
        self
    }

    /// Longest wait of this caller, and longest run of a load that it leads. The builder's default
    /// is 30 seconds.
    pub fn hard_timeout(mut self, timeout: Duration) -> Self {
        self.hard_timeout = Some(timeout);
        self
    }

    /// Lets `get` answer with a stale value inside grace. By default it does not.
    pub fn allow_stale(mut self, allow: bool) -> Self {
        self.allow_stale = Some(allow);
        self
    }

    /// Tags of entries written by this call, at most 255 bytes each. They take the place of those
    /// of an outer view.
    pub fn tags<T: Into<Arc<str>>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = Some(tags.into_iter().map(Into::into).collect());
        self
    }
}

impl From<Duration> for Options {
    fn from(ttl: Duration) -> Self {
        Self::new().ttl(ttl)
    }
}

impl From<Ttl> for Options {
    fn from(ttl: Ttl) -> Self {
        Self::new().ttl(ttl)
    }
}

/// Options of the beginning and the end of a [session](crate::Cache::session).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SessionOptions {
    pub(crate) reconnects: bool,
    pub(crate) closes: bool,
}

impl SessionOptions {
    /// Options of a session that connects if it must, and closes at its end.
    pub const fn new() -> Self {
        Self { reconnects: false, closes: true }
    }

    /// Begins the session with a new connection, also if one is open. Default: no.
    pub const fn reconnect(mut self, reconnects: bool) -> Self {
        self.reconnects = reconnects;
        self
    }

    /// Closes the cache at the end of the session. Default: yes.
    pub const fn close(mut self, closes: bool) -> Self {
        self.closes = closes;
        self
    }
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings in force for a call: each has a value.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The ttl in force, never [`Ttl::Default`].
    pub(crate) ttl: Ttl,
    /// The meaning of [`Ttl::Default`] in the options of a call: as the cache was built.
    built_ttl: Ttl,
    pub(crate) grace: Duration,
    pub(crate) absent_ttl: Duration,
    pub(crate) refresh_after: Duration,
    pub(crate) early_refresh: f64,
    pub(crate) jitter: f64,
    pub(crate) soft_timeout: Duration,
    pub(crate) hard_timeout: Duration,
    pub(crate) allow_stale: bool,
    pub(crate) tags: Option<Arc<[Arc<str>]>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Ttl::Never,
            built_ttl: Ttl::Never,
            grace: Duration::ZERO,
            absent_ttl: Duration::ZERO,
            refresh_after: NEVER,
            early_refresh: 0.0,
            jitter: 0.0,
            soft_timeout: NEVER,
            hard_timeout: Duration::from_secs(30),
            allow_stale: false,
            tags: None,
        }
    }
}

impl Settings {
    /// Returns the settings that a cache is built with.
    pub(crate) fn built(options: Options) -> Self {
        let settings = Self::default().with(options);
        Self { built_ttl: settings.ttl, ..settings }
    }

    /// Returns the settings with the changes of the options.
    pub(crate) fn with(&self, options: Options) -> Self {
        Self {
            ttl: match options.ttl {
                None => self.ttl,
                Some(Ttl::Default) => self.built_ttl,
                Some(own) => own,
            },
            built_ttl: self.built_ttl,
            grace: options.grace.unwrap_or(self.grace),
            absent_ttl: options.absent_ttl.unwrap_or(self.absent_ttl),
            refresh_after: options.refresh_after.unwrap_or(self.refresh_after),
            early_refresh: options.early_refresh.unwrap_or(self.early_refresh),
            jitter: options.jitter.unwrap_or(self.jitter),
            soft_timeout: options.soft_timeout.unwrap_or(self.soft_timeout),
            hard_timeout: options.hard_timeout.unwrap_or(self.hard_timeout),
            allow_stale: options.allow_stale.unwrap_or(self.allow_stale),
            tags: options.tags.or_else(|| self.tags.clone()),
        }
    }

    /// Refuses settings that have no meaning. Views are checked by the call that uses them.
    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, "options", message));
        if !(0.0..=1.0).contains(&self.jitter) {
            return invalid("jitter must be between 0.0 and 1.0");
        }
        if !(0.0..=1e9).contains(&self.early_refresh) {
            return invalid("early_refresh is zero or positive");
        }
        check_tags(self.tags())
    }

    pub(crate) fn tags(&self) -> &[Arc<str>] {
        self.tags.as_deref().unwrap_or_default()
    }
}

/// Refuses tags that a record cannot name.
pub(crate) fn check_tags<T: AsRef<str>>(tags: &[T]) -> Result<()> {
    if tags.iter().all(|tag| (1..=255).contains(&tag.as_ref().len())) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "tags", "a tag has 1 to 255 bytes"))
}
