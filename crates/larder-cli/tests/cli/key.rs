//! The parts of a run's key, and the secrets that no file shows.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Bench, is_anywhere, text};

#[test]
fn the_working_directory_counts_unless_any_will_do() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("other")).unwrap();
    let script = bench.counted("basename \"$PWD\"");
    let other = |options: &str| {
        let output = bench.run(options, &script).current_dir(bench.path("other")).output().unwrap();
        text(&output.stdout).to_owned()
    };
    let here = bench.run("", &script).output().unwrap();
    assert_ne!(other(""), text(&here.stdout));
    assert_eq!(bench.runs(), 2);
    let here = bench.run("--any-cwd", &script).output().unwrap();
    assert_eq!(other("--any-cwd"), text(&here.stdout));
    assert_eq!(bench.runs(), 3);
}

#[test]
fn named_variables_count_by_value_and_are_nowhere_in_clear() {
    let bench = Bench::new();
    let secret = "s3cret-0123456789abcdef";
    let script = bench.counted("printf '%s' \"${TOKEN-unset}\" | wc -c");
    let run = |value: Option<&str>| {
        let mut command = bench.run("--env TOKEN", &script);
        match value {
            Some(value) => command.env("TOKEN", value),
            None => command.env_remove("TOKEN"),
        };
        text(&command.output().unwrap().stdout).trim().to_owned()
    };
    for _ in 0..2 {
        assert_eq!(
            (run(None), run(Some("")), run(Some(secret))),
            ("5".into(), "0".into(), "23".into())
        );
    }
    assert_eq!(bench.runs(), 3);
    assert!(!is_anywhere(&bench.store(), secret.as_bytes()));
    assert!(!is_anywhere(&bench.store(), b"TOKEN"));
}

#[test]
fn stdin_is_the_commands_only_if_asked_and_then_counts() {
    let bench = Bench::new();
    let script = bench.counted("cat");
    let run = |options: &str, input: &str| {
        let mut command = bench.run(options, &script);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        text(&child.wait_with_output().unwrap().stdout).to_owned()
    };
    for _ in 0..2 {
        assert_eq!((run("--stdin", "a"), run("--stdin", "b")), ("a".into(), "b".into()));
        assert_eq!(run("", "c"), "");
    }
    assert_eq!(bench.runs(), 3);
    let long = "0123456789".repeat(100_000);
    assert_eq!(run("--stdin", &long), long);
}

#[test]
fn a_command_need_not_read_its_stdin() {
    let bench = Bench::new();
    let mut command = bench.run("--stdin", "echo done");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&vec![b'x'; 1 << 20]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "done\n"));
}

#[test]
fn a_given_key_replaces_all_that() {
    let bench = Bench::new();
    for script in ["echo a", "echo b"] {
        let output = bench.run("--key k", script).output().unwrap();
        assert_eq!(text(&output.stdout), "a\n");
    }
    assert_eq!(text(&bench.say("keys --namespace run").stdout), "k\n");
    assert!(bench.say("delete k --namespace run").status.success());
    let output = bench.run("--key k", "echo b").output().unwrap();
    assert_eq!(text(&output.stdout), "b\n");
}

#[test]
fn a_tag_invalidates_answers() {
    let bench = Bench::new();
    let script = bench.counted("echo a");
    for runs in 1..=2 {
        assert!(bench.run("--tag shop", &script).output().unwrap().status.success());
        assert!(bench.run("--tag shop", &script).output().unwrap().status.success());
        assert_eq!(bench.runs(), runs);
        assert!(bench.say("tag invalidate shop --namespace run").status.success());
    }
}

#[test]
fn an_answer_past_its_ttl_is_made_anew() {
    let bench = Bench::new();
    let script = bench.counted("echo a");
    for runs in 1..=2 {
        assert!(bench.run("--ttl 300ms", &script).output().unwrap().status.success());
        assert_eq!(bench.runs(), runs);
        crate::support::pause(std::time::Duration::from_millis(400));
    }
}
