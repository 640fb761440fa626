//! The command as a user has it: real processes over real folders.
#![expect(clippy::unwrap_used, reason = "what cannot be started or read fails the test")]

mod contract;
mod entries;
mod key;
mod refresh;
mod replay;
mod share;
mod signals;
mod support;
mod trace;
