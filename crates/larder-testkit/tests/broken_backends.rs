//! The suite finds faults: each broken store is caught by the case of the rule that it breaks.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::panic::catch_unwind;

use larder_testkit::conformance;

mod toy;

use toy::{Flaw, flawed};

conformance!(sound, flawed(Flaw::None));

fn is_caught(flaw: Flaw, case: &'static str) -> bool {
    assert!(conformance::names().any(|name| name == case), "no case is called {case}");
    catch_unwind(|| conformance::run(case, flawed(flaw))).is_err()
}

macro_rules! caught {
    ($($test:ident: $flaw:ident by $($case:ident)+;)+) => {
        $(
            #[test]
            fn $test() {
                $(assert!(is_caught(Flaw::$flaw, stringify!($case)), stringify!($case));)+
            }
        )+
    };
}

caught! {
    ignored_expectations: IgnoresExpectations by
        absent_is_refused_by_every_kind version_is_refused_by_another_version
        version_is_refused_by_nothing retime_refuses_another_version
        a_deleted_lease_refuses_its_result one_of_eight_first_writes_wins
        random_operations_agree_with_a_model;
    the_dead_are_read: ReadsTheDead by
        a_dead_record_reads_as_nothing a_life_of_zero_leaves_nothing short_lives_end
        dead_is_absent_at_exactly_its_life retime_can_end_a_life_at_once;
    the_dead_are_read_for_one_step: ReadsTheDeadForOneStep by
        dead_is_absent_at_exactly_its_life a_written_age_counts_to_the_step
        a_life_of_zero_leaves_nothing;
    the_dead_are_taken_for_there: TakesTheDeadForThere by
        absent_is_met_by_the_dead a_dead_version_is_refused a_dead_lease_is_free_to_take
        retime_refuses_the_dead one_of_eight_takes_a_dead_lease
        a_delete_of_a_version_over_nothing_is_refused;
    retime_makes_a_version: RetimeMakesAVersion by
        retime_changes_the_life_alone a_retimed_record_meets_its_version
        a_renewed_lease_is_still_held;
    retime_revives: RetimeRevives by retime_refuses_the_dead;
    refusals_say_nothing: RefusesWithoutAHeader by
        absent_is_refused_by_every_kind a_refusal_tells_the_age writes_are_judged_one_by_one;
    a_scan_leaks: ScanLeaks by a_scan_never_meets_a_neighbour;
    a_scan_is_claimed_and_fails: ScanFails by a_scan_of_nothing_ends a_scan_meets_every_kind;
    a_scan_forgets: ScanForgetsHalf by
        a_scan_meets_every_kind a_scan_meets_what_stays_while_others_come_and_go;
    a_scan_tells_names: ScanTellsNames by a_scan_tells_full_keys;
    answers_are_reversed: ReversesAnswers by
        read_answers_come_in_order writes_are_judged_one_by_one deletes_are_judged_one_by_one
        retimes_are_judged_one_by_one;
    a_refusal_stops_a_batch: StopsAtARefusal by
        writes_are_judged_one_by_one deletes_are_judged_one_by_one;
    lives_wrap: WrapsLives by long_lives_do_not_wrap;
    short_lives_become_for_ever: RoundsLivesDown by short_lives_end;
    tags_are_forgotten: ForgetsTags by a_whole_header_comes_back many_tags_come_back;
    the_age_is_forgotten: ForgetsTheAge by
        an_age_is_never_too_small a_written_age_counts_to_the_step a_huge_age_does_not_wrap;
    a_delete_spares_leases: DeleteSparesLeases by
        a_deleted_record_is_gone a_deleted_lease_refuses_its_result;
    a_delete_ignores_versions: DeleteIgnoresVersions by
        a_delete_of_another_version_is_refused a_released_lease_is_free
        a_delete_expecting_nothing_spares_a_record;
    names_are_trusted: TrustsNames by
        another_keys_record_is_a_codec_error another_keys_record_counts_as_nothing;
    judging_and_writing_are_two_steps: JudgesThenWrites by
        one_of_eight_first_writes_wins one_of_eight_replacements_wins
        a_raised_counter_loses_nothing;
    a_purge_takes_the_living: PurgesTheLiving by a_purge_spares_the_living;
    a_closed_store_reads: ReadsAfterClosing by a_closed_backend_says_so;
    conditions_are_ignored_where_none_are_claimed: PretendsConditions by
        conditional_writes_are_unsupported conditional_deletes_and_retimes_are_unsupported;
    a_scan_works_where_none_is_claimed: PretendsScans by a_scan_is_unsupported;
}
