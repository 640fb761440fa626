//! The behaviours of the systems that a cache replaces, row by row, over memory alone and over
//! memory and a shared store.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

mod c0;
mod c1;
mod c2;
mod c3;
mod c4;
mod config;
