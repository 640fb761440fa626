//! A recorded trace is replayed through caches of several sizes.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Bench, is_anywhere, text};

/// Returns a trace of ten keys in a circle, a hundred times, and a secret one.
fn circle() -> String {
    let round: Vec<String> = (0..10).map(|key| format!("user:{key}\n")).collect();
    format!("{}s3cret\n", round.concat().repeat(100))
}

fn bench_with(content: &str) -> Bench {
    let bench = Bench::new();
    fs::write(bench.path("keys"), content).unwrap();
    bench
}

#[test]
fn each_size_has_its_hit_ratios() {
    let bench = bench_with(&circle());
    let rows = bench.json("replay keys --sizes 5,10%,10,1k");
    let entries: Vec<_> = rows.iter().map(|row| row["entries"].as_u64().unwrap()).collect();
    assert_eq!(entries, [5, 1, 10, 1_000]);
    for row in &rows {
        assert_eq!((row["accesses"].as_u64(), row["keys"].as_u64()), (Some(1_001), Some(11)));
        let [local, lru, optimum] =
            ["local", "lru", "optimum"].map(|name| row[name].as_f64().unwrap());
        assert!(lru <= optimum && local <= optimum, "{row}");
    }
    let ratio = |row: usize, name: &str| rows[row][name].as_f64().unwrap();
    // With one key more than the size, LRU misses every key.
    assert!(ratio(0, "lru").abs() < 1e-9 && ratio(0, "optimum") > 0.4);
    for name in ["local", "lru", "optimum"] {
        assert!((ratio(3, name) - 990.0 / 1_001.0).abs() < 1e-9, "{name}");
    }
}

#[test]
fn a_pipe_gets_tabs_and_two_digits() {
    let bench = bench_with(&circle());
    let (code, output) = bench.tell("replay keys --sizes 1k");
    assert_eq!(code, 0);
    let told = "entries\tof keys\tlocal tier\tLRU\toptimum\n1000\t9090.91\t98.90\t98.90\t98.90\n";
    assert_eq!(output, told);
    let output = bench.say("replay keys");
    assert_eq!(text(&output.stdout).lines().count(), 1 + 5);
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn stdin_is_a_trace_as_well_and_ids_are() {
    let bench = Bench::new();
    let ids: Vec<u8> = [7_u32, 9, 7, 7].iter().flat_map(|id| id.to_le_bytes()).collect();
    for content in [&ids[..], b"a\nb\na\na\n"] {
        let mut command = bench.larder(["replay", "-", "--sizes", "1,2", "--json"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        let output = child.wait_with_output().unwrap();
        let told: Vec<f64> = text(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|row| row["optimum"].as_f64().unwrap())
            .collect();
        assert_eq!(told, [0.5, 0.5]);
    }
}

#[test]
fn a_chart_takes_the_place_of_a_file_as_a_whole() {
    let bench = bench_with(&circle());
    fs::write(bench.path("hits.svg"), "old").unwrap();
    assert_eq!(bench.tell("replay keys --sizes 5,10 --plot hits.svg").0, 0);
    let chart = fs::read_to_string(bench.path("hits.svg")).unwrap();
    assert!(chart.starts_with("<svg") && chart.trim_end().ends_with("</svg>"));
    for name in ["Hit ratio on keys", "local tier", "LRU", "optimum"] {
        assert!(chart.contains(name), "{name}");
    }
    // If the chart cannot be written, the answer is printed, and no temporary file stays.
    fs::create_dir(bench.path("taken")).unwrap();
    let output = bench.say("replay keys --sizes 5 --plot taken");
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(3), 2));
    assert!(text(&output.stderr).starts_with("larder: taken: "));
    let names = fs::read_dir(bench.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["hits.svg", "keys", "taken"]);
}

#[test]
fn what_is_no_trace_and_what_is_no_size_is_said() {
    let bench = bench_with("");
    fs::write(bench.path("torn"), [0, 1, 2]).unwrap();
    for (words, message) in [
        ("keys", "keys: the trace is empty"),
        ("torn", "torn: the trace has 3 bytes, which is no whole number of 32-bit ids"),
        ("missing", "missing: the trace cannot be read: No such file or directory (os error 2)"),
        ("-", "stdin: the trace is empty"),
    ] {
        let output = bench.say(&format!("replay {words}"));
        assert_eq!(output.status.code(), Some(3), "{words}");
        assert_eq!(text(&output.stderr), format!("larder: {message}\n"));
    }
    for size in ["0", "0%", "101%", "-5", "many", "5,,6", "nan%"] {
        let output = bench.say(&format!("replay keys --sizes={size}"));
        assert_eq!(output.status.code(), Some(2), "{size}");
        assert!(text(&output.stderr).contains("--sizes"), "{size}");
    }
}

#[test]
fn no_store_is_opened_and_no_key_is_shown() {
    let bench = bench_with(&circle());
    for form in ["", "--json"] {
        let output = bench.say(&format!("replay keys --plot hits.svg {form}"));
        for stream in [&output.stdout, &output.stderr] {
            assert!(!text(stream).contains("s3cret") && !text(stream).contains("user:"));
        }
    }
    assert!(!bench.store().exists());
    fs::remove_file(bench.path("keys")).unwrap();
    assert!(!is_anywhere(&bench.path("."), b"s3cret"));
}

#[test]
fn a_format_is_believed_and_a_chart_destroys_nothing() {
    let bench = Bench::new();
    // The text is Latin-1 and a multiple of four bytes long, so it could be taken for ids.
    fs::write(bench.path("keys"), b"caf\xe9\nth\xe9\ncaf\xe9\nx\n").unwrap();
    assert_eq!(bench.json("replay keys --sizes 9")[0]["keys"], 4);
    assert_eq!(bench.json("replay keys --sizes 9 --format lines")[0]["keys"], 3);
    let before = fs::read(bench.path("keys")).unwrap();
    assert_eq!(bench.tell("replay keys --plot keys --format lines").0, 2);
    assert_eq!(fs::read(bench.path("keys")).unwrap(), before);
    std::os::unix::fs::symlink("chart", bench.path("link")).unwrap();
    fs::write(bench.path("chart"), "old").unwrap();
    assert_eq!(bench.tell("replay keys --plot link --format lines").0, 0);
    assert!(fs::read_to_string(bench.path("chart")).unwrap().starts_with("<svg"));
    assert!(fs::symlink_metadata(bench.path("link")).unwrap().is_symlink());
    assert_eq!(bench.tell("replay keys --plot /dev/null --format lines").0, 0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}
