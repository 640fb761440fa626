//! Faults of disks, processes and folders, by number: nothing is wrong, stuck or torn.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod child;
mod store;
mod value;

mod bound;
mod calls;
mod crowds;
mod damage;
mod eviction;
mod examined;
mod folders;
mod kills;
mod ruins;
mod space;
mod stalls;
