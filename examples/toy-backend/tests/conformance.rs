//! The conformance suite over files, with a clock that the suite moves.

use std::time::Duration;

use larder_testkit::conformance::ManualEnv;

mod support;

use support::Folder;

fn cabinet() -> ManualEnv {
    let folder = Folder::new();
    // The layout counts in microseconds.
    ManualEnv::new(move |clock| folder.cabinet(clock)).with_resolution(Duration::from_micros(1))
}

larder_testkit::conformance!(cabinet_conformance, cabinet());
