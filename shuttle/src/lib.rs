//! The product's own flights, under a model of the local tier, in every schedule that fits the
//! time.
//!
//! `README.md` says what is explored and how to replay a schedule.
#![cfg(test)]

/// Modules have the product's names, because the product's files import them.
mod support {
    #[path = "../../../crates/larder/src/support/park.rs"]
    pub(crate) mod park;
    pub(crate) mod sync;
}

#[expect(dead_code, reason = "the product asks a flight for more than its model does")]
mod flight;
#[expect(dead_code, reason = "the model asks for the life of a value, not for its grace")]
#[path = "../../crates/larder/src/tier/marks/here.rs"]
mod here;

mod explore;
mod flaw;
mod log;
mod marks;
mod scenarios;
mod tasks;
mod wait;
mod world;
