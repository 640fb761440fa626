//! The number of crates that a user takes in, and the crates that are denied.

use std::collections::BTreeSet;

use crate::step::{Failure, Result, output, say};

/// The most crates, the named one included, on the platform of the check.
const BUDGETS: [(&str, usize); 4] =
    [("larder-core", 9), ("larder", 32), ("larder-macros", 6), ("larder-disk", 26)];

/// The denied crates: network and TLS belong to adapters. `deny.toml` has the same list, for all
/// packages.
const DENIED: [&str; 15] = [
    "async-std",
    "curl",
    "h2",
    "hyper",
    "mio",
    "native-tls",
    "openssl",
    "openssl-sys",
    "quinn",
    "reqwest",
    "ring",
    "rustls",
    "smol",
    "socket2",
    "ureq",
];

pub(crate) fn check() -> Result {
    for (package, budget) in BUDGETS {
        let count = tree(package, &[])?.len();
        say(&format!("{package}: {count} crates of at most {budget}"));
        if count > budget {
            return Err(Failure::new(1, format!("{package} has {count} crates, over {budget}")));
        }
        for name in tree(package, &["--target", "all"])? {
            if DENIED.contains(&name.as_str()) {
                return Err(Failure::new(1, format!("{package} depends on {name}")));
            }
        }
    }
    Ok(())
}

fn tree(package: &str, more: &[&str]) -> Result<BTreeSet<String>> {
    let arguments = ["tree", "--package", package, "-e", "normal", "--prefix", "none"];
    let text = output("cargo", &[&arguments[..], more].concat())?;
    let names = text.lines().filter_map(|line| line.split(' ').next());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::DENIED;

    #[test]
    fn deny_toml_denies_the_same_crates() {
        let rules = include_str!("../../deny.toml");
        let denied = rules.lines().filter_map(|line| line.trim().strip_prefix("{ crate = \""));
        let denied: Vec<&str> = denied.filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(denied, DENIED);
    }
}
