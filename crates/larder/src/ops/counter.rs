//! Numbers that many add to.

use std::fmt;

use larder_core::{Backend, Error, ErrorKind, Key, Kind, Life, Record, Result, Times};

use crate::ops::edit::renewed;
use crate::ops::step::Step;
use crate::ops::swap::Swap;

/// A number under a key, to which any number of nodes add.
///
/// A counter is a record of its own kind and needs no codec. A missing record counts as 0; so do a
/// lease, a known absence and a record past its ttl. A value under the key is an error and stays.
///
/// ```
/// use std::sync::Arc;
///
/// use larder::MemoryBackend;
/// use larder::backend::{Class, Key, NEVER, Namespace, Times};
/// use larder::ops::{Counter, Swap};
///
/// # larder_testkit::block_on(async {
/// let clock = Arc::new(larder_testkit::ManualClock::new());
/// let swap = Swap::new(MemoryBackend::new(clock.clone()), clock);
/// let key = Key::new(&Namespace::new("shop")?, Class::Entry, b"visits");
///
/// let counter = Counter::new(swap, key, Times::new(NEVER, NEVER));
/// assert_eq!(counter.add(5).await?, 5);
/// assert_eq!(counter.add(-7).await?, -2);
/// assert_eq!(counter.get().await?, -2);
/// # Ok::<_, larder::backend::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Counter<B> {
    swap: Swap<B>,
    key: Key,
    times: Times,
}

impl<B: Backend> Counter<B> {
    /// Opens the counter under this key. Its life is given when it starts; adding does not renew
    /// it.
    #[must_use]
    pub fn new(swap: Swap<B>, key: Key, times: Times) -> Self {
        Self { swap, key, times }
    }

    /// Returns the number.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a value is there that is no counter, and the
    /// backend's own.
    pub async fn get(&self) -> Result<i64> {
        let record = self.swap.read(&self.key).await?;
        Ok(record.as_ref().map(number).transpose()?.flatten().unwrap_or(0))
    }

    /// Adds to the number and returns the sum. A negative number is subtracted.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if a value is there that is no counter, or the sum
    /// is no `i64`: the record stays. Otherwise those of [`Swap`]; after an error of a lost answer
    /// the number may have been added, once.
    ///
    /// # Cancel safety
    /// A dropped call has added or not.
    #[doc(alias("incr", "decr", "increment"))]
    pub async fn add(&self, by: i64) -> Result<i64> {
        let mut sum = 0;
        let decide = |before: Option<&Record>| {
            let counted = before.map(number).transpose()?.flatten();
            sum = counted.unwrap_or(0).checked_add(by).ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "add", "the sum is out of range")
            })?;
            let mut record = Record::counter(sum, self.times);
            if let Some(before) = before.filter(|_| counted.is_some()) {
                let payload = record.payload;
                record = Record { payload, ..renewed(before) };
            }
            Ok(Step::Write(record))
        };
        self.swap.update(&self.key, decide).await?;
        Ok(sum)
    }
}

impl<B> fmt::Debug for Counter<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Returns the record's number; none if the record counts as missing.
fn number(record: &Record) -> Result<Option<i64>> {
    match record.header.kind {
        Kind::Lease | Kind::Absent => Ok(None),
        _ if record.header.times.life() != Life::Fresh => Ok(None),
        Kind::Counter => record
            .as_counter()
            .map(Some)
            .ok_or_else(|| Error::new(ErrorKind::Codec, "add", "a counter of another length")),
        _ => Err(Error::new(ErrorKind::InvalidInput, "add", "a value is there, no counter")),
    }
}
