//! The promises of `ARCHITECTURE.md` about the source text: mostly about absent code.
#![expect(clippy::unwrap_used, reason = "a tree that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `larder` from the top down: each names only itself and modules below it.
const ORDER: [&str; 21] = [
    "macros",
    "config",
    "cache",
    "change",
    "local",
    "load",
    "inner",
    "flight",
    "snapshot",
    "tier",
    "ops",
    "layer",
    "memory",
    "connection",
    "codec",
    "observe",
    "options",
    "pattern",
    "key",
    "lookup",
    "support",
];

/// The modules of `larder-disk` from the top down.
const DISK_ORDER: [&str; 15] = [
    "opener", "backend", "examine", "thread", "write", "shared", "read", "store", "folder",
    "record", "config", "bound", "time", "event", "error",
];

const ORDERS: [(&str, &[&str]); 2] = [("larder", &ORDER), ("larder-disk", &DISK_ORDER)];

#[test]
fn imports_run_downward_only() {
    let mut upward = BTreeSet::new();
    for (package, order) in ORDERS {
        for source in sources(package).iter().filter(|source| source.path != "lib.rs") {
            let own = place(order, source.module(), &source.path);
            for name in named_modules(&source.code) {
                if place(order, name, &source.path) < own {
                    upward.insert((package, source.path.clone(), name.to_owned()));
                }
            }
        }
    }
    assert_eq!(upward, BTreeSet::new());
}

#[test]
fn every_module_has_a_place_in_the_order() {
    for (package, order) in ORDERS {
        let found: BTreeSet<_> = sources(package).iter().map(|s| s.module().to_owned()).collect();
        let listed = order.iter().map(|&name| name.to_owned()).chain(["lib".to_owned()]).collect();
        assert_eq!(found, listed, "{package}");
    }
}

/// Files that import none of the remaining files are removed, round by round. The files that remain
/// in the end import each other in a circle, or import such files.
#[test]
fn files_import_each_other_in_no_circle() {
    for package in ["larder-core", "larder", "larder-disk"] {
        let sources = sources(package);
        let tree = Tree::of(&sources);
        let mut left: BTreeMap<&str, BTreeSet<&str>> =
            sources.iter().map(|source| (&*source.path, tree.imports(source))).collect();
        left.remove("lib.rs");
        for _ in 0..sources.len() {
            let names: BTreeSet<&str> = left.keys().copied().collect();
            left.retain(|_, imports| !imports.is_disjoint(&names));
        }
        assert_eq!(left, BTreeMap::new(), "{package}");
    }
}

/// The limits let a reader read a file in one go, and see a function at once (`CONTRIBUTING.md`).
#[test]
fn files_and_functions_are_short() {
    let mut long = BTreeSet::new();
    for package in PACKAGES {
        for source in sources(package) {
            let lines: Vec<&str> =
                source.code.lines().filter(|line| !line.trim().is_empty()).collect();
            if lines.len() > LONGEST_FILE {
                long.insert(format!("{package}/{}: {} lines", source.path, lines.len()));
            }
            for (name, length) in functions(&lines) {
                if length > LONGEST_FUNCTION {
                    long.insert(format!("{package}/{}, {name}: {length} lines", source.path));
                }
            }
        }
    }
    assert_eq!(long, BTreeSet::new());
}

const PACKAGES: [&str; 7] = [
    "larder-core",
    "larder",
    "larder-macros",
    "larder-disk",
    "larder-cli",
    "larder-testkit",
    "larder-trace",
];
/// Lines of code, without comments, blank lines and tests.
const LONGEST_FILE: usize = 300;
const LONGEST_FUNCTION: usize = 70;

/// Returns the functions of a formatted file that have a body of several lines, and their lengths.
fn functions<'a>(lines: &[&'a str]) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((before, rest)) = line.split_once("fn ") else { continue };
        let starts = ["pub ", "pub(crate) ", "pub(super) ", "async ", "const "];
        let mut words = before.trim_start();
        while let Some(left) = starts.iter().find_map(|word| words.strip_prefix(word)) {
            words = left;
        }
        if !words.is_empty() || line.ends_with(['}', ';']) {
            continue;
        }
        let indent = before.len() - before.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let body = lines.iter().skip(number).position(|line| **line == end);
        let name = rest.split(|c: char| !is_of_a_word(c)).next().unwrap_or_default();
        found.extend(body.map(|body| (name, body + 1)));
    }
    found
}

