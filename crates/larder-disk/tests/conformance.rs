//! The conformance suite over SQLite: with a clock that the suite moves, and with the host's own.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{AnyBackend, BoxFuture};
use larder_disk::{DiskBackend, Durability};
use larder_test_support::Folder;
use larder_testkit::conformance;
use larder_testkit::conformance::{Env, ManualEnv};

/// Returns stores whose time stands still until the clock is moved, and that free nothing unasked.
fn manual() -> ManualEnv {
    let folder = Folder::new();
    let open = move |clock| {
        let config = folder.config().clock(Arc::new(clock)).purge_every(None);
        DiskBackend::open(config).expect("a store in a fresh folder")
    };
    ManualEnv::new(open).with_resolution(Duration::from_micros(1))
}

/// A store of its own for each case, on the host's clock.
struct OnDisk {
    folder: Folder,
    durability: Durability,
}

impl Env for OnDisk {
    fn open(&self) -> BoxFuture<'_, AnyBackend> {
        Box::pin(async {
            let config = self.folder.config().durability(self.durability);
            AnyBackend::new(DiskBackend::open(config).expect("a store in a fresh folder"))
        })
    }
}

fn on_disk(durability: Durability) -> OnDisk {
    OnDisk { folder: Folder::new(), durability }
}

conformance!(with_a_manual_clock, manual());
conformance!(with_the_clock_of_the_host, on_disk(Durability::Relaxed));
conformance!(synced, on_disk(Durability::Synced));
