//! Writes that go to an authority first and fill the local tier after it.

use crate::explore::{KEY, Scenario};
use crate::support::sync::Arc;
use crate::tasks::{asks, does, together, waits};
use crate::world::World;

#[test]
fn two_writes_end_with_what_the_authority_has() {
    Scenario::new(two_writes).holds();
}

pub(super) fn two_writes(world: &Arc<World>) {
    let [first, second] = std::array::from_fn(|_| does(|world| world.store(KEY)));
    together(world, [first, second]);
    world.compare(KEY);
}

#[test]
fn two_writes_among_readers() {
    Scenario::new(|world| {
        let [first, second] = std::array::from_fn(|_| does(|world| world.store(KEY)));
        together(world, [asks(KEY), first, second, waits(KEY)]);
        world.compare(KEY);
    })
    .holds();
}

#[test]
fn a_write_that_stops_half_way_leaves_nothing_that_is_older() {
    Scenario::new(|world| {
        let stops = does(|world| world.store_half(KEY));
        together(world, [stops, does(|world| world.store(KEY))]);
        world.compare(KEY);
    })
    .holds();
}
