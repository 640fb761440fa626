//! Programs that do not compile, with the messages that the macros give.
//!
//! Messages of the compiler itself are not kept: they change between its releases.

#[test]
fn what_cannot_be_cached_is_refused_where_it_stands() {
    trybuild::TestCases::new().compile_fail("tests/rejected/*.rs");
}
