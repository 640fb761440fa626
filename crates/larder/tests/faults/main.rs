//! Faults that break caches, by number: stampedes, cancellation, panics, cycles, odd keys and lives.
//! Changes that race with loads are in `races/`.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

mod support;

mod callers;
mod cycles;
mod keys;
mod listeners;
mod lives;
mod panics;
mod stampedes;