#[test]
fn only_the_runtime_module_names_the_runtime() {
    assert_named_only_in(&["tokio"], &[("larder", "support/runtime.rs")]);
}

#[test]
fn only_the_clock_module_asks_the_system_for_the_time() {
    let words = ["Instant", "SystemTime", "clock_gettime"];
    assert_named_only_in(&words, &[("larder", "support/clock.rs")]);
}

/// A cache without a backend is no variant of its own but for these steps.
#[test]
fn few_places_ask_whether_there_are_tiers_below() {
    let asks = |source: &Source| source.code.contains(".below()");
    let found: BTreeSet<_> =
        sources("larder").into_iter().filter(asks).map(|source| source.path).collect();
    let steps = [
        "cache/keys.rs",
        "change/counter.rs",
        "change/mod.rs",
        "load/get.rs",
        "load/leader.rs",
        "tier/stack.rs",
    ];
    assert_eq!(found, steps.map(str::to_owned).into());
}

#[test]
fn nothing_is_unsafe() {
    assert_named_only_in(&["unsafe"], &[]);
}

#[test]
fn nothing_is_printed() {
    // Cases that the suite skips must be printed for the person who runs it.
    let skipped = ("larder-testkit", "conformance/mod.rs");
    assert_named_only_in(&["println", "eprintln", "print", "eprint", "dbg"], &[skipped]);
}

#[test]
fn a_backend_sees_neither_values_nor_codecs_nor_clocks() {
    for source in sources("larder-core") {
        if ["backend.rs", "any.rs", "record.rs", "layout.rs"].contains(&source.path.as_str()) {
            for word in ["Clock", "serde", "V"] {
                assert!(!has_word(&source.code, word), "{} names {word}", source.path);
            }
            assert!(!source.code.contains("Codec<"), "{} names a codec", source.path);
        }
    }
}

#[test]
fn a_codec_sees_neither_keys_nor_clocks() {
    let codecs = sources("larder").into_iter().filter(|source| source.module() == "codec");
    for source in codecs {
        for word in ["Key", "CacheKey", "Clock", "Timestamp"] {
            assert!(!has_word(&source.code, word), "{} names {word}", source.path);
        }
    }
}

/// A file's code without its comments and tests.
struct Source {
    /// The path, relative to `src`, with slashes.
    path: String,
    code: String,
}

impl Source {
    /// Returns the path of its module.
    fn module_path(&self) -> Vec<&str> {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let names = path.split('/').filter(|name| !["mod", "lib"].contains(name));
        names.collect()
    }

    /// Returns the module of the crate's root that it belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

/// The files of a crate by the paths of their modules, and the names that modules pass on.
struct Tree<'a> {
    files: BTreeMap<Vec<&'a str>, &'a str>,
    passed_on: BTreeMap<Vec<&'a str>, Vec<&'a str>>,
}

impl<'a> Tree<'a> {
    fn of(sources: &'a [Source]) -> Self {
        let files = sources.iter().map(|source| (source.module_path(), &*source.path)).collect();
        let passed_on = sources.iter().flat_map(|source| {
            paths(&source.code, source.module_path()).filter(|path| path.is_passed_on).map(|path| {
                let name = path.names.last().copied();
                (source.module_path().into_iter().chain(name).collect(), path.names)
            })
        });
        Self { files, passed_on: passed_on.collect() }
    }

