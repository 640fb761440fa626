//! Many processes that want one answer: one runs, the others wait, also if the one is killed.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Bench, Running, no, now, ok, pause, text, until};

#[test]
fn eight_shells_at_once_are_one_run_and_eight_equal_answers() {
    let bench = Bench::new();
    let script = bench.counted("date +%s%N; sleep 2");
    let shells: Vec<_> = (0..8).map(|_| Running::start(&mut bench.run("", &script))).collect();
    let outputs: Vec<_> = shells.into_iter().map(Running::wait).collect();
    assert_eq!(bench.runs(), 1);
    assert!(text(&outputs[0].stdout).len() > 10);
    assert!(outputs.iter().all(|output| *output == outputs[0]), "{outputs:?}");
}

#[test]
fn others_do_not_wait_for_a_failure_to_be_kept() {
    let bench = Bench::new();
    let script = bench.counted("sleep 0.2; exit 3");
    let shells: Vec<_> = (0..3).map(|_| Running::start(&mut bench.run("", &script))).collect();
    for shell in shells {
        let ended = shell.wait();
        // A shared failure is no problem of the store.
        assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(3), ""));
    }
    assert_eq!(bench.runs(), 3);
}

#[test]
fn a_run_of_longer_than_a_lease_is_still_one_run() {
    let bench = Bench::new();
    let script = bench.counted("sleep 3; echo done");
    let shells: Vec<_> =
        (0..3).map(|_| Running::start(&mut bench.run("--lease 1s", &script))).collect();
    for shell in shells {
        assert_eq!(text(&shell.wait().stdout), "done\n");
    }
    assert_eq!(bench.runs(), 1);
}

#[test]
fn f23_a_killed_runner_is_replaced_when_its_lease_is_over() {
    let bench = Bench::new();
    // The first run takes long, the second does not.
    let script = bench.counted("mkdir first 2>/dev/null && sleep 5; echo done");
    let first = Running::start(&mut bench.run("--lease 2s", &script));
    until("the first runs", || bench.runs() == 1);
    let second = Running::start(&mut bench.run("--lease 2s", &script));
    pause(Duration::from_millis(200));
    first.signal(Signal::KILL);
    let killed = now();
    let output = second.wait();
    let waited = killed.elapsed();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "done\n"));
    assert_eq!(bench.runs(), 2);
    assert!(waited < Duration::from_millis(2_500) + SLACK, "{waited:?}");
}

#[test]
fn f22_a_stopped_runner_is_replaced_and_refused_and_still_answers() {
    let bench = Bench::new();
    let script =
        bench.counted("if mkdir first 2>/dev/null; then sleep 1; echo old; else echo new; fi");
    let first = Running::start(&mut bench.run("--lease 2s", &script));
    until("the first runs", || bench.runs() == 1);
    first.signal(Signal::STOP);
    let stopped = now();
    let second = bench.run("--lease 2s", &script).output().unwrap();
    let waited = stopped.elapsed();
    assert_eq!(text(&second.stdout), "new\n");
    assert!(waited < Duration::from_millis(2_500) + SLACK, "{waited:?}");
    pause(Duration::from_secs(1));
    first.signal(Signal::CONT);
    let woken = first.wait();
    assert_eq!((woken.status.code(), text(&woken.stdout)), (Some(0), "old\n"));
    assert_eq!(text(&woken.stderr), "");
    // The woken process's answer was refused.
    assert_eq!(text(&bench.run("", &script).output().unwrap().stdout), "new\n");
    assert_eq!(bench.runs(), 2);
}

#[test]
fn who_waits_for_another_longer_than_its_timeout_gives_up() {
    let bench = Bench::new();
    let first = Running::start(&mut bench.run("", &bench.counted("sleep 3; echo done")));
    until("the first runs", || bench.runs() == 1);
    let second = bench.run("--timeout 300ms", &bench.counted("sleep 3; echo done")).output();
    assert_eq!(second.unwrap().status.code(), Some(124));
    assert_eq!(text(&first.wait().stdout), "done\n");
    assert_eq!(bench.runs(), 1);
}

/// The time that a busy machine may add to the start of a process.
const SLACK: Duration = Duration::from_millis(1_500);

#[test]
fn no_addition_is_lost_among_processes() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let incr = bench.say("incr visits 3");
                    assert_eq!(incr.status.code(), Some(0), "{incr:?}");
                }
            });
        }
    });
    assert_eq!(bench.tell("get visits"), ok("300"));
}

/// Regression: after a program had invalidated everything, the command still saw its counter.
#[test]
fn a_counter_goes_with_everything_for_programs_and_for_the_command() {
    let bench = Bench::new();
    assert_eq!(bench.tell("incr visits 5"), ok("5\n"));
    assert_eq!(bench.tell("clear"), ok("1\n"));
    assert_eq!((bench.tell("get visits"), bench.tell("ttl visits")), (no(), no()));
    assert_eq!(bench.tell("incr visits"), ok("1\n"));
}
