//! Support for the tests of this workspace: temporary folders, caches over each kind of store, a
//! snapshot sink in memory, and child processes.
//!
//! The crates that this one depends on have it as a dev-dependency. Their integration tests can use
//! it. Their unit tests cannot: cargo builds the crate once more for them, and types of the two
//! builds differ.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "what helps a test panics like the test"
)]

mod child;
mod folder;
mod prompt;
mod refused;
mod rig;
mod sink;
mod time;
mod told;

pub use self::child::{Child, play_roles, tell};
pub use self::folder::Folder;
pub use self::refused::Refused;
pub use self::rig::{Rig, entry, on, on_all, on_shared};
pub use self::sink::{Kept, MemorySink};
pub use self::time::{Watch, in_time, pause, secs, settle};
pub use self::told::Told;

/// The READMEs of the published crates: each of their snippets is a test.
///
/// The module is in this crate, which may depend on all of them; between the published crates such
/// dependencies would be cycles.
#[cfg(doctest)]
mod readmes {
    #[doc = include_str!("../../larder/README.md")]
    mod larder {}
    #[doc = include_str!("../../larder-cli/README.md")]
    mod larder_cli {}
    #[doc = include_str!("../../larder-core/README.md")]
    mod larder_core {}
    #[doc = include_str!("../../larder-disk/README.md")]
    mod larder_disk {}
    #[doc = include_str!("../../larder-macros/README.md")]
    mod larder_macros {}
    #[doc = include_str!("../../larder-testkit/README.md")]
    mod larder_testkit {}
    #[doc = include_str!("../../larder-trace/README.md")]
    mod larder_trace {}
}
