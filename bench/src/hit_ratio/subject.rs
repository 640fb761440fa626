//! The traces that are replayed.

use std::fs;
use std::path::{Path, PathBuf};

use larder_trace::{Error, Trace, synthetic as made};

/// A trace with a name.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The name in tables.
    pub name: String,
    /// True if the trace was recorded, false if it was made.
    pub is_recorded: bool,
    /// The trace.
    pub trace: Trace,
}

/// Reads the traces in these files, and in the files of these folders whose name says that they are
/// packed ids, ids or keys (`.u32.gz`, `.u32`, `.gz`, `.txt`).
///
/// # Errors
/// The path that cannot be read, and the reason.
pub fn recorded(paths: &[PathBuf]) -> Result<Vec<Subject>, (PathBuf, Error)> {
    let mut subjects = Vec::new();
    for path in paths {
        let files = if path.is_dir() { listed(path)? } else { vec![path.clone()] };
        for file in files {
            let trace = Trace::read(&file).map_err(|error| (file.clone(), error))?;
            let name = unused(&subjects, name_of(&file));
            subjects.push(Subject { name, is_recorded: true, trace });
        }
    }
    Ok(subjects)
}

/// Makes traces of one habit each: a loop, popularity, scans in between, and a moving working set.
///
/// A tenth of the length is enough to test the program.
pub fn synthetic(is_quick: bool) -> Vec<Subject> {
    let accesses = if is_quick { 50_000 } else { 500_000 };
    let keys = accesses as u32 / 10;
    let traces = [
        ("loop", made::cycle(keys / 2, accesses)),
        ("zipf 0.9", made::zipf(0.9, keys * 2, accesses, 1)),
        ("zipf 0.99", made::zipf(0.99, keys * 2, accesses, 2)),
        ("scans", made::scans(0.9, keys, accesses / 100, accesses, 3)),
        ("shifting", made::shifting(0.9, keys / 5, accesses / 10, accesses, 4)),
    ];
    let subject = |(name, trace)| Subject { name: String::from(name), is_recorded: false, trace };
    traces.map(subject).into()
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, (PathBuf, Error)> {
    let failed = |error| (folder.to_owned(), Error::from(error));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("gz" | "u32" | "txt")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the name of the file without the endings that tell its format.
fn name_of(file: &Path) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let endings = [".gz", ".txt", ".u32"];
    let cut = |name, ending| str::strip_suffix(name, ending).unwrap_or(name);
    endings.into_iter().fold(&*name, cut).to_owned()
}

/// Returns the name, with a number if another trace has it: one name is drawn as one line.
fn unused(subjects: &[Subject], name: String) -> String {
    let is_taken = |name: &str| subjects.iter().any(|subject| subject.name == name);
    let mut others = (2..).map(|number| format!("{name} {number}"));
    if is_taken(&name) { others.find(|other| !is_taken(other)).unwrap_or(name) } else { name }
}

#[cfg(test)]
mod tests {
    use super::{recorded, synthetic};

    #[test]
    fn a_folder_gives_its_traces_in_order_by_their_names() {
        let folder = std::env::temp_dir().join(format!("larder-traces-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("b.1m.txt"), "x\ny\nx\n").unwrap();
        std::fs::write(folder.join("a.u32"), [0_u32, 1].map(u32::to_le_bytes).concat()).unwrap();
        std::fs::write(folder.join("README.md"), "no trace").unwrap();
        let subjects = recorded(std::slice::from_ref(&folder)).unwrap();
        let names: Vec<_> = subjects.iter().map(|subject| subject.name.as_str()).collect();
        assert_eq!(names, ["a", "b.1m"]);
        let twice = recorded(&[folder.clone(), folder.clone()]).unwrap();
        assert_eq!(twice[3].name, "b.1m 2");
        assert_eq!(subjects[1].trace.ids(), [0, 1, 0]);
        let missing = folder.join("c.gz");
        assert_eq!(recorded(std::slice::from_ref(&missing)).unwrap_err().0, missing);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_made_is_the_same_each_time() {
        let (one, two) = (synthetic(true), synthetic(true));
        assert!(one.iter().zip(&two).all(|(one, two)| one.trace == two.trace));
    }
}
