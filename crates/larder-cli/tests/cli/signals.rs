//! Signals and timeouts: those that reach the command, and the end of larder itself.

use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt as _;

use crate::support::{Bench, Running, text, until};

/// Returns a script that prints the signal that it got.
fn listening(bench: &Bench, signal: &str) -> String {
    bench.counted(&format!(
        "trap 'echo {signal}; exit 9' {signal}; : > ready; while :; do sleep 0.05; done"
    ))
}

#[test]
fn signals_for_the_command_are_passed_on() {
    for (name, signal) in [
        ("TERM", Signal::TERM),
        ("HUP", Signal::HUP),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
    ] {
        let bench = Bench::new();
        let running = Running::start(&mut bench.run("", &listening(&bench, name)));
        until("it listens", || bench.path("ready").exists());
        running.signal(signal);
        let output = running.wait();
        assert_eq!(text(&output.stdout), format!("{name}\n"));
        assert_eq!(output.status.code(), Some(9), "{name}");
    }
}

#[test]
fn a_command_that_a_passed_signal_ends_is_told_so() {
    let bench = Bench::new();
    let running = Running::start(&mut bench.run("", ": > ready; exec sleep 20"));
    until("it runs", || bench.path("ready").exists());
    running.signal(Signal::TERM);
    assert_eq!(running.wait().status.code(), Some(143));
}

#[test]
fn an_interrupt_of_larder_alone_waits_for_the_command() {
    let bench = Bench::new();
    let script = ": > ready; while [ ! -e go ]; do sleep 0.05; done; echo whole";
    let running = Running::start(&mut bench.run("", script));
    until("it runs", || bench.path("ready").exists());
    running.signal(Signal::INT);
    running.signal(Signal::QUIT);
    std::fs::write(bench.path("go"), "").unwrap();
    let output = running.wait();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "whole\n"));
}

#[test]
fn an_ignored_signal_stays_ignored() {
    let bench = Bench::new();
    let script = ": > ready; while [ ! -e go ]; do sleep 0.05; done; echo whole";
    let larder = env!("CARGO_BIN_EXE_larder");
    let url = format!("file:{}", bench.store().display());
    let mut shell = std::process::Command::new("sh");
    // The shell ignores HUP, as under `nohup`.
    shell.args([
        "-c",
        "trap '' HUP; exec \"$0\" run --url \"$1\" -- sh -c \"$2\"",
        larder,
        &url,
        script,
    ]);
    let running = Running::start(shell.current_dir(bench.path(".")));
    until("it runs", || bench.path("ready").exists());
    running.signal(Signal::HUP);
    std::fs::write(bench.path("go"), "").unwrap();
    let output = running.wait();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "whole\n"));
}

#[test]
fn a_timeout_ends_the_command_and_keeps_nothing() {
    let bench = Bench::new();
    let script = bench.counted("echo part; exec sleep 20");
    for runs in 1..=2 {
        let output = bench.run("--timeout 300ms --keep-failures", &script).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(124), "part\n"));
        assert_eq!(bench.runs(), runs);
    }
}

#[test]
fn a_command_that_ignores_its_timeout_is_killed() {
    let bench = Bench::new();
    let output = bench
        .run(
            "--timeout 200ms",
            "trap '' TERM; i=0; while [ $i -lt 400 ]; do sleep 0.05; i=$((i+1)); done",
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(124));
}

#[test]
fn an_interrupt_that_ends_the_command_ends_larder_in_the_same_way() {
    let bench = Bench::new();
    let status = bench.run("", "kill -INT $$").status().unwrap();
    assert_eq!(status.signal(), Some(2), "a loop around it would go on: {status}");
}

#[test]
fn arguments_that_make_no_sense_are_no_reason_to_go_without_a_cache() {
    let bench = Bench::new();
    for options in ["--tag=", "--env=A=B", "--env="] {
        assert_eq!(bench.run(options, "echo x").status().unwrap().code(), Some(125), "{options}");
    }
}
