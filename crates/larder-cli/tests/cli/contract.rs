//! Rows of the contract of the systems that Larder replaces, by number, as far as there is a verb.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Bench, no, ok, pause};

#[test]
fn c0_9_without_a_record_there_is_nothing() {
    assert_eq!(Bench::new().tell("get a"), no());
}

#[test]
fn c0_10_past_its_ttl_it_is_a_miss() {
    let bench = Bench::new();
    assert_eq!(bench.tell("set a x --ttl 1s"), ok(""));
    assert_eq!(bench.tell("get a"), ok("x"));
    pause(Duration::from_millis(1_100));
    assert_eq!(bench.tell("get a"), no());
}

#[test]
fn c0_11_without_a_ttl_it_is_always_there() {
    let bench = Bench::new();
    assert_eq!(bench.tell("set a x"), ok(""));
    assert_eq!(bench.tell("ttl a"), ok("never\n"));
    assert_eq!(bench.tell("get a"), ok("x"));
}

#[test]
fn c0_14_age_and_remaining_life_can_be_read_back() {
    let bench = Bench::new();
    assert_eq!(bench.tell("set a x --ttl 1h"), ok(""));
    let told = bench.json("inspect a");
    let told = told.first().unwrap();
    assert!(told["age_seconds"].as_f64().unwrap() < 60.0, "{told}");
    assert!(told["fresh_seconds_left"].as_f64().unwrap() > 3_500.0, "{told}");
}

#[test]
fn c2_2_a_value_that_is_there_is_replaced() {
    let bench = Bench::new();
    assert_eq!(bench.tell("set a x"), ok(""));
    assert_eq!(bench.tell("set a y"), ok(""));
    assert_eq!(bench.tell("get a"), ok("y"));
}

#[test]
fn c2_3_a_delete_tells_whether_it_was_there() {
    let bench = Bench::new();
    assert_eq!(bench.tell("set a x"), ok(""));
    assert_eq!(bench.tell("delete a"), ok("1\n"));
    assert_eq!(bench.tell("delete a"), (1, "0\n".to_owned()));
}

#[test]
fn c2_5_clearing_by_glob_tells_how_many() {
    let bench = Bench::new();
    for key in ["user:1", "user:2", "item:1"] {
        assert_eq!(bench.tell(&format!("set {key} x")), ok(""));
    }
    assert_eq!(bench.tell("clear user:*"), ok("2\n"));
    assert_eq!(bench.tell("count"), ok("1\n"));
}

#[test]
fn c2_8_a_delete_of_many_tells_how_many() {
    let bench = Bench::new();
    for key in ["a", "b"] {
        assert_eq!(bench.tell(&format!("set {key} x")), ok(""));
    }
    assert_eq!(bench.tell("delete a b c"), ok("2\n"));
}

#[test]
fn c2_10_keys_are_counted_by_glob() {
    let bench = Bench::new();
    for key in ["user:1", "user:2", "item:1"] {
        assert_eq!(bench.tell(&format!("set {key} x")), ok(""));
    }
    assert_eq!(bench.tell("count user:?"), ok("2\n"));
}

#[test]
fn c2_12_a_counter_begins_at_nothing_and_takes_any_sign() {
    let bench = Bench::new();
    assert_eq!(bench.tell("incr n 5"), ok("5\n"));
    assert_eq!(bench.tell("incr n -7"), ok("-2\n"));
    assert_eq!(bench.tell("set a x"), ok(""));
    assert_eq!(bench.tell("incr a").0, 2);
    assert_eq!(bench.tell("get a"), ok("x"));
}

#[test]
fn c2_14_a_ttl_has_three_answers() {
    let bench = Bench::new();
    assert_eq!(bench.tell("ttl a"), no());
    assert_eq!(bench.tell("set a x"), ok(""));
    assert_eq!(bench.tell("ttl a"), ok("never\n"));
    assert_eq!(bench.tell("set a x --ttl 1h"), ok(""));
    assert!(bench.tell("ttl a").1.starts_with("59m 5"));
}

#[test]
fn c2_15_a_new_ttl_is_refused_where_nothing_is() {
    let bench = Bench::new();
    assert_eq!(bench.tell("ttl a 1h"), no());
    assert_eq!(bench.tell("set a x"), ok(""));
    assert_eq!(bench.tell("ttl a 1h"), ok(""));
}

#[test]
fn c4_9_an_empty_value_is_a_value() {
    let bench = Bench::new();
    let mut set = bench.larder(["set", "a", "-"]);
    let mut child = set.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(bench.tell("get a"), ok(""));
    assert_eq!(bench.tell("count"), ok("1\n"));
}
