//! Values from before a load that its flight hands out: offers, copies and fallbacks, against every
//! change. The entry has a tag that its loads do not know.

use crate::explore::{KEY, Scenario};
use crate::support::sync::Arc;
use crate::tasks::{Task, asks, changes, does, hurries, loads, together};
use crate::world::{Loader, World};

/// A stale value is there while a slow load runs.
fn offered(world: &Arc<World>, change: fn(&World)) {
    world.insert_tagged(KEY);
    world.expire(KEY);
    let hurries_after = does_and_hurries(change);
    together(world, [loads(KEY, Loader::Slow), hurries(KEY), hurries_after]);
}

/// A fresh value turns up between a leader's first read and its second.
fn copied(world: &Arc<World>, change: fn(&World)) {
    let inserts = does(|world| world.insert_tagged(KEY));
    together(world, [loads(KEY, Loader::Slow), inserts, changes(change)]);
}

/// A load fails where a stale value is there.
fn fallen_back(world: &Arc<World>, change: fn(&World)) {
    world.insert_tagged(KEY);
    world.expire(KEY);
    together(world, [loads(KEY, Loader::Fails), asks(KEY), changes(change)]);
}

fn does_and_hurries(change: fn(&World)) -> Task {
    Box::new(move |world| {
        change(world);
        hurries(KEY)(world);
    })
}

fn invalidates_key(world: &World) {
    world.invalidate(KEY);
}

#[test]
fn offers_against_the_key() {
    Scenario::new(|world| offered(world, invalidates_key)).holds();
}

#[test]
fn offers_against_a_tag() {
    Scenario::new(offers_and_tag).holds();
}

pub(super) fn offers_and_tag(world: &Arc<World>) {
    offered(world, World::invalidate_tag);
}

#[test]
fn offers_against_all() {
    Scenario::new(|world| offered(world, World::invalidate_all)).holds();
}

#[test]
fn copies_against_the_key() {
    Scenario::new(|world| copied(world, invalidates_key)).holds();
}

#[test]
fn copies_against_a_tag() {
    Scenario::new(copies_and_tag).holds();
}

pub(super) fn copies_and_tag(world: &Arc<World>) {
    copied(world, World::invalidate_tag);
}

#[test]
fn copies_against_all() {
    Scenario::new(|world| copied(world, World::invalidate_all)).holds();
}

#[test]
fn fallbacks_against_the_key() {
    Scenario::new(|world| fallen_back(world, invalidates_key)).holds();
}

#[test]
fn fallbacks_against_a_tag() {
    Scenario::new(fallbacks_and_tag).holds();
}

pub(super) fn fallbacks_and_tag(world: &Arc<World>) {
    fallen_back(world, World::invalidate_tag);
}

#[test]
fn fallbacks_against_all() {
    Scenario::new(|world| fallen_back(world, World::invalidate_all)).holds();
}