    /// Returns the other files whose items this file names. A module that passes an item on does
    /// not use it.
    fn imports(&self, source: &'a Source) -> BTreeSet<&'a str> {
        let paths = paths(&source.code, source.module_path()).filter(|path| !path.is_passed_on);
        let mut files: BTreeSet<_> = paths.filter_map(|path| self.file(&path.names)).collect();
        files.remove(&*source.path);
        files
    }

    /// Returns the file in which an item is, or the module that is named.
    fn file(&self, names: &[&'a str]) -> Option<&'a str> {
        (0..=names.len()).rev().find_map(|length| {
            let (module, rest) = names.split_at(length);
            let file = self.files.get(module)?;
            let item: Vec<&str> = module.iter().chain(rest.first()).copied().collect();
            self.passed_on.get(&item).map_or(Some(*file), |names| self.file(names))
        })
    }
}

/// A path that begins at the crate's root.
struct Named<'a> {
    names: Vec<&'a str>,
    is_passed_on: bool,
}

/// Returns the paths of the crate's own items in this code, which belongs to this module.
fn paths<'a>(code: &'a str, module: Vec<&'a str>) -> impl Iterator<Item = Named<'a>> {
    let starts = ["crate::", "self::", "super::"];
    let found = starts.into_iter().flat_map(|start| code.match_indices(start));
    found
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| is_of_a_word(c) || "$:".contains(c)))
        .flat_map(move |(at, start)| {
            let line = code[..at].rsplit('\n').next().unwrap_or_default();
            let is_passed_on = line.trim_start().starts_with("pub") && line.contains("use ");
            let mut root = if start == "crate::" { Vec::new() } else { module.clone() };
            if start == "super::" {
                root.pop();
            }
            listed(&code[at + start.len()..]).into_iter().map(move |rest| Named {
                names: root.iter().copied().chain(rest).collect(),
                is_passed_on,
            })
        })
}

/// Returns the paths that a path with a list at its end stands for.
fn listed(text: &str) -> Vec<Vec<&str>> {
    let end = text.find(|c: char| !is_of_a_word(c) && c != ':').unwrap_or(text.len());
    let stem: Vec<&str> = text[..end].split("::").filter(|name| !name.is_empty()).collect();
    let list = text[end..].strip_prefix('{').and_then(|list| list.split_once('}'));
    let Some((list, _)) = list.filter(|_| text[..end].ends_with("::")) else { return vec![stem] };
    assert!(!list.contains('{'), "one list for each import: {text:.80}");
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| stem.iter().copied().chain(item.split("::")).collect()).collect()
}

fn assert_named_only_in(words: &[&str], allowed: &[(&str, &str)]) {
    let mut found = BTreeSet::new();
    for name in ["larder", "larder-core", "larder-testkit"] {
        for source in sources(name) {
            if words.iter().any(|word| has_word(&source.code, word)) {
                found.insert((name.to_owned(), source.path));
            }
        }
    }
    let allowed = allowed.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned()));
    assert_eq!(found, allowed.collect(), "{words:?}");
}

fn place(order: &[&str], module: &str, path: &str) -> usize {
    let place = order.iter().position(|name| *name == module);
    place.unwrap_or_else(|| panic!("{path}: {module} has no place in the order"))
}

/// Returns the modules of the crate's root that the code names.
fn named_modules(code: &str) -> BTreeSet<&str> {
    let names = code.split("crate::").skip(1).map(|rest| {
        assert!(!rest.starts_with('{'), "one import for each module");
        let end = rest.find(|c: char| !is_of_a_word(c)).unwrap_or(rest.len());
        &rest[..end]
    });
    // The path begins with a module, except for `larder_core` and macros' `$crate`.
    names.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())).collect()
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(start, found)| {
        let before = code[..start].chars().next_back();
        let after = code[start + found.len()..].chars().next();
        !before.is_some_and(is_of_a_word) && !after.is_some_and(is_of_a_word)
    })
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn sources(package: &str) -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    let mut found = Vec::new();
    collect(&src, &mut found);
    assert!(!found.is_empty(), "{package} has no sources");
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let parts = path.strip_prefix(&src).unwrap().components();
        let parts: Vec<_> = parts.map(|part| part.as_os_str().to_str().unwrap()).collect();
        Source { path: parts.join("/"), code: code(&text) }
    };
    found.into_iter().map(source).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // The simulation is for tests only, and drives all the other modules.
            if !path.ends_with("simulation") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn code(text: &str) -> String {
    let starts = ["#[cfg(test)]\nmod tests", "#[cfg(all(test", "#[cfg(doctest)]"];
    let tests = starts.map(|start| text.find(start));
    let end = tests.into_iter().flatten().min().unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}
