//! Conditional inserts, against changes that end the value that is there.

use crate::explore::{KEY, Scenario};
use crate::support::sync::Arc;
use crate::support::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::tasks::{asks, does, together};
use crate::world::{Tagged, World};

#[test]
fn insert_if_absent_against_all() {
    Scenario::new(claimed_against_all).holds();
}

#[test]
fn insert_if_absent_against_its_tag() {
    Scenario::tagged(Tagged::Before, claimed_against_its_tag).holds();
}

#[test]
fn insert_if_absent_against_a_load() {
    Scenario::tagged(Tagged::Before, |world| {
        let claims = does(|world| {
            world.insert_if_absent(KEY);
        });
        together(world, [asks(KEY), claims, does(World::invalidate_all), asks(KEY)]);
    })
    .holds();
}

#[test]
fn replace_against_all() {
    Scenario::new(replaced_against_all).holds();
}

#[test]
fn replace_against_its_tag() {
    Scenario::tagged(Tagged::Before, replaced_against_its_tag).holds();
}

pub(super) fn claimed_against_all(world: &Arc<World>) {
    claimed(world, World::invalidate_all);
}

pub(super) fn claimed_against_its_tag(world: &Arc<World>) {
    claimed(world, World::invalidate_tag);
}

pub(super) fn replaced_against_all(world: &Arc<World>) {
    replaced(world, World::invalidate_all);
}

pub(super) fn replaced_against_its_tag(world: &Arc<World>) {
    replaced(world, World::invalidate_tag);
}

/// The old value was there first: an insert that succeeds comes after the change, and its value
/// stays.
fn claimed(world: &Arc<World>, invalidate: fn(&World)) {
    let is_ours = beside(world, World::insert_if_absent, invalidate);
    assert!(!is_ours || world.holds(KEY), "it said yes and stored nothing");
}

/// A replacement that succeeds comes before the change, and its value ends with the old one.
fn replaced(world: &Arc<World>, invalidate: fn(&World)) {
    let is_ours = beside(world, World::replace, invalidate);
    assert!(!is_ours || !world.holds(KEY), "what was stored before a change outlived it");
}

fn beside(world: &Arc<World>, insert: fn(&World, u32) -> bool, invalidate: fn(&World)) -> bool {
    world.insert(KEY);
    let is_ours = Arc::new(AtomicBool::new(false));
    let answer = Arc::clone(&is_ours);
    let inserts = does(move |world| answer.store(insert(world, KEY), SeqCst));
    together(world, [inserts, does(invalidate)]);
    is_ours.load(SeqCst)
}
