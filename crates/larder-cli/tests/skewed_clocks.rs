//! Processes whose wall clocks differ by hours agree on how long an entry lives.

#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "the clocks of real processes are what is tested")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use larder_test_support::Folder;

/// A library that moves the wall clock of the process that loads it by `SKEW_SECONDS`.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long skew(void) {
    const char *seconds = getenv("SKEW_SECONDS");
    return seconds ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += skew();
    return answer;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int answer = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return answer;
}

time_t time(time_t *out) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (out) *out = exact.tv_sec;
    return exact.tv_sec;
}
"#;

#[test]
fn f13_clocks_hours_apart_neither_lengthen_nor_shorten_a_life() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path()).expect("it is made");
    let shim = shim(folder.path());
    let url = format!("file:{}", folder.path().join("store").display());
    let larder = |skew: i64, arguments: &[&str]| {
        let mut command = skewed(&shim, skew, env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).args(["--url", &url]).output().expect("it runs")
    };
    assert_eq!(hours_between_clocks(&shim), 4, "the clocks are not skewed");

    for writer in [2 * HOUR, -2 * HOUR, 0] {
        let written = Instant::now();
        assert!(larder(writer, &["set", "key", "soup", "--ttl", "3s"]).status.success());
        // The life of the entry began during the command.
        let stored = Instant::now();
        for reader in SKEWS {
            let early = larder(reader, &["get", "key"]);
            let age = written.elapsed();
            assert!(age >= LIFE || text(&early).trim() == "soup", "dropped after {age:?}");
        }
        let left = (LIFE + Duration::from_millis(100)).saturating_sub(stored.elapsed());
        std::thread::sleep(left);
        for reader in SKEWS {
            let late = larder(reader, &["get", "key"]);
            assert_eq!(late.status.code(), Some(1), "served after {:?}", stored.elapsed());
        }
    }
}

fn hours_between_clocks(shim: &Path) -> i64 {
    let date = |skew| {
        let output = skewed(shim, skew, "date").arg("+%s").output().expect("it runs");
        text(&output).trim().parse::<i64>().expect("a number")
    };
    (date(2 * HOUR) - date(-2 * HOUR) + 60) / HOUR
}

fn skewed(shim: &Path, seconds: i64, program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", shim).env("SKEW_SECONDS", seconds.to_string());
    command
}

fn shim(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("skew.c"), folder.join("skew.so"));
    std::fs::write(&source, SHIM).expect("it is written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compiler.status().expect("a C compiler, which SQLite needs, too").success());
    library
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const HOUR: i64 = 3_600;
const SKEWS: [i64; 3] = [0, 2 * HOUR, -2 * HOUR];
const LIFE: Duration = Duration::from_secs(3);
