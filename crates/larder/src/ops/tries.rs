//! Number and pace of the retries of a contended change.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use larder_core::{Clock, Scope};

use crate::support::random;

/// The tries of one change: sixteen.
///
/// Within a process, giving way to other tasks ends contention. Between processes it takes sleeps,
/// from the fifth try on, each up to twice as long as the one before, 64 ms at most.
pub(super) struct Tries {
    made: u32,
    eager: u32,
}

impl Tries {
    pub(super) const fn new(scope: Scope) -> Self {
        let eager = if matches!(scope, Scope::Process) { LIMIT } else { 4 };
        Self { made: 0, eager }
    }

    /// Waits until the next try is due; false if there is none.
    pub(super) async fn next(&mut self, clock: &dyn Clock) -> bool {
        if self.made == LIMIT {
            return false;
        }
        if self.made < self.eager {
            for _ in 0..random::below(1 << self.made.min(8)) {
                give_way().await;
            }
        } else {
            let doublings = (self.made - self.eager).min(6);
            clock.sleep(jittered(Duration::from_millis(1 << doublings))).await;
        }
        self.made += 1;
        true
    }
}

/// Returns a duration between half and all of `most`.
pub(super) fn jittered(most: Duration) -> Duration {
    (most / 2).mul_f64(1.0 + random::unit())
}

async fn give_way() {
    let mut is_polled = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

const LIMIT: u32 = 16;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use larder_core::{Clock, Scope};
    use larder_testkit::ManualClock;

    use super::{Tries, jittered};

    /// Returns the number of tries, and the time that they sleep in all.
    fn exhaust(scope: Scope) -> (u32, Duration) {
        let clock = ManualClock::new();
        let start = clock.now();
        let mut tries = Tries::new(scope);
        let mut all = pin!(async {
            let mut made = 0;
            while tries.next(&clock).await {
                made += 1;
            }
            made
        });
        loop {
            match all.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(made) => return (made, clock.now().since(start)),
                Poll::Pending if clock.sleepers() > 0 => clock.advance(Duration::from_millis(1)),
                Poll::Pending => {}
            }
        }
    }

    #[test]
    fn sixteen_tries_sleep_half_a_second_at_most_and_in_a_process_never() {
        let (made, slept) = exhaust(Scope::Network);
        assert_eq!(made, 16);
        assert!(slept > Duration::from_millis(200) && slept < Duration::from_millis(500));
        assert_eq!(exhaust(Scope::Process), (16, Duration::ZERO));
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        let most = Duration::from_millis(80);
        let mut pauses = (most, Duration::ZERO);
        for _ in 0..1_000 {
            let one = jittered(most);
            pauses = (pauses.0.min(one), pauses.1.max(one));
        }
        assert!(pauses.0 >= most / 2 && pauses.1 <= most);
        assert!(pauses.1.saturating_sub(pauses.0) > most / 4, "it varies");
    }
}
