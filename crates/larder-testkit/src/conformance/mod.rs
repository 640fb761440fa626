//! The conformance suite: every rule of the contract is one case.
//!
//! [`conformance!`](crate::conformance!) makes a test of each case, so that a failure names the
//! rule. The cases are in modules by topic; the first line of each states its rule.
//!
//! The [`Capabilities`] that a backend claims choose the cases. Each capability that is not claimed
//! has a case of its own: asking for it must answer `Unsupported` and change nothing. A case that
//! cannot apply prints why.

#![expect(
    clippy::missing_panics_doc,
    reason = "a case panics when the rule is broken: that is its only way to tell"
)]

use larder_core::{Backend, Capabilities};

pub use env::{Env, ManualEnv};
pub use trial::Trial;

mod env;
mod trial;

pub mod batch;
mod check;
pub mod counters;
pub mod delete;
pub mod expectations;
pub mod keys;
pub mod lease;
pub mod lifecycle;
pub mod model;
pub mod race;
pub mod read;
pub mod retime;
pub mod scan;
pub mod time;
pub mod write;

/// Makes a module of tests, one for each case of the suite.
///
/// The second argument makes the environment of one case: an [`Env`](crate::conformance::Env). It
/// sees what is in scope where the macro stands, which must be a module, not a function's body.
///
/// ```
/// use larder_testkit::conformance::ManualEnv;
/// # mod hidden {
/// #     use larder_core::AnyBackend;
/// #     use larder_testkit::ManualClock;
/// #     pub fn my_backend(_: ManualClock) -> AnyBackend { unimplemented!() }
/// # }
/// # use hidden::my_backend;
///
/// larder_testkit::conformance!(mine, ManualEnv::new(|clock| my_backend(clock)));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance {
    ($name:ident, $env:expr) => {
        $crate::__conformance_cases! { tests $name ($env) }
    };
}

/// Runs one case.
///
/// # Panics
/// If the rule is broken, or no case has this name.
pub fn run(name: &str, env: impl Env) {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.unwrap_or_else(|| panic!("no case is called {name}"));
    let trial = Trial::open(env);
    match case.need.lacking(&trial) {
        None => {
            (case.run)(&trial);
            check::if_supported(trial.wait(trial.backend().close()));
        }
        Some(reason) => skip(case.name, reason),
    }
}

/// Returns the names of all cases, in the order of the topics.
pub fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.name)
}

struct Case {
    name: &'static str,
    need: Need,
    run: fn(&Trial),
}

/// The requirement of a case on the backend or the environment.
#[derive(Clone, Copy)]
enum Need {
    Nothing,
    Conditional,
    NoConditional,
    Scan,
    NoScan,
    Limit,
    ManualTime,
}

impl Need {
    /// Returns the reason why the case does not apply, if it does not.
    fn lacking(self, trial: &Trial) -> Option<&'static str> {
        let Capabilities { conditional, scan, max_value_bytes, .. } = trial.capabilities();
        let (is_met, reason) = match self {
            Self::Nothing => return None,
            Self::Conditional => (conditional, "no conditional writes are claimed"),
            Self::NoConditional => (!conditional, "conditional writes are claimed"),
            Self::Scan => (scan, "no scan is claimed"),
            Self::NoScan => (!scan, "a scan is claimed"),
            Self::Limit => (max_value_bytes.is_some(), "no largest payload is claimed"),
            Self::ManualTime => (trial.resolution().is_some(), "time passes by itself"),
        };
        (!is_met).then_some(reason)
    }
}

#[expect(clippy::print_stderr, reason = "what was not tested must be seen")]
fn skip(name: &str, reason: &str) {
    eprintln!("skipped {name}: {reason}");
}

