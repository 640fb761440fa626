//! Forked processes share a store with their parent, and with each other, but no random numbers.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

use larder::{Cache, FileSink, Reach, Snapshot};
use larder_disk::{DiskBackend, DiskConfig};
use larder_test_support::Folder;

/// A server that opens its cache, closes it, and forks two workers one after the other.
fn serve(folder: &Path) {
    with_cache(folder, async |cache| {
        cache.insert("warm".to_owned(), 0).await.unwrap();
    });
    fork(|| {
        with_cache(folder, async |cache| {
            cache.invalidate_all().await.unwrap();
            cache.insert("price".to_owned(), 100).await.unwrap();
        });
    });
    fork(|| {
        with_cache(folder, async |cache| {
            assert_eq!(cache.get("price").await.unwrap(), Some(100));
            assert_eq!(cache.invalidate_all().await.unwrap(), Reach::Confirmed);
            let left = cache.get("price").await.unwrap();
            tell(format_args!("{left:?}"));
        });
    });
}

fn with_cache(folder: &Path, run: impl AsyncFnOnce(Cache<String, u32>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let backend = DiskBackend::open(DiskConfig::new(folder)).unwrap();
        let cache = Cache::builder().backend(backend).build().unwrap();
        run(cache.clone()).await;
        cache.close().await.unwrap();
    });
}

/// Runs a function in a child, and waits for its end: with the library that makes a fork of
/// `getppid`.
fn fork(run: impl FnOnce()) {
    if parent_id() == 0 {
        run();
        exit(0);
    }
}

/// Sends a line to the test.
fn tell(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{what}").unwrap();
    out.flush().unwrap();
}

/// Compiles the library that forks, for this run.
fn compile(folder: &Folder) -> PathBuf {
    std::fs::create_dir_all(folder.path()).unwrap();
    let library = folder.path().join("fork.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forks/fork.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]);
    assert!(compiler.status().unwrap().success());
    library
}

/// A server whose worker goes on with the cache that it has inherited.
fn hand_on(folder: &Path) {
    let sink = FileSink::new(folder.join("a.snapshot")).durable();
    let cache = Cache::<u64, u64>::builder().snapshot(Snapshot::new(sink)).build().unwrap();
    let cache = cache.blocking();
    cache.save().unwrap();
    cache.insert(1, 1).unwrap();
    fork(|| {
        let reach = cache.insert(2, 2).unwrap();
        tell(format_args!("{reach:?}, {}", cache.save().unwrap()));
    });
}

/// Returns the line that a server sends: this test's own program, as `serve` runs it.
fn told(test: &str, serve: fn(&Path)) -> Option<String> {
    if let Some(folder) = std::env::var_os(SERVES) {
        serve(Path::new(&folder));
        return None;
    }
    let (tools, folder) = (Folder::new(), Folder::new());
    let mut server = Command::new(std::env::current_exe().unwrap());
    server.args([test, "--exact", "--nocapture"]);
    server.env(SERVES, folder.path().join("store")).env("LD_PRELOAD", compile(&tools));
    let told = String::from_utf8(server.output().unwrap().stdout).unwrap();
    let line = told.lines().find_map(|line| line.split_once(MARK));
    Some(line.unwrap_or_else(|| panic!("{told}")).1.to_owned())
}

/// Broken once: both workers drew one epoch, so the second's `invalidate_all` was confirmed and
/// changed nothing.
#[test]
fn what_a_forked_worker_invalidates_is_gone() {
    let told = told("what_a_forked_worker_invalidates_is_gone", serve);
    assert!(told.is_none_or(|told| told == "None"));
}

#[test]
fn the_notes_of_a_forked_worker_are_written() {
    let told = told("the_notes_of_a_forked_worker_are_written", hand_on);
    assert!(told.is_none_or(|told| told == "Confirmed, 2"));
}

const SERVES: &str = "LARDER_TEST_SERVES";
const MARK: &str = "left: ";
