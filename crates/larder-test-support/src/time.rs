//! Real time, and the steps of a runtime.

use std::time::{Duration, Instant};

/// Returns this many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Waits for a future that must end in time: a hang becomes a failure.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(secs(60), future).await.expect("it hangs")
}

/// Lets every other task of a current-thread runtime run until it waits for something.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Lets other processes run for this long.
#[expect(clippy::disallowed_methods, reason = "other processes run on in real time")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// A measurement of real time.
#[derive(Debug)]
pub struct Watch(Instant);

impl Watch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "limits of the faults are in real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn passed(&self) -> Duration {
        self.0.elapsed()
    }
}
