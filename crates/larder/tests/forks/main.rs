//! What forked processes share with their parent, and with each other: a store, and nothing drawn.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

use larder::{Cache, Reach};
use larder_disk::{DiskBackend, DiskConfig};

use crate::folder::Folder;

#[path = "../support/folder.rs"]
mod folder;

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
            println!("{MARK}{left:?}");
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

/// Runs this in a child, and waits for its end: with the library that makes a fork of `getppid`.
fn fork(run: impl FnOnce()) {
    if parent_id() == 0 {
        run();
        exit(0);
    }
}

/// The library that forks, compiled for this run.
fn compile(folder: &Folder) -> PathBuf {
    std::fs::create_dir_all(folder.path()).unwrap();
    let library = folder.path().join("fork.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forks/fork.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]);
    assert!(compiler.status().unwrap().success());
    library
}

/// Both workers drew one epoch: the second's `invalidate_all` was confirmed and changed nothing.
#[test]
fn what_a_forked_worker_invalidates_is_gone() {
    if let Some(folder) = std::env::var_os(SERVES) {
        return serve(Path::new(&folder));
    }
    let (tools, folder) = (Folder::new(), Folder::new());
    let mut server = Command::new(std::env::current_exe().unwrap());
    server.args(["what_a_forked_worker_invalidates_is_gone", "--exact", "--nocapture"]);
    server.env(SERVES, folder.path().join("store")).env("LD_PRELOAD", compile(&tools));
    let told = String::from_utf8(server.output().unwrap().stdout).unwrap();
    assert!(told.contains(&format!("{MARK}None")), "{told}");
}

const SERVES: &str = "LARDER_TEST_SERVES";
const MARK: &str = "left: ";
