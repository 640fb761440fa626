//! The output of `cargo metadata` for a workspace.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::step::{Failure, Result, output};

#[derive(Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) rust_version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) readme: Option<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    /// The registries that the package may be published to; none means any.
    publish: Option<Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Workspace {
    /// Reads the workspace of a manifest, its dependencies included.
    pub(crate) fn read(manifest: &str) -> Result<Self> {
        let text =
            output("cargo", &["metadata", "--format-version", "1", "--manifest-path", manifest])?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::new(1, format!("cannot read `cargo metadata`: {error}")))
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

impl Package {
    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    /// Returns the names of the package's programs.
    pub(crate) fn binaries(&self) -> impl Iterator<Item = &str> {
        let is_binary = |target: &&Target| target.kind.iter().any(|kind| kind == "bin");
        self.targets.iter().filter(is_binary).map(|target| target.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Workspace;

    #[test]
    fn members_have_their_features_and_programs() {
        let workspace = Workspace::read("Cargo.toml").unwrap_or_else(|_| panic!("it is read"));
        let member = |name| workspace.members().find(|package| package.name == name).unwrap();
        assert!(member("larder").features.contains_key("macros"));
        assert_eq!(member("larder-cli").binaries().collect::<Vec<_>>(), ["larder"]);
        assert!(workspace.members().all(|package| package.name != "serde"));
    }
}
