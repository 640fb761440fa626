//! Locks: exclusion between all processes that reach the backend.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::{
    Backend, Clock, Error, ErrorKind, Header, Key, Kind, NEVER, Record, Result, Times, Timestamp,
    Version,
};

use crate::ops::step::Step;
use crate::ops::swap::Swap;
use crate::ops::tries::jittered;

/// A lock that is held: a lease under a key, for as long as the backend's clock says.
///
/// Its scope is the backend's: this process, this host, or everybody who reaches the store. The
/// store ends the lease by its own clock; the holder counts from before it asked, so it is the
/// first to think that the lock has run out.
///
/// Dropping it releases nothing, because a drop cannot wait for the store: the lease then runs out
/// by itself. Call [`release`](Lock::release), and choose a short length and
/// [`renew`](Lock::renew).
///
/// # Limits
/// Exclusion is advisory. A store that evicts or fails over may forget the lease, and a holder that
/// is paused may wake up after its end. The record's version is no fencing token for other
/// resources, as it has no order.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use larder::MemoryBackend;
/// use larder::backend::{Class, Key, Namespace};
/// use larder::ops::Lock;
///
/// # larder_testkit::block_on(async {
/// let clock = Arc::new(larder_testkit::ManualClock::new());
/// let backend = MemoryBackend::new(clock.clone());
/// let key = Key::new(&Namespace::new("shop")?, Class::Lock, b"stocktaking");
/// let length = Duration::from_secs(10);
///
/// let lock = Lock::try_acquire(backend.clone(), clock.clone(), key.clone(), length).await?;
/// assert!(Lock::try_acquire(backend.clone(), clock.clone(), key.clone(), length).await?.is_none());
/// assert!(lock.unwrap().release().await?);
/// assert!(Lock::try_acquire(backend, clock, key, length).await?.is_some());
/// # Ok::<_, larder::backend::Error>(())
/// # }).unwrap();
/// ```
#[must_use = "dropping it leaves the lock taken until its lease runs out"]
pub struct Lock<B> {
    swap: Swap<B>,
    key: Key,
    version: Version,
    length: Duration,
    until: Timestamp,
}

impl<B: Backend> Lock<B> {
    /// Takes the lock for this long; none if somebody else holds it.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the length is zero or endless; otherwise those
    /// of [`Swap`].
    ///
    /// # Cancel safety
    /// A dropped call may have taken the lock; its lease then runs out by itself.
    pub async fn try_acquire(
        backend: B,
        clock: Arc<dyn Clock>,
        key: Key,
        length: Duration,
    ) -> Result<Option<Self>> {
        let mut lock = Self::free(backend, clock, key, length)?;
        Ok(lock.take().await?.then_some(lock))
    }

    /// Takes the lock for this long, waiting for it at most `patience`.
    ///
    /// It is asked for again after growing pauses of 5 ms to 1 s, each shortened by chance, so
    /// waiters are not served in order.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) if it was held all the time; otherwise as
    /// [`try_acquire`](Lock::try_acquire).
    ///
    /// # Cancel safety
    /// As [`try_acquire`](Lock::try_acquire).
    pub async fn acquire(
        backend: B,
        clock: Arc<dyn Clock>,
        key: Key,
        length: Duration,
        patience: Duration,
    ) -> Result<Self> {
        let mut lock = Self::free(backend, clock, key, length)?;
        let end = lock.swap.clock().now().after(patience);
        let mut pause = FIRST_PAUSE;
        while !lock.take().await? {
            let left = end.since(lock.swap.clock().now());
            if left.is_zero() {
                return Err(Error::new(ErrorKind::Timeout, "lock", "it is held by another"));
            }
            lock.swap.clock().sleep(jittered(pause).min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(lock)
    }

    /// Renews the lease for its full length. Returns true if the lock is still held.
    ///
    /// After false the lock is lost: another caller may have it, and the work that it protects must
    /// stop.
    ///
    /// # Errors
    /// The backend's. The lease then ends when it would have, if the renewal was not applied.
    ///
    /// # Cancel safety
    /// A dropped call has renewed the lease or not; [`left`](Lock::left) counts on neither.
    pub async fn renew(&mut self) -> Result<bool> {
        let began = self.swap.clock().now();
        let renewed = Step::Retime(Times::new(Duration::ZERO, self.length));
        let is_held = self.send(&renewed).await?;
        self.until = if is_held { began.after(self.length) } else { Timestamp::ZERO };
        Ok(is_held)
    }

    /// Releases the lock. Returns true if it was held until now.
    ///
    /// # Errors
    /// The backend's, and the error of a lost answer: the lock is then free or runs out.
    ///
    /// # Cancel safety
    /// A dropped call has released the lock or not.
    pub async fn release(self) -> Result<bool> {
        self.send(&Step::Delete).await
    }

    /// The time that is surely left: zero if the lock has run out or is lost.
    ///
    /// It does not ask the backend.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.until.since(self.swap.clock().now())
    }

    fn free(backend: B, clock: Arc<dyn Clock>, key: Key, length: Duration) -> Result<Self> {
        if length.is_zero() || length == NEVER {
            let message = "a lock needs a length above zero that ends";
            return Err(Error::new(ErrorKind::InvalidInput, "lock", message));
        }
        let swap = Swap::new(backend, clock);
        swap.require_conditional()?;
        Ok(Self { swap, key, version: Version::NONE, length, until: Timestamp::ZERO })
    }

    async fn take(&mut self) -> Result<bool> {
        let began = self.swap.clock().now();
        let lease = Record::lease(self.length);
        self.version = lease.header.version;
        let is_taken = self.swap.apply(&self.key, None, &Step::Write(lease)).await?;
        self.until = if is_taken { began.after(self.length) } else { Timestamp::ZERO };
        Ok(is_taken)
    }

    async fn send(&self, step: &Step) -> Result<bool> {
        let times = Times::new(Duration::ZERO, self.length);
        let own = Header::new(Kind::Lease, self.version, times);
        self.swap.apply(&self.key, Some(&own), step).await
    }
}

impl<B> fmt::Debug for Lock<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("key", &self.key)
            .field("version", &self.version)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
