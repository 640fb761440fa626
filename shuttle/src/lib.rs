//! The product's own flights, under a model of the local tier, in every schedule that fits the time.
//!
//! `README.md` says what is explored and how to replay a schedule.
#![cfg(test)]

mod sync;

#[expect(dead_code, reason = "the product asks a flight for more than its model does")]
#[path = "../../crates/larder/src/load/flight.rs"]
mod flight;
#[path = "../../crates/larder/src/park.rs"]
mod park;
#[expect(dead_code, reason = "the model asks for the life of a value, not for its grace")]
#[path = "../../crates/larder/src/tier/tag.rs"]
mod tag;

mod explore;
mod flaw;
mod log;
mod marks;
mod scenarios;
mod tasks;
mod wait;
mod world;
