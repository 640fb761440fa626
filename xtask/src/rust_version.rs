//! The check that the oldest promised compiler is enough.

use crate::check::CLIPPY;
use crate::step::{Failure, Result, output, run, say};
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace) -> Result {
    let stated = stated(workspace)?;
    if let Some(toolchain) = installed(stated) {
        say(&format!("checked with the toolchain {toolchain}"));
        return run("rustup", &["run", &toolchain, "cargo", "check", "--workspace"]);
    }
    let (major, minor, _) = stated;
    say(&format!(
        "no toolchain {major}.{minor} is installed: judged by clippy's incompatible_msrv and by \
         the rust-version of the dependencies"
    ));
    run("cargo", &CLIPPY)?;
    dependencies(workspace, stated)
}

type Version = (u32, u32, u32);

/// Returns the newest version that a member asks for: users need it for the whole workspace.
fn stated(workspace: &Workspace) -> Result<Version> {
    workspace
        .members()
        .filter_map(|package| version(package.rust_version.as_deref()?))
        .max()
        .ok_or_else(|| Failure::new(1, "no member states a rust-version"))
}

fn installed((major, minor, _): Version) -> Option<String> {
    let list = output("rustup", &["toolchain", "list"]).ok()?;
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    let wanted = format!("{major}.{minor}");
    names
        .filter(|name| name.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with(['-', '.'])))
        .map(str::to_owned)
        .next()
}

fn dependencies(workspace: &Workspace, stated: Version) -> Result {
    let tree = ["tree", "--workspace", "-e", "normal", "--prefix", "none", "--target", "all"];
    let tree = output("cargo", &[&tree[..], &["--format", "{p}"]].concat())?;
    let mut names: Vec<&str> = tree.lines().filter(|line| !line.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    for line in &names {
        let mut words = line.split(' ');
        let (name, number) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let package = workspace
            .packages
            .iter()
            .find(|p| p.name == name && number.strip_prefix('v') == Some(&p.version));
        let wants = package.and_then(|p| version(p.rust_version.as_deref()?));
        if wants.is_some_and(|wants| wants > stated) {
            let (major, minor, _) = wants.unwrap_or_default();
            return Err(Failure::new(1, format!("{line} asks for Rust {major}.{minor}")));
        }
    }
    say(&format!("{} normal dependencies, all old enough", names.len()));
    Ok(())
}

fn version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let major = parts.next()??;
    Some((major, parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_version_is_compared_by_number_and_missing_parts_are_zero() {
        assert_eq!(version("1.89"), version("1.89.0"));
        assert!(version("1.100") > version("1.89.3"));
        assert_eq!(version("1.x"), None);
    }
}
