//! The oldest SQLite driver that `larder-disk` accepts: the lock file has the newest.
//!
//! An application with another crate that brings SQLite (sqlx's, say) resolves to an older driver,
//! because one build holds one SQLite.

use std::fs;

use crate::step::{Failure, Result, root, run as run_program};

const OLDEST: &str = "0.37.0";

pub(crate) fn check() -> Result {
    let folder = root().join("target/oldest-driver");
    let manifest = format!(
        "[package]\nname = \"oldest-driver\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [workspace]\n\n[dependencies]\nlarder-disk = {{ path = \"../../crates/larder-disk\" }}\n\
         rusqlite = \"={OLDEST}\"\n"
    );
    let failed = |error: std::io::Error| Failure::new(1, format!("target/oldest-driver: {error}"));
    fs::create_dir_all(folder.join("src")).map_err(failed)?;
    fs::write(folder.join("Cargo.toml"), manifest).map_err(failed)?;
    fs::write(folder.join("src/lib.rs"), "pub use larder_disk;\n").map_err(failed)?;
    let manifest = folder.join("Cargo.toml");
    let target = root().join("target/oldest-driver/target");
    let paths = [manifest.to_string_lossy(), target.to_string_lossy()];
    run_program("cargo", &["check", "--manifest-path", &paths[0], "--target-dir", &paths[1]])
}
