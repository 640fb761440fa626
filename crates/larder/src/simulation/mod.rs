//! The protocol under random schedules.
//!
//! A *history* is two caches over one store, a few calls, and a scheduler that decides by a seed
//! which step is next: a call of the store arrives or its answer does, a loader reads its source or
//! returns, another operation starts, a record is lost, time passes. All runs on one thread, and
//! the same seed is the same history. The [`oracle`] then says whether a caller was told something
//! that a confirmed change had made wrong. Without each single [`Rule`](crate::support::mutation::Rule)
//! some history finds that out.

use std::ops::Range;

use crate::simulation::history::Violation;
use crate::simulation::mix::{
    FAULTS, HAND_OUTS, KEYS, LATE, LIVES, Mix, OFFERS, SLOW, STALE, TAG_ENDS, TAG_LIVES, TAGS,
};
use crate::simulation::oracle::Oracle;
use crate::support::mutation::{Rule, without};

mod backend;
mod executor;
mod gate;
mod history;
mod loads;
mod mix;
mod oracle;
mod world;

/// The histories of each mix that a test run goes through. A debug build takes some thirty times as
/// long for each, so `cargo xtask test` goes through all of them in an optimized one as well.
const HISTORIES: u64 = if cfg!(debug_assertions) { 2_500 } else { 25_000 };

/// The histories of all mixes together that a long run goes through.
const MANY: u64 = 40 * HISTORIES;

/// Runs the histories of these seeds. Fails with the first violation.
fn search(mix: Mix, seeds: Range<u64>) -> Result<(), Violation> {
    let runtime = executor::runtime();
    for seed in seeds {
        runtime.block_on(history::run(mix, seed, Oracle::default()))?;
    }
    Ok(())
}

/// Runs one history again, maybe without a rule, and reports all its steps.
fn replay(mix: Mix, seed: u64, removed: Option<Rule>) -> Option<Violation> {
    let run = || {
        let told = history::run(mix, seed, Oracle::default().with_log());
        executor::runtime().block_on(told).err()
    };
    match removed {
        Some(rule) => without(rule, run),
        None => run(),
    }
}

fn holds_in(mix: Mix, seeds: Range<u64>) {
    if let Err(violation) = search(mix, seeds) {
        panic!("{}", replay(mix, violation.seed, None).unwrap_or(violation));
    }
}

/// Fails unless some history shows the damage of a rule's absence.
fn is_missed(rule: Rule, mix: Mix, histories: u64) {
    let Err(violation) = without(rule, || search(mix, 0..histories)) else {
        panic!("{histories} histories of the mix {} do not miss {rule:?}", mix.name);
    };
    println!("{rule:?} is missed by history {}", violation.seed + 1);
    let told = replay(mix, violation.seed, Some(rule)).expect("the same seed is the same history");
    println!("{told}");
}

#[test]
fn loads_and_changes_of_keys_keep_the_promises() {
    holds_in(KEYS, 0..HISTORIES);
}

#[test]
fn tags_known_early_and_late_keep_the_promises() {
    holds_in(TAGS, 0..HISTORIES);
}

#[test]
fn values_that_age_keep_the_promises() {
    holds_in(LIVES, 0..HISTORIES);
}

#[test]
fn values_that_flights_hand_out_keep_the_promises() {
    holds_in(HAND_OUTS, 0..HISTORIES);
}

#[test]
fn a_failing_store_breaks_no_confirmed_promise() {
    holds_in(FAULTS, 0..HISTORIES);
}

#[test]
fn stale_values_are_loaded_by_one_node() {
    holds_in(STALE, 0..HISTORIES);
}

#[test]
fn tags_that_die_and_are_forgotten_keep_the_promises() {
    holds_in(TAG_LIVES, 0..HISTORIES);
}

#[test]
fn the_lease_is_missed() {
    is_missed(Rule::Lease, KEYS, 10_000);
}

#[test]
fn the_local_step_after_the_authority_is_missed() {
    is_missed(Rule::LocalAfterAuthority, KEYS, 10_000);
}

#[test]
fn judging_flights_at_the_join_is_missed() {
    is_missed(Rule::JoinValid, LATE, 10_000);
}

#[test]
fn joining_young_flights_alone_is_missed() {
    is_missed(Rule::JoinYoung, SLOW, 25_000);
}

#[test]
fn judging_values_when_they_are_taken_is_missed() {
    is_missed(Rule::JudgedWhenTaken, OFFERS, 25_000);
}

#[test]
fn writing_the_sequence_first_is_missed() {
    is_missed(Rule::SequenceFirst, LATE, 25_000);
}

#[test]
fn fencing_late_tags_is_missed() {
    is_missed(Rule::LateTags, LATE, 10_000);
}

#[test]
fn the_guard_of_installed_marks_is_missed() {
    is_missed(Rule::InstallGuard, TAGS, 25_000);
}

#[test]
fn emptying_after_a_raced_insert_is_missed() {
    is_missed(Rule::InsertUntouched, KEYS, 10_000);
}

#[test]
fn fencing_fills_is_missed() {
    is_missed(Rule::FillFenced, KEYS, 10_000);
}

#[test]
fn trusting_an_answer_from_its_question_on_is_missed() {
    is_missed(Rule::TrustedSinceAsked, LIVES, 25_000);
}

#[test]
fn the_lease_beside_a_value_is_missed() {
    is_missed(Rule::LeaseBeside, STALE, 10_000);
}

#[test]
fn the_second_look_at_the_key_is_missed() {
    is_missed(Rule::SecondLook, STALE, 25_000);
}

#[test]
fn extending_tags_before_entries_is_missed() {
    is_missed(Rule::ExtendTags, TAG_LIVES, 25_000);
}

#[test]
fn extending_tags_by_their_version_is_missed() {
    is_missed(Rule::ExtendByVersion, TAG_LIVES, 25_000);
}

#[test]
fn storing_nothing_after_a_refused_extension_is_missed() {
    is_missed(Rule::RefusedExtension, TAG_ENDS, 25_000);
}

#[test]
fn forgetting_only_tags_that_nobody_holds_is_missed() {
    is_missed(Rule::ForgetUnheld, TAG_LIVES, 25_000);
}

#[test]
#[ignore = "takes many minutes: before a release, or after a change of the protocol"]
fn a_million_more_histories_keep_the_promises() {
    let mixes = [KEYS, TAGS, TAG_LIVES, LIVES, HAND_OUTS, OFFERS, SLOW, STALE, FAULTS];
    let each = MANY / mixes.len() as u64;
    for mix in mixes {
        holds_in(mix, HISTORIES..HISTORIES + each);
    }
}
