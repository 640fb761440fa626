//! The key of a run: everything that the answer depends on.
//!
//! All parts go into one digest, each behind its length, so that no two commands share a key by the
//! way their parts meet. Values of the environment are never in clear anywhere.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use blake3::Hasher;

use crate::run::Run;

/// Returns the key of a run: the given one, or a digest of everything the answer depends on.
///
/// # Errors
/// If the working directory counts and has no name any more.
pub(super) fn of(run: &Run, stdin: Option<&[u8]>) -> io::Result<String> {
    if let Some(key) = &run.key {
        return Ok(key.clone());
    }
    let mut digest = Digest(Hasher::new());
    digest.part(b"larder run 1");
    digest.part(&rustix::process::geteuid().as_raw().to_le_bytes());
    digest.part(&[u8::from(run.merge)]);
    digest.count(run.command.len());
    for argument in &run.command {
        digest.part(argument.as_bytes());
    }
    if run.any_cwd {
        digest.option(None);
    } else {
        digest.option(Some(std::env::current_dir()?.as_os_str()));
    }
    let mut names = run.env.clone();
    names.sort();
    names.dedup();
    digest.count(names.len());
    for name in names {
        digest.part(name.as_bytes());
        digest.option(std::env::var_os(&name).as_deref());
    }
    digest.option(stdin.map(OsStr::from_bytes));
    Ok(digest.0.finalize().to_hex().to_string())
}

/// A digest of parts, which cannot run into each other.
struct Digest(Hasher);

impl Digest {
    fn part(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn option(&mut self, part: Option<&OsStr>) {
        self.count(usize::from(part.is_some()));
        self.part(part.map(OsStr::as_bytes).unwrap_or_default());
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::of;
    use crate::cli::{Cli, Command};

    fn key(arguments: &[&str], stdin: Option<&[u8]>) -> String {
        let all = ["larder", "run"].iter().chain(arguments);
        match Cli::try_parse_from(all).unwrap().command {
            Command::Run(run) => of(&run, stdin).unwrap(),
            _ => unreachable!("it is a run"),
        }
    }

    #[test]
    fn what_the_answer_depends_on_makes_another_key() {
        let plain = key(&["--", "echo", "a", "b"], None);
        assert_eq!(plain, key(&["--ttl", "1h", "--", "echo", "a", "b"], None));
        let others = [
            key(&["--", "echo", "a b"], None),
            key(&["--", "echo", "ab"], None),
            key(&["--", "echo", "a", "b", ""], None),
            key(&["--merge", "--", "echo", "a", "b"], None),
            key(&["--any-cwd", "--", "echo", "a", "b"], None),
            key(&["--env", "PATH", "--", "echo", "a", "b"], None),
            key(&["--env", "LARDER_UNSET", "--", "echo", "a", "b"], None),
            key(&["--stdin", "--", "echo", "a", "b"], Some(b"")),
            key(&["--stdin", "--", "echo", "a", "b"], Some(b"x")),
        ];
        let all: std::collections::BTreeSet<_> = others.iter().chain([&plain]).collect();
        assert_eq!(all.len(), others.len() + 1);
    }

    #[test]
    fn the_order_of_names_makes_no_other_key() {
        let one = key(&["--env", "PATH", "--env", "HOME", "--", "x"], None);
        assert_eq!(one, key(&["--env", "HOME", "--env", "PATH", "--env", "HOME", "--", "x"], None));
        assert_eq!(key(&["--key", "k", "--merge", "--", "x"], None), "k");
    }
}
