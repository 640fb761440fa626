//! `cargo xtask check`.

use crate::step::{Result, root, run as run_program, say, step, succeeds};
use crate::workspace::Workspace;
use crate::{budget, driver_range, package, rust_version};

/// The flag is given on the command line, because `RUSTFLAGS` would build everything anew.
const DENY_DOC_WARNINGS: &str =
    r#"build.rustdocflags=["-D", "warnings", "-D", "rustdoc::broken_intra_doc_links"]"#;
pub(crate) const CLIPPY: [&str; 6] =
    ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];

pub(crate) fn run() -> Result {
    let workspace = Workspace::read("Cargo.toml")?;
    step("formatting", || run_program("cargo", &["fmt", "--all", "--check"]))?;
    step("lints", || run_program("cargo", &CLIPPY))?;
    step("documentation", || {
        let all = ["doc", "--workspace", "--all-features", "--no-deps"];
        run_program("cargo", &[&all[..], &["--config", DENY_DOC_WARNINGS]].concat())
    })?;
    step("each feature alone", || features(&workspace))?;
    step("rust-version", || rust_version::check(&workspace))?;
    step("package metadata", || package::metadata(&workspace))?;
    step("dependency budget", budget::check)?;
    step("licences, bans, sources", deny)?;
    step("oldest SQLite driver", driver_range::check)?;
    if root().join("shuttle/Cargo.toml").exists() {
        step("schedules (shuttle)", || {
            run_program("cargo", &["test", "--release", "--manifest-path", "shuttle/Cargo.toml"])
        })?;
    }
    Ok(())
}

fn deny() -> Result {
    if !succeeds("cargo", &["deny", "--version"]) {
        say("skipped: cargo-deny is missing: cargo install cargo-deny --locked");
        return Ok(());
    }
    run_program("cargo", &["deny", "check", "licenses", "bans", "sources"])
}

fn features(workspace: &Workspace) -> Result {
    for package in workspace.members() {
        if package.features.is_empty() {
            continue;
        }
        let bare = ["check", "--package", &package.name, "--no-default-features"];
        run_program("cargo", &bare)?;
        for feature in package.features.keys().filter(|feature| *feature != "default") {
            say(&format!("{} with {feature} alone", package.name));
            run_program("cargo", &[&bare[..], &["--features", feature]].concat())?;
        }
    }
    Ok(())
}
