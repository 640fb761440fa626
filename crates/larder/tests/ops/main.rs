//! Verbs over conditional writes: changes, counters and locks, also when answers are lost.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

mod faulty;

mod counter;
mod lock;
mod swap;
