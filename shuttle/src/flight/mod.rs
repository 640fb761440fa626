//! The product's flights, which are explored. Modules have the product's names, because its files
//! import each other.

#[path = "../../../crates/larder/src/flight/flights.rs"]
pub(crate) mod flights;
#[path = "../../../crates/larder/src/flight/follower.rs"]
pub(crate) mod follower;
