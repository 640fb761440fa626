//! The replay of an answer: it has the bytes, streams, order and status of the run.

use std::process::Stdio;

use crate::support::{Bench, text};

#[test]
fn a_replay_has_each_stream_byte_for_byte_and_the_status() {
    let bench = Bench::new();
    let script = bench.counted("printf 'a\\000\\377b'; printf 'e\\r\\n' >&2; printf c");
    let first = bench.run("", &script).output().unwrap();
    assert_eq!((&first.stdout[..], &first.stderr[..]), (&b"a\0\xffbc"[..], &b"e\r\n"[..]));
    let second = bench.run("", &script).output().unwrap();
    assert_eq!(first, second);
    assert_eq!(bench.runs(), 1);
}

#[test]
fn an_empty_answer_is_an_answer() {
    let bench = Bench::new();
    let script = bench.counted(":");
    for _ in 0..2 {
        let output = bench.run("", &script).output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
    }
    assert_eq!(bench.runs(), 1);
}

#[test]
fn a_failure_is_passed_on_and_kept_only_if_asked() {
    let bench = Bench::new();
    let script = bench.counted("echo no; exit 3");
    for runs in 1..=2 {
        let output = bench.run("", &script).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(3), "no\n"));
        assert_eq!(bench.runs(), runs);
    }
    for _ in 0..2 {
        let output = bench.run("--keep-failures", &script).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(3), "no\n"));
    }
    assert_eq!(bench.runs(), 3);
}

#[test]
fn a_death_by_signal_is_told_and_never_kept() {
    let bench = Bench::new();
    let script = bench.counted("echo part; kill -KILL $$");
    for runs in 1..=2 {
        let output = bench.run("--keep-failures", &script).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(137), "part\n"));
        assert_eq!(bench.runs(), runs);
    }
}

#[test]
fn merged_streams_keep_their_exact_order() {
    let bench = Bench::new();
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done";
    let expected: Vec<_> = (1..=9).flat_map(|i| [format!("o{i}"), format!("e{i}")]).collect();
    for _ in 0..2 {
        let output = bench.run("--merge", script).output().unwrap();
        assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), expected);
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn separate_streams_are_replayed_in_order_of_arrival() {
    let bench = Bench::new();
    let script = "echo 1; sleep 0.1; echo 2 >&2; sleep 0.1; echo 3; sleep 0.1; echo 4 >&2";
    let both = |file: &str| {
        let out = std::fs::File::create(bench.path(file)).unwrap();
        let err = out.try_clone().unwrap();
        assert!(bench.run("", script).stdout(out).stderr(err).status().unwrap().success());
        std::fs::read_to_string(bench.path(file)).unwrap()
    };
    assert_eq!((both("run"), both("replay")), ("1\n2\n3\n4\n".into(), "1\n2\n3\n4\n".into()));
}

#[test]
fn sixty_four_mebibytes_are_kept_and_one_byte_more_passes_through() {
    let bench = Bench::new();
    let size = 64 << 20;
    let exact = bench.counted(&format!("head -c {size} /dev/zero | tr '\\0' x"));
    for _ in 0..2 {
        let output = bench.run("", &exact).output().unwrap();
        assert_eq!(output.stdout.len(), size);
        assert!(output.stdout.iter().all(|&byte| byte == b'x'));
        assert_eq!(text(&output.stderr), "");
    }
    assert_eq!(bench.runs(), 1);
    let over = bench.counted(&format!("head -c {} /dev/zero", size + 1));
    for runs in 2..=3 {
        let output = bench.run("", &over).output().unwrap();
        assert_eq!((output.stdout.len(), output.status.code()), (size + 1, Some(0)));
        assert_eq!(text(&output.stderr).matches("not kept").count(), 1);
        assert_eq!(bench.runs(), runs);
    }
}

