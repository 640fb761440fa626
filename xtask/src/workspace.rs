//! What `cargo metadata` says of a workspace.

use crate::json::Json;
use crate::step::{Failure, Result, output};

pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) rust_version: Option<String>,
    pub(crate) features: Vec<String>,
    pub(crate) binaries: Vec<String>,
    is_member: bool,
}

impl Workspace {
    /// The workspace of a manifest, its dependencies included.
    pub(crate) fn read(manifest: &str) -> Result<Self> {
        let text =
            output("cargo", &["metadata", "--format-version", "1", "--manifest-path", manifest])?;
        let unreadable = || Failure::new(1, "cargo metadata printed something unexpected");
        let json = Json::parse(&text).ok_or_else(unreadable)?;
        let members: Vec<&str> =
            json.get("workspace_members").items().iter().filter_map(Json::text).collect();
        let packages = json.get("packages").items().iter();
        let packages: Option<Vec<_>> = packages.map(|json| Package::read(json, &members)).collect();
        Ok(Self { packages: packages.ok_or_else(unreadable)? })
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_member)
    }
}

impl Package {
    fn read(json: &Json, members: &[&str]) -> Option<Self> {
        let is_binary = |target: &&Json| {
            target.get("kind").items().iter().any(|kind| kind.text() == Some("bin"))
        };
        let targets = json.get("targets").items().iter().filter(is_binary);
        Some(Self {
            name: json.get("name").text()?.to_owned(),
            version: json.get("version").text()?.to_owned(),
            rust_version: json.get("rust_version").text().map(str::to_owned),
            features: json.get("features").keys().map(str::to_owned).collect(),
            binaries: targets.filter_map(|t| t.get("name").text()).map(str::to_owned).collect(),
            is_member: members.contains(&json.get("id").text()?),
        })
    }
}
