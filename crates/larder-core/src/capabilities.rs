//! The capabilities that a backend declares.

use std::time::Duration;

/// The capabilities that a backend declares. The conformance suite holds the backend to them.
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
    /// True if `Absent` and `Version` expectations are judged atomically.
    pub conditional: bool,
    /// True if keys can be listed by prefix.
    pub scan: bool,
    /// The granularity of the store's own expiry; none if dead records stay until purged.
    pub native_ttl: Option<Duration>,
    /// The longest key name in bytes. At least 250.
    pub max_key_bytes: usize,
    /// The largest payload in bytes; none if only memory or disk bounds it.
    pub max_value_bytes: Option<usize>,
    /// True if the store drops live records for room.
    pub may_evict: bool,
    /// The longest time in which a change that was sent may still land. It counts from the moment
    /// at which the caller has gone or has been told [`Outcome::Unknown`](crate::Outcome::Unknown).
    /// The change may land over changes that others have made meanwhile. Zero for a store that puts
    /// changes in order before it answers any of them.
    pub settles_within: Duration,
    /// The scope in which the store is shared: a process, a host or a network.
    pub scope: Scope,
}

impl Capabilities {
    /// Returns the capabilities of a store that can do everything. It has conditional writes and
    /// scans, no limits but keys of 250 bytes, no eviction, no expiry of its own and no change that
    /// lands late.
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

    /// Returns these capabilities without conditional writes.
    #[must_use]
    pub const fn without_conditional(mut self) -> Self {
        self.conditional = false;
        self
    }

    /// Returns these capabilities without scans.
    #[must_use]
    pub const fn without_scan(mut self) -> Self {
        self.scan = false;
        self
    }

    /// Returns these capabilities with an expiry of the store's own, of this granularity.
    #[must_use]
    pub const fn with_native_ttl(mut self, granularity: Duration) -> Self {
        self.native_ttl = Some(granularity);
        self
    }

    /// Returns these capabilities with key names of at most this many bytes.
    #[must_use]
    pub const fn with_max_key_bytes(mut self, bytes: usize) -> Self {
        self.max_key_bytes = bytes;
        self
    }

    /// Returns these capabilities with payloads of at most this many bytes.
    #[must_use]
    pub const fn with_max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = Some(bytes);
        self
    }

    /// Returns these capabilities with the eviction of live records.
    #[must_use]
    pub const fn with_eviction(mut self) -> Self {
        self.may_evict = true;
        self
    }

    /// Returns these capabilities with changes that may land this long after their callers have
    /// gone.
    #[must_use]
    pub const fn with_settles_within(mut self, duration: Duration) -> Self {
        self.settles_within = duration;
        self
    }
}

/// The scope in which a store is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The store belongs to this process only.
    Process,
    /// All processes of one host share the store.
    Host,
    /// All hosts that reach the store share it.
    Network,
}
