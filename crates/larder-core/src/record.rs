//! The records that a backend stores under keys.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::{NEVER, StoreTime, Version};

/// The kind of a record: a value, a known absence, a lease or a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A value: a codec made the payload.
    Value,
    /// A known absence: the value does not exist.
    Absent,
    /// A lease: a load is under way. Its result will be written only over this very record.
    Lease,
    /// A counter: the payload is an `i64` in little-endian order, without a codec.
    Counter,
}

/// The state of a record in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// The record is younger than its ttl.
    Fresh,
    /// The record is past its ttl and still kept. It may be served as a fallback.
    Stale,
    /// The record is past its life and counts as nothing.
    Dead,
}

/// A record's life in durations, which mean the same on every clock.
///
/// `fresh_for` and `kept_for` count from age zero and are [`NEVER`] for a life without end. An age
/// equal to either is past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Time since the record was written.
    pub age: Duration,
    /// The age at which the record stops being fresh.
    pub fresh_for: Duration,
    /// The age at which the record is dead.
    pub kept_for: Duration,
}

impl Times {
    /// Returns a life that begins now.
    #[must_use]
    pub const fn new(fresh_for: Duration, kept_for: Duration) -> Self {
        Self { age: Duration::ZERO, fresh_for, kept_for }
    }

    /// Returns the state of the record in its life.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Life, Times};
    ///
    /// let mut times = Times::new(Duration::from_secs(10), Duration::from_secs(60));
    /// assert_eq!(times.life(), Life::Fresh);
    /// times.age = Duration::from_secs(10);
    /// assert_eq!(times.life(), Life::Stale);
    /// times.age = Duration::from_secs(60);
    /// assert_eq!(times.life(), Life::Dead);
    /// ```
    #[must_use]
    pub fn life(&self) -> Life {
        if self.kept_for != NEVER && self.age >= self.kept_for {
            Life::Dead
        } else if self.fresh_for != NEVER && self.age >= self.fresh_for {
            Life::Stale
        } else {
            Life::Fresh
        }
    }

    /// Returns the time until the record stops being fresh. Zero if it has, [`NEVER`] if it never
    /// does.
    #[must_use]
    pub fn fresh_left(&self) -> Duration {
        left(self.fresh_for, self.age)
    }

    /// Returns the time until the record is dead. Zero if it is, [`NEVER`] if it never will be.
    #[must_use]
    pub fn kept_left(&self) -> Duration {
        left(self.kept_for, self.age)
    }
}

fn left(total: Duration, age: Duration) -> Duration {
    if total == NEVER { NEVER } else { total.saturating_sub(age) }
}

/// A tag of a record, with its versions when the record's load began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagVersion {
    /// The tag's name, at most 255 bytes.
    pub name: Bytes,
    /// The version that hard invalidation changes. Under another one the record is nothing.
    pub hard: Version,
    /// The version that soft invalidation changes. Under another one the record is stale.
    pub soft: Version,
}

/// The namespace's epoch: one pair of random numbers for all its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// The number that hard invalidation of everything changes. Under another one a record is
    /// nothing.
    pub hard: u64,
    /// The number that soft invalidation of everything changes. Under another one a record is
    /// stale.
    pub soft: u64,
}

impl Epoch {
    /// The epoch of a namespace in which everything has never been invalidated.
    pub const NONE: Self = Self { hard: 0, soft: 0 };
}

/// A backend's own opaque handle for a state of a record. A memcached CAS number is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Bytes);

impl Token {
    /// Returns the token with these bytes.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0.escape_ascii())
    }
}

/// The header of a record: all but its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The kind of the record.
    pub kind: Kind,
    /// The id of the write that made the record. Changes whenever payload or validity change.
    pub version: Version,
    /// The backend's own handle, if it has one. Given back in [`Expect`](crate::Expect).
    pub token: Option<Token>,
    /// The record's age and life.
    pub times: Times,
    /// The time by the store's clock at which the load or insert began.
    pub born: StoreTime,
    /// The duration of the load. Zero for an insert.
    pub cost: Duration,
    /// The [`Codec::id`](crate::Codec::id) of the payload's format. Zero without a codec.
    pub codec: u16,
    /// The [`Codec::value_type`](crate::Codec::value_type) of a value. Also of a value that is
    /// known to be absent. Zero for all else.
    pub value_type: u32,
    /// The namespace's epoch when the load began.
    pub epoch: Epoch,
    /// The tags, with the versions they had when the load began. At most 65,535.
    pub tags: Vec<TagVersion>,
}

impl Header {
    /// Returns a header with a life of these times and nothing else set.
    #[must_use]
    pub const fn new(kind: Kind, version: Version, times: Times) -> Self {
        Self {
            kind,
            version,
            token: None,
            times,
            born: StoreTime::from_micros(0),
            cost: Duration::ZERO,
            codec: 0,
            value_type: 0,
            epoch: Epoch::NONE,
            tags: Vec::new(),
        }
    }
}

/// The record that a backend stores under a key: a header and a payload.
///
/// `Debug` shows the payload's length, never its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The header: kind, version, life and metadata.
    pub header: Header,
    /// The bytes of the value. Empty for an absence and a lease.
    pub payload: Bytes,
}

impl Record {
    /// Returns a value's record with a new version.
    #[must_use]
    pub fn value(payload: Bytes, times: Times) -> Self {
        Self { header: Header::new(Kind::Value, Version::next(), times), payload }
    }

    /// Returns a known absence with a new version.
    #[must_use]
    pub fn absent(times: Times) -> Self {
        Self { header: Header::new(Kind::Absent, Version::next(), times), payload: Bytes::new() }
    }

    /// Returns a lease of this length with a new version.
    #[must_use]
    pub fn lease(length: Duration) -> Self {
        let times = Times::new(Duration::ZERO, length);
        Self { header: Header::new(Kind::Lease, Version::next(), times), payload: Bytes::new() }
    }

    /// Returns a counter at this number with a new version.
    #[must_use]
    pub fn counter(number: i64, times: Times) -> Self {
        let payload = Bytes::copy_from_slice(&number.to_le_bytes());
        Self { header: Header::new(Kind::Counter, Version::next(), times), payload }
    }

    /// Returns the number of a counter; none for other kinds.
    #[must_use]
    pub fn as_counter(&self) -> Option<i64> {
        match self.header.kind {
            Kind::Counter => Some(i64::from_le_bytes(self.payload.as_ref().try_into().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("header", &self.header)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}
