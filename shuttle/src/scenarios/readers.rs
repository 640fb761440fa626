//! Leaders and followers with every loader, without changes.

use crate::explore::{KEY, OTHER, Scenario};
use crate::support::sync::Arc;
use crate::tasks::{
    asks, detaches, does, hurries, leaves, loads, nests, refreshes, together, waits,
};
use crate::world::{Loader, World};

#[test]
fn callers_of_both_kinds_share_one_load() {
    Scenario::new(one_load).holds();
}

pub(super) fn one_load(world: &Arc<World>) {
    together(world, [asks(KEY), waits(KEY), asks(KEY)]);
    assert_eq!(world.loads(), 1, "one load is enough");
}

#[test]
fn a_slow_leader_is_followed_late() {
    Scenario::new(|world| {
        together(world, [loads(KEY, Loader::Slow), waits(KEY), asks(KEY)]);
        assert_eq!(world.loads(), 1, "one load is enough");
    })
    .holds();
}

#[test]
fn callers_who_leave_harm_nobody() {
    Scenario::new(leavers).holds();
}

pub(super) fn leavers(world: &Arc<World>) {
    together(world, [leaves(KEY), asks(KEY), leaves(KEY), waits(KEY)]);
    assert!(world.loads() <= 3, "each leaver costs one load at most");
}

#[test]
fn a_load_of_its_own_outlives_its_callers() {
    Scenario::new(|world| {
        together(world, [detaches(KEY), detaches(KEY), detaches(KEY), waits(KEY)]);
        assert_eq!(world.loads(), 1, "one load is enough");
    })
    .holds();
}

#[test]
fn a_panicking_loader_harms_nobody_else() {
    Scenario::new(|world| {
        together(world, [loads(KEY, Loader::Panics), asks(KEY), waits(KEY)]);
        assert!(world.loads() <= 2, "a panic costs one load at most");
    })
    .holds();
}

#[test]
fn a_panic_in_the_store_harms_nobody_else() {
    Scenario::new(|world| {
        together(world, [loads(KEY, Loader::PanicsInStore), asks(KEY), waits(KEY)]);
        assert!(world.loads() <= 2, "a panic costs one load at most");
    })
    .holds();
}

#[test]
fn two_keys_of_one_stripe_and_hash_stay_apart() {
    Scenario::new(|world| {
        together(world, [asks(KEY), waits(OTHER), waits(KEY), leaves(OTHER)]);
        assert!(world.loads() <= 3, "one load for each key, and one for the leaver");
    })
    .holds();
}

#[test]
fn a_wait_inside_a_wait_takes_no_wake_up_from_it() {
    Scenario::new(|world| {
        together(world, [nests(KEY), waits(KEY), nests(KEY)]);
        assert_eq!(world.loads(), 1, "one load is enough");
    })
    .holds();
}

#[test]
fn a_refresh_leaves_a_flight_alone() {
    Scenario::new(|world| together(world, [refreshes(KEY), asks(KEY), refreshes(KEY)])).holds();
}

#[test]
fn what_the_leader_holds_out_is_never_too_old() {
    Scenario::new(|world| {
        world.insert(KEY);
        world.expire(KEY);
        let invalidates = does(|world| world.invalidate(KEY));
        together(world, [asks(KEY), hurries(KEY), invalidates, hurries(KEY)]);
    })
    .holds();
}
