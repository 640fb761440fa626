//! The metadata of each published package, and `cargo xtask package`.

use std::path::Path;

use crate::step::{Failure, Result, run as run_program, say};
use crate::workspace::{Package, Workspace};

/// The limit of crates.io.
const MAX_KEYWORDS: usize = 5;

/// Packs every package and builds the packed files, those that are not committed yet included.
pub(crate) fn run() -> Result {
    run_program("cargo", &["package", "--workspace", "--all-features", "--allow-dirty"])
}

/// Checks the manifests and the folders of the packages that are published.
pub(crate) fn metadata(workspace: &Workspace) -> Result {
    let mut count = 0;
    for package in workspace.members().filter(|package| package.is_published()) {
        let missing = missing(package);
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(Failure::new(1, format!("{}: missing or wrong: {missing}", package.name)));
        }
        count += 1;
    }
    say(&format!("{count} published packages have all that they need"));
    Ok(())
}

fn missing(package: &Package) -> Vec<&'static str> {
    let folder = package.manifest_path.parent().unwrap_or(Path::new(""));
    // The macros' code calls functions that may change in any version.
    let is_pinned = package.dependencies.iter().all(|dependency| {
        dependency.name != "larder-macros" || dependency.req == format!("={}", package.version)
    });
    let rules = [
        ("description", package.description.is_some()),
        ("repository", package.repository.is_some()),
        ("readme = \"README.md\"", package.readme.as_deref() == Some("README.md")),
        ("README.md", folder.join("README.md").is_file()),
        ("LICENSE-MIT", folder.join("LICENSE-MIT").is_file()),
        ("LICENSE-APACHE", folder.join("LICENSE-APACHE").is_file()),
        ("1 to 5 keywords", (1..=MAX_KEYWORDS).contains(&package.keywords.len())),
        ("categories", !package.categories.is_empty()),
        ("larder-macros = \"=version\"", is_pinned),
    ];
    rules.into_iter().filter(|(_, is_kept)| !is_kept).map(|(rule, _)| rule).collect()
}

#[cfg(test)]
mod tests {
    use super::missing;
    use crate::workspace::Workspace;

    #[test]
    fn an_unpublished_package_misses_what_a_published_one_has() {
        let workspace = Workspace::read("Cargo.toml").unwrap_or_else(|_| panic!("it is read"));
        let member = |name| workspace.members().find(|package| package.name == name).unwrap();
        assert!(member("larder").is_published() && !member("xtask").is_published());
        assert_eq!(missing(member("larder")), [""; 0]);
        let rules = missing(member("xtask"));
        assert!(["README.md", "LICENSE-MIT", "categories"].iter().all(|rule| rules.contains(rule)));
    }
}
