//! Every change against leaders, followers and callers that go away.

use crate::explore::{KEY, OTHER, Scenario};
use crate::support::sync::Arc;
use crate::tasks::{asks, changes, does, leaves, loads, together, waits};
use crate::world::{Loader, Tagged, World};

#[test]
fn invalidate() {
    Scenario::new(invalidated).holds();
}

pub(super) fn invalidated(world: &Arc<World>) {
    together(world, [asks(KEY), changes(|world| world.invalidate(KEY)), waits(KEY)]);
    // There are three loads: one before the change, one that was cut before it began, and one after
    // the change.
    assert!(world.loads() <= 3, "a change costs one load at most for each caller");
}

#[test]
fn invalidate_against_leavers_and_panics() {
    Scenario::new(|world| {
        let invalidates = changes(|world| world.invalidate(KEY));
        together(world, [leaves(KEY), loads(KEY, Loader::Panics), invalidates, asks(KEY)]);
    })
    .holds();
}

#[test]
fn insert() {
    Scenario::new(|world| {
        together(world, [asks(KEY), changes(|world| world.insert(KEY)), waits(KEY)]);
    })
    .holds();
}

#[test]
fn insert_and_invalidate_of_two_callers() {
    Scenario::new(|world| {
        let inserts = changes(|world| world.insert(KEY));
        together(world, [asks(KEY), inserts, changes(|world| world.invalidate(KEY)), waits(KEY)]);
    })
    .holds();
}

#[test]
fn insert_then_invalidate_of_one_caller() {
    Scenario::new(inserted_and_invalidated).holds();
}

pub(super) fn inserted_and_invalidated(world: &Arc<World>) {
    let changes = changes(|world| {
        world.insert(KEY);
        world.invalidate(KEY);
    });
    together(world, [asks(KEY), changes, waits(KEY)]);
}

#[test]
fn invalidate_all() {
    Scenario::new(all_invalidated).holds();
}

pub(super) fn all_invalidated(world: &Arc<World>) {
    together(world, [asks(KEY), changes(World::invalidate_all), waits(KEY), asks(OTHER)]);
}

#[test]
fn invalidate_tag_known_before() {
    Scenario::tagged(Tagged::Before, tag_invalidated).holds();
}

#[test]
fn invalidate_tag_named_late() {
    Scenario::tagged(Tagged::Late, tag_invalidated).holds();
}

pub(super) fn tag_invalidated(world: &Arc<World>) {
    together(world, [asks(KEY), changes(World::invalidate_tag), waits(KEY)]);
}

#[test]
fn invalidate_tag_beside_another_tag() {
    Scenario::tagged(Tagged::Before, other_tag_invalidated).holds();
}

pub(super) fn other_tag_invalidated(world: &Arc<World>) {
    together(world, [asks(KEY)]);
    let others = does(World::invalidate_other_tag);
    together(world, [others, waits(KEY), changes(World::invalidate_tag), waits(KEY)]);
}

#[test]
fn insert_of_a_tagged_value_against_its_tag() {
    Scenario::tagged(Tagged::Before, |world| {
        let inserts = changes(|world| world.insert(KEY));
        together(world, [asks(KEY), inserts, changes(World::invalidate_tag), waits(KEY)]);
    })
    .holds();
}

#[test]
fn eviction_at_every_point() {
    Scenario::new(|world| {
        let evicts = does(|world| world.evict(KEY));
        together(world, [asks(KEY), evicts, changes(|world| world.invalidate(KEY)), waits(KEY)]);
    })
    .holds();
}

#[test]
fn expiry_at_every_point() {
    Scenario::new(|world| {
        let expires = does(|world| world.expire(KEY));
        together(world, [asks(KEY), expires, changes(|world| world.invalidate(KEY)), waits(KEY)]);
    })
    .holds();
}
