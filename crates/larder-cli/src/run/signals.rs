//! Signals that come while a command runs.
//!
//! TERM, HUP, USR1 and USR2 are meant for the command, which does not get them by itself, so they
//! are passed on. INT and QUIT reach the command by its group, as both processes are in the
//! foreground; here they only must not end larder before the command.

use std::task::{Context, Poll};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{Signal as Received, SignalKind, signal};

/// The signals that this process listens to. While it listens they do not end it.
pub(super) struct Signals(Vec<(Received, Option<Signal>)>);

impl Signals {
    /// Starts to listen. A signal that is ignored, as under `nohup`, stays ignored.
    pub(super) fn listen() -> Self {
        let ignored = ignored();
        let wanted = [
            (SignalKind::terminate(), Some(Signal::TERM)),
            (SignalKind::hangup(), Some(Signal::HUP)),
            (SignalKind::user_defined1(), Some(Signal::USR1)),
            (SignalKind::user_defined2(), Some(Signal::USR2)),
            (SignalKind::interrupt(), None),
            (SignalKind::quit(), None),
        ];
        let heard = wanted.into_iter().filter(|(kind, _)| !is_in(ignored, kind.as_raw_value()));
        Self(heard.filter_map(|(kind, passed)| Some((signal(kind).ok()?, passed))).collect())
    }

    /// Returns the next signal to pass on.
    pub(super) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Signal> {
        for (received, passed) in &mut self.0 {
            while let Poll::Ready(Some(())) = received.poll_recv(context) {
                if let Some(signal) = passed {
                    return Poll::Ready(*signal);
                }
            }
        }
        Poll::Pending
    }
}

/// Sends a signal to a child that has not been waited for, so that the process id is still its own.
pub(super) fn send(child: Option<Pid>, signal: Signal) {
    if let Some(child) = child {
        let _ = kill_process(child, signal);
    }
}

/// Returns the signals that this process was started to ignore, where the system tells.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn is_in(mask: u64, signal: i32) -> bool {
    let bit = u32::try_from(signal - 1).ok().and_then(|place| 1_u64.checked_shl(place));
    bit.is_some_and(|bit| mask & bit != 0)
}