#[test]
fn a_grandchild_that_holds_the_pipe_is_not_waited_for() {
    let bench = Bench::new();
    let script = bench.counted("echo mine; (sleep 20; echo late) & echo $! > pid");
    let begun = crate::support::now();
    let output = bench.run("", &script).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "mine\n"));
    assert!(begun.elapsed().as_secs() < 10);
    assert_eq!(bench.run("", &script).output().unwrap(), output);
    assert_eq!(bench.runs(), 1);
    let pid = std::fs::read_to_string(bench.path("pid")).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn what_cannot_be_run_ends_as_env_does() {
    let bench = Bench::new();
    let code = |words: &str| bench.say(words).status.code();
    assert_eq!(code("run -- ./not-there"), Some(127));
    std::fs::write(bench.path("plain"), "").unwrap();
    assert_eq!(code("run -- ./plain"), Some(126));
    assert_eq!(code("run --no-such-option -- true"), Some(125));
    assert_eq!(code("run"), Some(125));
    assert_eq!(code("run -- true --no-such-option"), Some(0));
}

#[test]
fn without_a_store_the_command_runs_with_one_warning() {
    let bench = Bench::new();
    std::fs::write(bench.path("store"), "a file where the folder should be").unwrap();
    let script = bench.counted("echo out; exit 3");
    for runs in 1..=2 {
        let output = bench.run("--keep-failures", &script).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(3), "out\n"));
        let warnings = text(&output.stderr);
        assert_eq!(warnings.lines().count(), 1, "{warnings}");
        assert!(warnings.starts_with("larder: without a cache"), "{warnings}");
        assert_eq!(bench.runs(), runs);
    }
}

#[test]
fn a_store_without_room_is_one_warning() {
    let bench = Bench::new();
    let small = format!("file:{}?max-bytes=256KiB", bench.store().display());
    let script = "head -c 200000 /dev/zero";
    let output = bench.larder(["run", "--url", &small, "--", "sh", "-c", script]).output().unwrap();
    assert_eq!((output.stdout.len(), output.status.code()), (200_000, Some(0)));
    assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
}

#[test]
fn a_closed_stdout_ends_the_command_as_a_shell_would() {
    let bench = Bench::new();
    let script = "while echo yes; do :; done";
    let mut running = bench.run("", script);
    let mut child = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert!(!text(&output.stderr).contains("panicked"));
}

#[test]
fn a_closed_stdout_ends_a_replay() {
    let bench = Bench::new();
    let script = "head -c 1000000 /dev/zero";
    assert!(bench.run("", script).output().unwrap().status.success());
    let mut running = bench.run("", script);
    let mut child = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), ""));
}

#[test]
fn the_output_is_seen_while_the_command_runs() {
    use std::io::Read as _;

    let bench = Bench::new();
    let script = "echo first; while [ ! -e go ]; do sleep 0.05; done; echo last";
    let mut running = bench.run("", script);
    let mut child = running.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 6];
    stdout.read_exact(&mut first).unwrap();
    std::fs::write(bench.path("go"), "").unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((&first, rest.as_str()), (b"first\n", "last\n"));
    assert!(child.wait().unwrap().success());
}

/// Regression: output that a device refused was reported as a success, or as a closed pipe if long.
#[test]
fn output_that_cannot_be_written_is_a_failure_of_larder_and_no_closed_pipe() {
    for script in ["echo hi", "seq 200000; echo end >&2"] {
        let bench = Bench::new();
        let script = bench.counted(script);
        for _ in 0..2 {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let output = bench.run("", &script).stdout(full).output().unwrap();
            assert_eq!(output.status.code(), Some(125), "{}", text(&output.stderr));
            assert!(text(&output.stderr).contains("stdout: No space left"));
        }
        assert_eq!(bench.runs(), 1, "the command itself came to its end");
        assert_eq!(bench.run("", &script).output().unwrap().status.code(), Some(0));
    }
}

#[test]
fn a_closed_pipe_is_told_as_one() {
    let bench = Bench::new();
    let mut running = bench.run("", "yes").stdout(Stdio::piped()).spawn().unwrap();
    drop(running.stdout.take());
    assert_eq!(running.wait().unwrap().code(), Some(141));
}
