//! What a backend declares it can do.

use std::time::Duration;

/// What a backend declares it can do. The conformance suite holds it to its word.
///
/// A wrapper passes its inner backend's capabilities through.
///
/// ```
/// use larder_core::{Capabilities, Scope};
///
/// let capabilities = Capabilities::new(Scope::Host).without_scan().with_max_value_bytes(1 << 20);
/// assert!(capabilities.conditional && !capabilities.scan);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether `Absent` and `Version` expectations are judged atomically.
    pub conditional: bool,
    /// Whether keys can be listed by prefix.
    pub scan: bool,
    /// The granularity of the store's own expiry; none if dead records stay until purged.
    pub native_ttl: Option<Duration>,
    /// The longest key name in bytes. At least 250.
    pub max_key_bytes: usize,
    /// The largest payload in bytes; none if only memory or disk bounds it.
    pub max_value_bytes: Option<usize>,
    /// Whether the store drops live records for room.
    pub may_evict: bool,
    /// How long a change that was sent may still land after its caller has gone or has been told
    /// [`Outcome::Unknown`](crate::Outcome::Unknown), over what others have changed meanwhile. Zero
    /// for a store that puts changes in order before it answers any of them.
    pub settles_within: Duration,
    /// Who shares the store.
    pub scope: Scope,
}

impl Capabilities {
    /// A store with everything: conditional writes and scans, no limits but keys of 250 bytes,
    /// nothing evicted, no expiry of its own, no change that lands late.
    #[must_use]
    pub const fn new(scope: Scope) -> Self {
        Self {
            conditional: true,
            scan: true,
            native_ttl: None,
            max_key_bytes: 250,
            max_value_bytes: None,
            may_evict: false,
            settles_within: Duration::ZERO,
            scope,
        }
    }

    /// The same without conditional writes.
    #[must_use]
    pub const fn without_conditional(mut self) -> Self {
        self.conditional = false;
        self
    }

    /// The same without scans.
    #[must_use]
    pub const fn without_scan(mut self) -> Self {
        self.scan = false;
        self
    }

    /// The same with an expiry of the store's own, of this granularity.
    #[must_use]
    pub const fn with_native_ttl(mut self, granularity: Duration) -> Self {
        self.native_ttl = Some(granularity);
        self
    }

    /// The same with names of at most this many bytes.
    #[must_use]
    pub const fn with_max_key_bytes(mut self, bytes: usize) -> Self {
        self.max_key_bytes = bytes;
        self
    }

    /// The same with payloads of at most this many bytes.
    #[must_use]
    pub const fn with_max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = Some(bytes);
        self
    }

    /// The same, dropping live records for room.
    #[must_use]
    pub const fn with_eviction(mut self) -> Self {
        self.may_evict = true;
        self
    }

    /// The same with changes that may land so long after their callers have gone.
    #[must_use]
    pub const fn with_settles_within(mut self, duration: Duration) -> Self {
        self.settles_within = duration;
        self
    }
}

/// Who shares a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This process only.
    Process,
    /// All processes of one host.
    Host,
    /// All hosts that reach it.
    Network,
}
