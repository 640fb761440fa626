//! `cargo xtask check --perf`: the cost of the hot paths, counted in instructions.
//!
//! Instructions under callgrind are nearly the same from run to run, whatever else the machine
//! does. Each path is walked twice, once longer: the difference is the cost of the walks, without
//! the cost of anything before them. The places of keys in tables differ from run to run, which
//! changes a count by up to a tenth, so several counts are averaged and a tolerance is allowed.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::bench::MANIFEST;
use crate::step::{Failure, Result, output, output_of, root, run as run_program, say};

/// The most per cent by which a path's cost may rise.
const TOLERANCE: f64 = 4.0;
/// The number of counts that are averaged.
const COUNTS: u32 = 8;
const TIMES: [u64; 2] = [10_000, 30_000];
const PROGRAM: &str = "bench/target/release/larder-paths";

/// Counts all paths and compares them with the kept counts.
pub(crate) fn check() -> Result {
    let (compiler, kept) = read()?;
    let own = rustc()?;
    if own != compiler {
        let hint =
            "write them anew on the commit to compare with: cargo xtask check --perf --accept";
        return Err(Failure::new(1, format!("counted with {compiler}, this is {own}: {hint}")));
    }
    let mut worse = Vec::new();
    let counted = count_all()?;
    if let Some((gone, _)) =
        kept.iter().find(|(kept, _)| counted.iter().all(|(path, _)| path != kept))
    {
        return Err(Failure::new(1, format!("{gone} is in {} and no path", file().display())));
    }
    for (path, count) in counted {
        let Some((_, before)) = kept.iter().find(|(name, _)| *name == path) else {
            return Err(Failure::new(1, format!("{path} is not in {}", file().display())));
        };
        let change = (count / before - 1.0) * 100.0;
        say(&format!("{path:36} {before:8.1} {count:8.1} {change:+6.1} %"));
        if change > TOLERANCE {
            worse.push(path);
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    let reason = format!("more than {TOLERANCE} % dearer: {}", worse.join(", "));
    Err(Failure::new(1, reason))
}

/// Counts all paths and keeps the counts.
pub(crate) fn accept() -> Result {
    let mut text =
        format!("# instructions per walk, counted by `cargo xtask check --perf`\n{}\n", rustc()?);
    for (path, count) in count_all()? {
        say(&format!("{path:36} {count:8.1}"));
        let _ = writeln!(text, "{path} {count:.1}");
    }
    fs::write(file(), text).map_err(|error| Failure::new(1, error.to_string()))
}

fn count_all() -> Result<Vec<(String, f64)>> {
    let build = ["build", "--release", "--quiet", "--manifest-path", MANIFEST];
    // The folder is named, wherever cargo builds otherwise, because this very program is counted.
    let place = ["--package", "larder-paths", "--target-dir", "bench/target"];
    run_program("cargo", &[&build[..], &place].concat())?;
    let program = root().join(PROGRAM).to_string_lossy().into_owned();
    let names = output(&program, &[] as &[&str])?;
    let count = |path: &str| Ok((path.to_owned(), count(&program, path)?));
    names.lines().map(count).collect()
}

/// Returns the instructions per walk.
fn count(program: &str, path: &str) -> Result<f64> {
    let [short, long] = TIMES;
    let mut sum = 0.0;
    for _ in 0..COUNTS {
        sum += collected(program, path, long)? - collected(program, path, short)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "they are thousands")]
    let walks = (long - short) as f64;
    Ok(sum / f64::from(COUNTS) / walks)
}

fn collected(program: &str, path: &str, times: u64) -> Result<f64> {
    let times = times.to_string();
    let tool = ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1"];
    let arguments = [&tool[..], &[program, path, &times]].concat();
    let (text, is_done) = output_of("valgrind", &arguments, &[])?;
    let count = text.lines().find_map(|line| line.split_once("Collected :"));
    let count = count.and_then(|(_, count)| count.trim().parse().ok());
    count.filter(|_| is_done).ok_or_else(|| {
        Failure::new(1, format!("{path} was not walked to its end under callgrind:\n{text}"))
    })
}

fn read() -> Result<(String, Vec<(String, f64)>)> {
    let file = file();
    let text = fs::read_to_string(&file)
        .map_err(|error| Failure::new(1, format!("{}: {error}", file.display())))?;
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let compiler = lines.next().unwrap_or_default().to_owned();
    let parse = |line: &str| {
        let (path, count) = line.split_once(' ')?;
        Some((path.to_owned(), count.parse().ok().filter(|count| *count > 0.0)?))
    };
    let kept: Option<Vec<_>> = lines.map(parse).collect();
    let kept = kept.ok_or_else(|| Failure::new(1, format!("{}: bad line", file.display())))?;
    Ok((compiler, kept))
}

/// Returns the compiler's version, on which the counts depend.
fn rustc() -> Result<String> {
    let text = output("rustc", &["--version", "--verbose"])?;
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(format!("rustc {} {}", field("release: "), field("host: ")))
}

fn file() -> PathBuf {
    root().join("bench/paths/instructions.txt")
}
