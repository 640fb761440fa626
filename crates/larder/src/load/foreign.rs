//! Leases of other processes' loads: which are to be waited for, and until when.

use std::time::Duration;

use larder_core::{Header, Kind, Result, Version};

use crate::load::fencing::{Fencing, Others};
use crate::support::clock::LocalClock;
use crate::support::random;
use crate::support::runtime::Sleep;
use crate::tier::marks::current::{Age, is_marked, names};
use crate::tier::shared::Found;

/// Pauses between reads of another process's lease: the first and the longest.
const FIRST_POLL: Duration = Duration::from_millis(5);
pub(crate) const LONGEST_POLL: Duration = Duration::from_millis(100);

/// Growing pauses between two reads of a lease.
pub(crate) struct Poll(Duration);

impl<V: Clone + 'static> Fencing<'_, V> {
    /// Returns the lease of another load that is to be waited for. The lease of a load that has
    /// ended here, or whose result cannot be kept, does not count.
    pub(super) async fn live_lease(&self, found: &Found<V>) -> Result<Option<Header>> {
        let Found::Unusable(header) = found else { return Ok(None) };
        if header.kind != Kind::Lease || self.shared.is_ended(header.version) {
            return Ok(None);
        }
        let names = names(header).unwrap_or_default();
        let (age, now) = (Age::Checked, self.shared.authority.remote.clock.now());
        let current = self.shared.authority.judging(self.marks, &names, age, header, now).await?;
        Ok((!is_marked(header, &current)).then(|| header.clone()))
    }

    /// Waits until the lease is gone or of no use, or the wait is over. Returns what is there then.
    pub(super) async fn outlast(&self, mut lease: Header) -> Result<Found<V>> {
        let mut poll = Poll::new();
        loop {
            poll.pause(&self.shared.authority.remote.clock, &lease).await;
            let found = self.find(None).await?;
            let there = self.live_lease(&found).await?;
            match there.filter(|there| there.version == lease.version) {
                Some(there) if !self.is_out_of_patience() => lease = there,
                _ => return Ok(found),
            }
        }
    }

    /// Returns how long the failure of the awaited load counts, if that load has failed.
    pub(super) async fn failure_of(
        &self,
        awaited: &mut Option<Version>,
        found: &Found<V>,
    ) -> Result<Option<Duration>> {
        let Some(version) = *awaited else { return Ok(None) };
        if matches!(found, Found::Unusable(there) if there.version == version) {
            return Ok(None);
        }
        *awaited = None;
        if self.others != Others::Wait {
            return Ok(None);
        }
        let left = self
            .shared
            .authority
            .remote
            .read(&self.shared.authority.remote.beside(self.key, version))
            .await?;
        let failure = left.filter(|record| record.header.kind == Kind::Absent);
        Ok(failure.map(|record| record.header.times.kept_left()))
    }
}

impl Poll {
    pub(crate) const fn new() -> Self {
        Self(FIRST_POLL)
    }

    /// Waits a while, but not past the end of the lease.
    pub(crate) async fn pause(&mut self, clock: &LocalClock, lease: &Header) {
        let pause = self.0.mul_f64(0.5 + random::unit());
        self.0 = (self.0 * 2).min(LONGEST_POLL);
        let left = lease.times.kept_left().max(Duration::from_millis(1));
        Sleep::new(clock, pause.min(left)).await;
    }
}
