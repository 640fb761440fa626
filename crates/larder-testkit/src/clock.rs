//! A clock that stands still until a test moves it.

use std::collections::BTreeMap;
use std::fmt;
use std::future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder_core::{BoxFuture, Clock, Sweep, Timestamp};

/// A clock that stands still until a test moves it.
///
/// Moving it wakes the sleepers whose time has come, in the order of their deadlines, and then
/// calls the sweeps. It starts far from zero, so that code that subtracts has room to be wrong.
/// Clones share the time. Its wall clock moves along, and can be set to anything.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Clock;
/// use larder_testkit::ManualClock;
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(start), Duration::from_secs(60));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

struct State {
    now: Timestamp,
    wall: Duration,
    next_id: u64,
    sleepers: BTreeMap<Place, Waker>,
    watchers: Vec<Waker>,
    sweeps: Vec<Weak<dyn Sweep>>,
}

/// The place of a sleeper in the queue: by deadline, then by arrival.
type Place = (Timestamp, u64);

impl ManualClock {
    /// Returns a clock of its own.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            now: ORIGIN,
            wall: WALL_ORIGIN,
            next_id: 0,
            sleepers: BTreeMap::new(),
            watchers: Vec::new(),
            sweeps: Vec::new(),
        })))
    }

    /// Moves the time on, then wakes and sweeps whatever is due. Zero wakes and sweeps only.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.now = state.now.after(duration);
        state.wall = state.wall.saturating_add(duration);
        Self::wake(state);
    }

    /// Moves the time to this reading. An earlier one leaves it where it is.
    pub fn advance_to(&self, reading: Timestamp) {
        let mut state = self.lock();
        state.wall = state.wall.saturating_add(reading.since(state.now));
        state.now = state.now.max(reading);
        Self::wake(state);
    }

    /// Sets the wall clock to this time since 1970, and moves nothing else.
    pub fn set_wall(&self, since_1970: Duration) {
        self.lock().wall = since_1970;
    }

    /// Returns the number of sleeps that have been polled and are neither over nor dropped.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    /// Waits until at least this many sleeps have been polled. A timeout is armed by then.
    pub async fn until_sleepers(&self, count: usize) {
        future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.sleepers.len() >= count {
                return Poll::Ready(());
            }
            state.watchers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Wakes and sweeps without the lock, because wakers and sweeps may ask this clock.
    fn wake(mut state: MutexGuard<'_, State>) {
        let later = match state.now.as_nanos().checked_add(1) {
            Some(next) => state.sleepers.split_off(&(Timestamp::from_nanos(next), 0)),
            None => BTreeMap::new(),
        };
        let due = mem::replace(&mut state.sleepers, later);
        state.sweeps.retain(|sweep| sweep.strong_count() > 0);
        let sweeps = state.sweeps.clone();
        drop(state);
        due.into_values().for_each(Waker::wake);
        for sweep in sweeps {
            if let Some(sweep) = sweep.upgrade() {
                sweep.sweep();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("ManualClock")
            .field("now", &state.now)
            .field("sleepers", &state.sleepers.len())
            .finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn wall(&self) -> Option<Duration> {
        Some(self.lock().wall)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.lock();
        state.next_id += 1;
        let place = (state.now.after(duration), state.next_id);
        drop(state);
        Box::pin(Sleep { clock: self.clone(), place })
    }

    fn drive(&self, sweep: Weak<dyn Sweep>) -> bool {
        self.lock().sweeps.push(sweep);
        true
    }
}

struct Sleep {
    clock: ManualClock,
    place: Place,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.place.0 {
            return Poll::Ready(());
        }
        let replaced = state.sleepers.insert(self.place, cx.waker().clone());
        let watchers = mem::take(&mut state.watchers);
        drop(state);
        watchers.into_iter().for_each(Waker::wake);
        // Dropping a waker may drop a task, and with it other sleeps of this clock.
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let removed = self.clock.lock().sleepers.remove(&self.place);
        drop(removed);
    }
}

/// About eleven days after zero.
const ORIGIN: Timestamp = Timestamp::from_nanos(1_000_000_000_000_000);

/// The beginning of 2026.
const WALL_ORIGIN: Duration = Duration::from_secs(1_767_225_600);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, Weak};
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;

    use larder_core::{BoxFuture, Clock, NEVER, Sweep, Timestamp};

    use super::ManualClock;
    use crate::block_on;

    struct Note(u32, Arc<Mutex<Vec<u32>>>);

    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    fn is_over(sleep: &mut BoxFuture<'static, ()>, waker: &Waker) -> bool {
        sleep.as_mut().poll(&mut Context::from_waker(waker)).is_ready()
    }

    #[test]
    fn sleepers_are_woken_in_the_order_of_their_deadlines() {
        let clock = ManualClock::new();
        let woken = Arc::default();
        let mut sleeps: Vec<_> = [3, 1, 2, 9]
            .map(|seconds| {
                let waker = Waker::from(Arc::new(Note(seconds, Arc::clone(&woken))));
                let mut sleep = clock.sleep(Duration::from_secs(seconds.into()));
                assert!(!is_over(&mut sleep, &waker));
                sleep
            })
            .into();
        assert_eq!(clock.sleepers(), 4);
        clock.advance(Duration::from_secs(3));
        assert_eq!(*woken.lock().unwrap(), [1, 2, 3]);
        assert_eq!(clock.sleepers(), 1);
        assert!(is_over(&mut sleeps[0], Waker::noop()));
        assert!(!is_over(&mut sleeps[3], Waker::noop()));
    }

    #[test]
    fn a_dropped_sleep_leaves_nothing_behind() {
        let clock = ManualClock::new();
        let mut sleep = clock.sleep(NEVER);
        assert_eq!(clock.sleepers(), 0, "it does not wait before it is polled");
        assert!(!is_over(&mut sleep, Waker::noop()));
        assert_eq!(clock.sleepers(), 1);
        drop(sleep);
        assert_eq!(clock.sleepers(), 0);
    }

    #[test]
    fn a_sleeper_is_waited_for() {
        let clock = ManualClock::new();
        std::thread::scope(|scope| {
            scope.spawn(|| block_on(clock.sleep(Duration::from_secs(1))));
            block_on(clock.until_sleepers(1));
            clock.advance(Duration::from_secs(1));
        });
        assert_eq!(clock.sleepers(), 0);
    }

    #[test]
    fn time_never_goes_back() {
        let clock = ManualClock::new();
        let start = clock.now();
        assert!(start > Timestamp::ZERO);
        clock.advance_to(Timestamp::ZERO);
        assert_eq!(clock.now(), start);
        clock.clone().advance_to(start.after(Duration::from_nanos(1)));
        assert_eq!(clock.now().since(start), Duration::from_nanos(1));
    }

    #[test]
    fn the_wall_clock_moves_along_and_can_be_stepped() {
        let clock = ManualClock::new();
        let start = clock.wall().unwrap();
        clock.advance(Duration::from_secs(5));
        clock.advance_to(clock.now().after(Duration::from_secs(1)));
        assert_eq!(clock.wall().unwrap(), start + Duration::from_secs(6));
        let now = clock.now();
        clock.set_wall(Duration::from_secs(7));
        assert_eq!((clock.wall(), clock.now()), (Some(Duration::from_secs(7)), now));
    }

    struct Counting(ManualClock, AtomicUsize);

    impl Sweep for Counting {
        fn sweep(&self) {
            let _unlocked = self.0.now();
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn sweeps_are_driven_until_they_are_gone() {
        let clock = ManualClock::new();
        let sweep = Arc::new(Counting(clock.clone(), AtomicUsize::new(0)));
        let weak: Weak<dyn Sweep> = Arc::downgrade(&(Arc::clone(&sweep) as Arc<dyn Sweep>));
        assert!(clock.drive(weak));
        clock.advance(Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(sweep.1.load(Ordering::Relaxed), 2);
        drop(sweep);
        clock.advance(Duration::from_secs(1));
        assert!(clock.lock().sweeps.is_empty());
    }
}
