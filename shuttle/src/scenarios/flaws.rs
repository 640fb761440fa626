//! Each flaw must be found.

use super::changes::{
    all_invalidated, inserted_and_invalidated, invalidated, other_tag_invalidated, tag_invalidated,
};
use super::conditions::{
    claimed_against_all, claimed_against_its_tag, replaced_against_all, replaced_against_its_tag,
};
use super::hand_outs::{copies_and_tag, fallbacks_and_tag, offers_and_tag};
use super::readers::{leavers, one_load};
use super::writes::two_writes;
use crate::explore::Scenario;
use crate::flaw::Flaw;
use crate::world::Tagged;

#[test]
fn cut_then_apply() {
    Scenario::new(inserted_and_invalidated).finds(Flaw::CutThenApply);
}

#[test]
fn apply_then_cut() {
    Scenario::new(invalidated).finds(Flaw::ApplyThenCut);
}

#[test]
fn store_always() {
    Scenario::new(invalidated).finds(Flaw::StoreAlways);
}

#[test]
fn follow_always_against_all() {
    Scenario::new(all_invalidated).finds(Flaw::FollowAlways);
}

#[test]
fn follow_always_against_a_tag() {
    Scenario::tagged(Tagged::Before, tag_invalidated).finds(Flaw::FollowAlways);
}

#[test]
fn no_second_look() {
    Scenario::new(one_load).finds(Flaw::NoSecondLook);
}

#[test]
fn ticket_forgotten() {
    Scenario::new(leavers).finds(Flaw::TicketForgotten);
}

#[test]
fn late_tags_unchecked() {
    Scenario::tagged(Tagged::Late, tag_invalidated).finds(Flaw::LateTagsUnchecked);
}

#[test]
fn late_tags_read_last() {
    Scenario::tagged(Tagged::Late, tag_invalidated).finds(Flaw::LateTagsReadLast);
}

#[test]
fn cell_before_count() {
    Scenario::tagged(Tagged::Late, tag_invalidated).finds(Flaw::CellBeforeCount);
}

#[test]
fn settled_too_far() {
    Scenario::tagged(Tagged::Before, other_tag_invalidated).finds(Flaw::SettledTooFar);
}

#[test]
fn fill_touched() {
    Scenario::new(two_writes).finds(Flaw::FillTouched);
}

#[test]
fn first_waker_kept() {
    Scenario::new(one_load).finds(Flaw::FirstWakerKept);
}

#[test]
fn an_offer_taken_unjudged() {
    Scenario::new(offers_and_tag).finds(Flaw::TakenUnjudged);
}

#[test]
fn a_copy_taken_unjudged() {
    Scenario::new(copies_and_tag).finds(Flaw::TakenUnjudged);
}

#[test]
fn a_fallback_taken_unjudged() {
    Scenario::new(fallbacks_and_tag).finds(Flaw::TakenUnjudged);
}

#[test]
fn seen_before_judged_against_all() {
    Scenario::new(claimed_against_all).finds(Flaw::SeenBeforeJudged);
}

#[test]
fn seen_before_judged_against_a_tag() {
    Scenario::tagged(Tagged::Before, claimed_against_its_tag).finds(Flaw::SeenBeforeJudged);
}

#[test]
fn seen_after_judged_against_all() {
    Scenario::new(replaced_against_all).finds(Flaw::SeenAfterJudged);
}

#[test]
fn seen_after_judged_against_a_tag() {
    Scenario::tagged(Tagged::Before, replaced_against_its_tag).finds(Flaw::SeenAfterJudged);
}
