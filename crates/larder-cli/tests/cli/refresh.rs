//! The refresh: the old answer is replayed at once, and a new one is made behind it.

use std::time::Duration;

use larder::backend::{Backend as _, Class, Namespace};
use larder_disk::{DiskBackend, DiskConfig};

use crate::support::{Bench, Running, pause, text, until};

#[test]
fn inside_grace_the_old_answer_comes_at_once_while_the_refresh_is_slow() {
    let bench = Bench::new();
    let wait = "while [ ! -e go ]; do sleep 0.05; done";
    let script = bench.counted(&format!("cat value; if [ -e slow ]; then {wait}; fi"));
    std::fs::write(bench.path("value"), "one").unwrap();
    let options = "--ttl 200ms --grace 1h";
    assert_eq!(text(&bench.run(options, &script).output().unwrap().stdout), "one");
    std::fs::write(bench.path("value"), "two").unwrap();
    std::fs::write(bench.path("slow"), "").unwrap();
    pause(Duration::from_millis(300));

    // The call is like `$(larder run …)`: each is over when nobody holds its pipe any more, and the
    // refresh does not end before all are.
    for _ in 0..4 {
        assert_eq!(text(&bench.run(options, &script).output().unwrap().stdout), "one");
    }
    until("the refresh begins", || bench.runs() == 2);
    std::fs::write(bench.path("go"), "").unwrap();
    until("the new answer is there", || {
        bench.run(options, &script).output().unwrap().stdout == b"two"
    });
    // Four runs asked, and one refreshed. The last one may be due again by now.
    assert!(bench.runs() <= 3, "{}", bench.runs());
}

#[test]
fn the_refresh_outlives_the_shell_that_asked() {
    let bench = Bench::new();
    let script = bench.counted("cat value; sleep 1");
    std::fs::write(bench.path("value"), "one").unwrap();
    let options = "--ttl 100ms --grace 1h";
    assert!(bench.run(options, &script).output().unwrap().status.success());
    pause(Duration::from_millis(200));
    std::fs::write(bench.path("value"), "two").unwrap();
    // The whole group is ended, as if its terminal were closed.
    let mut command = bench.run(options, &script);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut shell = Running::start(&mut command);
    until("the shell has its answer", || shell.has_ended());
    drop(shell);
    until("the new answer is there", || {
        let run = bench.run("--ttl 1h --grace 1h", &script).output().unwrap();
        run.stdout == b"two"
    });
}

#[test]
fn a_failing_refresh_keeps_the_success_and_says_so() {
    let bench = Bench::new();
    let script = bench.counted("[ ! -e broken ] && echo good || exit 7");
    let options = "--ttl 100ms --grace 1h -v";
    assert!(bench.run(options, &script).output().unwrap().status.success());
    std::fs::write(bench.path("broken"), "").unwrap();
    pause(Duration::from_millis(200));
    let stale = bench.run(options, &script).output().unwrap();
    assert_eq!((stale.status.code(), text(&stale.stdout)), (Some(0), "good\n"));
    until("the failure is told", || {
        let again = bench.run(options, &script).output().unwrap();
        assert_eq!((again.status.code(), text(&again.stdout)), (Some(0), "good\n"));
        text(&again.stderr).contains("failed with status 7")
    });
    // The refresh is not tried again at once.
    let runs = bench.runs();
    assert!(bench.run(options, &script).output().unwrap().status.success());
    pause(Duration::from_millis(300));
    assert_eq!(bench.runs(), runs);
}

#[test]
fn the_longest_namespace_has_answers_and_failing_refreshes() {
    let bench = Bench::new();
    let script = bench.counted("[ ! -e broken ] && echo good || exit 7");
    let options = format!("--namespace {} --ttl 100ms --grace 1h -v", "n".repeat(128));
    let first = bench.run(&options, &script).output().unwrap();
    assert_eq!(text(&first.stderr), "larder: kept for 100ms\n");
    std::fs::write(bench.path("broken"), "").unwrap();
    pause(Duration::from_millis(200));
    until("the failure is told", || {
        let again = bench.run(&options, &script).output().unwrap();
        assert_eq!((again.status.code(), text(&again.stdout)), (Some(0), "good\n"));
        text(&again.stderr).contains("failed with status 7")
    });
}

#[test]
fn refreshes_that_come_late_leave_no_failure() {
    let bench = Bench::new();
    let script = bench.counted("true");
    let refresh = || {
        let mut command = bench.larder(["__refresh", "--key", "a", "--ttl", "200ms"]);
        command.args(["--grace", "1h", "--", "sh", "-c", &script]);
        command
    };
    assert!(bench.run("--key a --ttl 200ms --grace 1h", &script).status().unwrap().success());
    let backend = DiskBackend::open(DiskConfig::new(bench.store())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let beside = Namespace::new("run").unwrap().class_prefix(Class::Refresh);
    for round in 1..4 {
        pause(Duration::from_millis(300));
        let refreshes: Vec<_> = (0..6).map(|_| Running::start(&mut refresh())).collect();
        for refresh in refreshes {
            assert!(refresh.wait().status.success());
        }
        let left = runtime.block_on(backend.scan(&beside, None, 10)).unwrap();
        assert!(left.records.is_empty(), "a failure is left: {left:?}");
        assert!(bench.runs() > round, "{}", bench.runs());
    }
}

#[test]
fn an_answer_of_age_is_served_and_refreshed() {
    let bench = Bench::new();
    let script = bench.counted("wc -c < runs");
    let options = "--ttl 1h --refresh-after 300ms";
    assert_eq!(text(&bench.run(options, &script).output().unwrap().stdout).trim(), "1");
    pause(Duration::from_millis(400));
    assert_eq!(text(&bench.run(options, &script).output().unwrap().stdout).trim(), "1");
    until("the refresh has run", || bench.runs() == 2);
    until("its answer is there", || {
        text(&bench.run("--ttl 1h", &script).output().unwrap().stdout).trim() == "2"
    });
}

#[test]
fn a_refresh_reads_the_same_stdin_in_the_same_environment() {
    use std::io::Write as _;
    use std::process::Stdio;

    let bench = Bench::new();
    let script = bench.counted("cat; printf \"$WHO\"; cat value");
    std::fs::write(bench.path("value"), "one").unwrap();
    let run = || {
        let mut command = bench.run("--ttl 100ms --grace 1h --stdin --env WHO", &script);
        command.env("WHO", "me").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"in").unwrap();
        text(&child.wait_with_output().unwrap().stdout).to_owned()
    };
    assert_eq!(run(), "inmeone");
    std::fs::write(bench.path("value"), "two").unwrap();
    pause(Duration::from_millis(200));
    assert_eq!(run(), "inmeone");
    until("the new answer is there", || run() == "inmetwo");
}
