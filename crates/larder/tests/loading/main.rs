//! Loads: refreshes, timeouts, failures, answers, outages, and the callers that wait for them.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

mod support;

mod answers;
mod blocking;
mod closing;
mod failures;
mod look_ups;
mod outages;
mod processes;
mod refresh;
mod runtimes;
mod timeouts;
mod unkept;
