//! Snapshots in files, and the faults of disks, processes and folders, by number.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod child;
mod store;

mod crowds;
mod damage;
mod folders;
mod interval;
mod kills;
mod notes;
mod power;
mod random;
mod regressions;
mod space;