/// The one list of cases: `topic form (need): names`. A topic's cases are `steps`, which run as
/// one task, or `threads`, which run tasks on threads of their own.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($then:ident $($given:tt)*) => {
        $crate::__conformance_then! { $then [$($given)*]
            read steps (Nothing):
                an_unknown_key_reads_as_nothing, every_kind_comes_back, a_whole_header_comes_back,
                many_tags_come_back, an_empty_payload_is_a_value,
                a_known_absence_is_told_from_nothing, every_byte_survives,
                a_large_payload_comes_back, read_one_agrees_with_read, reading_changes_nothing;
            write steps (Nothing):
                a_write_replaces_what_was_there, every_kind_replaces_every_other,
                a_repeated_write_keeps_its_version;
            write steps (Conditional):
                a_foreign_token_is_not_kept;
            write steps (Limit):
                a_payload_beyond_the_largest_is_no_space, a_payload_of_the_largest_size_is_stored;
            expectations steps (Conditional):
                absent_is_met_by_nothing, absent_is_refused_by_every_kind,
                version_is_met_by_that_version, version_is_met_with_its_token,
                version_is_refused_by_another_version, version_is_refused_by_nothing,
                an_overwritten_version_is_refused, a_deleted_version_is_refused,
                a_refusal_tells_the_age;
            expectations steps (NoConditional):
                conditional_writes_are_unsupported,
                conditional_deletes_and_retimes_are_unsupported;
            retime steps (Conditional):
                retime_changes_the_life_alone, a_retimed_record_meets_its_version,
                retime_refuses_another_version, retime_refuses_nothing, retime_refuses_the_dead,
                retime_lengthens_a_life, retime_shortens_a_life, retime_can_end_a_life_at_once,
                retime_to_for_ever_and_back;
            delete steps (Nothing):
                a_deleted_record_is_gone, a_delete_of_nothing_is_done,
                a_delete_leaves_other_keys_alone, a_deleted_key_can_be_written_again;
            delete steps (Conditional):
                a_delete_of_that_version_is_done, a_delete_of_another_version_is_refused,
                a_delete_of_a_version_over_nothing_is_refused,
                a_delete_expecting_nothing_spares_a_record;
            lease steps (Conditional):
                a_result_is_written_over_its_lease, a_deleted_lease_refuses_its_result,
                a_lease_keeps_its_marks, a_second_lease_refuses_the_first_result,
                a_dead_lease_is_free_to_take, a_renewed_lease_is_still_held, a_released_lease_is_free;
            counters steps (Nothing):
                a_counter_keeps_its_number, a_counter_is_told_from_a_value;
            counters threads (Conditional):
                a_raised_counter_loses_nothing;
            time steps (ManualTime):
                dead_is_absent_at_exactly_its_life, a_written_age_counts_to_the_step;
            time steps (Nothing):
                a_dead_record_reads_as_nothing, an_age_is_never_too_small,
                a_stale_record_is_still_read, a_life_of_zero_leaves_nothing, short_lives_end,
                long_lives_do_not_wrap, a_life_without_end_has_none, a_huge_age_does_not_wrap,
                the_clock_follows_time;
            time steps (Conditional):
                absent_is_met_by_the_dead, a_dead_version_is_refused,
                a_retimed_age_counts_from_the_retime;
            keys steps (Nothing):
                odd_keys_round_trip, long_keys_round_trip,
                long_keys_with_a_common_beginning_stay_apart, similar_keys_stay_apart,
                classes_and_namespaces_stay_apart, another_keys_record_is_a_codec_error,
                another_keys_record_is_overwritten;
            keys steps (Conditional):
                another_keys_record_counts_as_nothing;
            scan steps (Scan):
                a_scan_meets_every_kind, a_scan_of_nothing_ends,
                a_scan_skips_the_deleted_and_the_dead, a_scan_tells_full_keys,
                a_scan_never_meets_a_neighbour, a_scan_keeps_to_its_class,
                a_scan_meets_what_stays_while_others_come_and_go;
            scan steps (NoScan):
                a_scan_is_unsupported;
            batch steps (Nothing):
                read_answers_come_in_order, a_thousand_keys_in_one_call,
                an_empty_call_answers_with_nothing;
            batch steps (Conditional):
                writes_are_judged_one_by_one, deletes_are_judged_one_by_one,
                retimes_are_judged_one_by_one;
            lifecycle steps (Nothing):
                capabilities_are_constant, the_incarnation_stays, a_purge_spares_the_living,
                a_purge_keeps_to_its_limit, a_dropped_write_is_all_or_nothing,
                a_dropped_write_is_not_begun_later, a_dropped_read_leaves_no_answer_behind,
                a_closed_backend_says_so;
            race threads (Conditional):
                one_of_eight_first_writes_wins, one_of_eight_replacements_wins,
                one_of_eight_takes_a_dead_lease, one_of_eight_deletes_wins,
                a_delete_always_beats_the_result, a_delete_always_beats_a_retime;
            race threads (Nothing):
                a_reader_never_meets_half_a_record;
            model steps (Nothing):
                random_operations_agree_with_a_model;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_then {
    (tests [$module:ident ($env:expr)]
        $($topic:ident $form:ident ($need:ident): $($name:ident),+;)+
    ) => {
        mod $module {
            #[allow(unused_imports, reason = "the environment may need nothing")]
            use super::*;

            $($(
                #[test]
                fn $name() {
                    $crate::conformance::run(stringify!($name), $env);
                }
            )+)+
        }
    };
    (table []
        $($topic:ident $form:ident ($need:ident): $($name:ident),+;)+
    ) => {
        &[$($(
            Case {
                name: stringify!($name),
                need: Need::$need,
                run: |trial| $crate::__conformance_then!(run $form trial, $topic::$name),
            },
        )+)+]
    };
    (run steps $trial:ident, $case:path) => { $trial.wait($case($trial)) };
    (run threads $trial:ident, $case:path) => { $case($trial) };
}

const CASES: &[Case] = __conformance_cases! { table };
