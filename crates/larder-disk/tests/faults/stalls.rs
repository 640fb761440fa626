//! A disk that takes a second for each page that is read from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::Backend;
use larder_disk::{DiskBackend, DiskConfig};
use tokio::time::{sleep, timeout};

use crate::calls::Shim;
use crate::child::{Child, Watch, tell};
use crate::store::{Folder, Store, key};

/// Runs in a process whose reads stall while this file exists: one thread for all tasks.
pub(crate) fn wait(folder: &str, stall: &str) {
    let backend = DiskBackend::open(DiskConfig::new(folder).purge_every(None)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        // Quick reads are made on the thread of the tasks.
        for _ in 0..100 {
            assert!(backend.read_one(&key("key-0")).await.unwrap().is_some());
        }
        let longest = watch_tasks();
        sleep(Duration::from_millis(50)).await;
        std::fs::write(stall, "").unwrap();
        longest.store(0, Ordering::Relaxed);
        for number in 1..4 {
            let cold = key(&format!("key-{}", number * 900));
            let watch = Watch::start();
            let read = timeout(Duration::from_millis(200), backend.read_one(&cold)).await;
            tell(format!("{} {}", read.is_err(), watch.passed().as_millis()));
        }
        tell(longest.load(Ordering::Relaxed));
        std::fs::remove_file(stall).unwrap();
        for number in 1..4 {
            let cold = key(&format!("key-{}", number * 900));
            assert!(backend.read_one(&cold).await.unwrap().is_some());
        }
    });
}

/// The longest time, in milliseconds, for which this runtime's tasks stood still.
fn watch_tasks() -> Arc<AtomicU64> {
    let longest = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&longest);
    tokio::spawn(async move {
        loop {
            let watch = Watch::start();
            sleep(Duration::from_millis(5)).await;
            let passed = u64::try_from(watch.passed().as_millis()).unwrap();
            seen.fetch_max(passed, Ordering::Relaxed);
        }
    });
    longest
}

/// Regression: each read was made on the thread of its task. All its tasks stood still for as long
/// as the disk took, and no timeout could end that.
#[test]
fn on_a_disk_that_stalls_timeouts_hold_and_other_tasks_go_on() {
    let (folder, shim) = (Folder::new(), Shim::new());
    let store = Store::open(folder.config()).unwrap();
    for number in 0..3_000 {
        assert!(store.put(&format!("key-{number}"), 1, 3_000).is_done());
    }
    drop(store);
    let stall = shim.join("stall");
    let arguments = [folder.text(), stall.to_str().unwrap()];
    let child = Child::start_with("wait", &arguments, |command| {
        command.env("LD_PRELOAD", shim.join("shim.so"));
        command.env("SHIM_FOLDER", folder.text()).env("SHIM_STALL", &stall);
    });
    let told = child.succeed();
    let [reads @ .., longest] = &told[..] else { panic!("{told:?}") };
    for read in reads {
        let millis = read.strip_prefix("true ").expect("it ran out of its time");
        assert!(millis.parse::<u64>().unwrap() < 700, "{told:?}");
    }
    assert!(longest.parse::<u64>().unwrap() < 700, "{told:?}");
}
