//! `replay`: prints the hit ratio that a cache would have had on a trace.

use std::borrow::Cow;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use larder::LocalCache;
use larder_trace::chart::{LineChart, Scale, Series};
use larder_trace::{Format, Lru, Policy, Trace, hits, optima};
use serde_json::json;

use crate::command::Answer;
use crate::exit::Failure;
use crate::output::Printer;
use crate::parse::{self, CacheSize};

/// Print which hit ratio a cache would have had on a recorded trace, at several sizes
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// The trace: one key a line, or 32-bit little-endian ids; also as gzip. `-` reads stdin
    trace: PathBuf,
    /// The sizes, with a comma between: entries like `1000` and `10k`, or shares of the distinct
    /// keys like `5%`
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = parse::cache_size,
        default_value = "1%,5%,10%,20%,40%"
    )]
    sizes: Vec<CacheSize>,
    /// How the trace is written down; told by how it begins if not given
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Written>,
    /// Draw a chart into this file, as SVG
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// The format of a trace, before gzip.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Written {
    /// One key a line
    Lines,
    /// 32-bit little-endian ids
    Ids,
}

/// The result for one size.
struct Outcome {
    entries: usize,
    /// The size as a share of the distinct keys.
    share: f64,
    local: f64,
    lru: f64,
    optimum: f64,
}

impl Replay {
    pub(crate) fn execute(&self) -> Result<Answer, Failure> {
        self.check()?;
        let trace = self.read()?;
        let keys = u64::from(trace.distinct());
        let sizes: Vec<usize> = self.sizes.iter().map(|size| size.entries(keys)).collect();
        let outcomes = outcomes(&trace, &sizes);
        let mut printer = Printer::new(self.json);
        print(&mut printer, &trace, &outcomes)?;
        printer.finish()?;
        if let Some(path) = &self.plot {
            write_aside(path, &self.chart(&outcomes).to_svg())
                .map_err(|error| Failure::Store(format!("{}: {error}", path.display())))?;
        }
        Ok(Answer::Yes)
    }

    /// Refuses to draw over the trace.
    fn check(&self) -> Result<(), Failure> {
        let plot = self.plot.as_ref().and_then(|plot| fs::canonicalize(plot).ok());
        let trace = fs::canonicalize(&self.trace).ok();
        if plot.is_some() && plot == trace {
            return Err(Failure::Usage("the chart would take the place of the trace".to_owned()));
        }
        Ok(())
    }

    fn is_stdin(&self) -> bool {
        self.trace.as_os_str() == "-"
    }

    /// Returns the file's name without its folder.
    fn name(&self) -> Cow<'_, str> {
        let name = self.trace.file_name().filter(|_| !self.is_stdin());
        name.map_or("stdin".into(), |name| name.to_string_lossy())
    }

    fn read(&self) -> Result<Trace, Failure> {
        let format = match self.format {
            None => Format::Any,
            Some(Written::Lines) => Format::Lines,
            Some(Written::Ids) => Format::Ids,
        };
        let (place, trace) = if self.is_stdin() {
            ("stdin".into(), Trace::read_from(std::io::stdin().lock(), format))
        } else {
            let file = fs::File::open(&self.trace).map_err(larder_trace::Error::from);
            let trace = file.and_then(|file| Trace::read_from(file, format));
            (self.trace.to_string_lossy(), trace)
        };
        trace.map_err(|error| Failure::Store(format!("{place}: {error}")))
    }

    fn chart(&self, outcomes: &[Outcome]) -> LineChart {
        let mut by_size: Vec<&Outcome> = outcomes.iter().collect();
        by_size.sort_by_key(|outcome| outcome.entries);
        let series = |name: &str, ratio: fn(&Outcome) -> f64| Series {
            name: name.to_owned(),
            points: by_size.iter().map(|o| (number(o.entries), ratio(o) * 100.0)).collect(),
        };
        LineChart {
            title: format!("Hit ratio on {}", self.name()),
            x_title: "size of the cache, entries".to_owned(),
            y_title: "hit ratio, %".to_owned(),
            x_scale: Scale::Logarithmic,
            series: vec![
                series("optimum", |outcome| outcome.optimum),
                series("local tier", |outcome| outcome.local),
                series("LRU", |outcome| outcome.lru),
            ],
            ..LineChart::default()
        }
    }
}

/// The local tier as a program uses it: a missing key is put.
struct Local(LocalCache<u32, ()>);

impl Local {
    fn new(size: usize) -> Self {
        Self(LocalCache::new(size as u64))
    }
}

impl Policy for Local {
    fn access(&mut self, id: u32) -> bool {
        let is_hit = self.0.get(&id).is_some();
        if !is_hit {
            self.0.insert(id, ());
        }
        is_hit
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Replays the trace through all three policies, each on a thread of its own.
fn outcomes(trace: &Trace, sizes: &[usize]) -> Vec<Outcome> {
    let accesses = trace.ids().len();
    let bar = progress_bar(accesses * sizes.len() * 3);
    let tell = |more: usize| bar.inc(more as u64);
    let (local, lru, optimum) = thread::scope(|scope| {
        let local = scope.spawn(|| each(trace, sizes, Local::new, tell));
        let lru = scope.spawn(|| each(trace, sizes, Lru::new, tell));
        let optimum = optima(trace, sizes, &mut { tell });
        (joined(local), joined(lru), optimum)
    });
    bar.finish_and_clear();
    let ratio = |hits: u64| number(usize::try_from(hits).unwrap_or(accesses)) / number(accesses);
    let hits = sizes.iter().zip(local.into_iter().zip(lru).zip(optimum));
    hits.map(|(size, ((local, lru), optimum))| Outcome {
        entries: *size,
        share: number(*size) / f64::from(trace.distinct()),
        local: ratio(local),
        lru: ratio(lru),
        optimum: ratio(optimum),
    })
    .collect()
}

/// Returns the hits of a policy at each size.
fn each<P: Policy>(
    trace: &Trace,
    sizes: &[usize],
    policy: fn(usize) -> P,
    mut tell: impl FnMut(usize),
) -> Vec<u64> {
    sizes.iter().map(|size| hits(trace, &mut policy(*size), &mut tell)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "what is shown has a few digits")]
fn number(count: usize) -> f64 {
    count as f64
}

fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Returns a bar on stderr, or a hidden one if that is no terminal.
fn progress_bar(accesses: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("replaying [{wide_bar}] {percent:>3} % {eta:>4}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(accesses as u64).with_style(style.progress_chars("=> "))
}

fn print(printer: &mut Printer, trace: &Trace, outcomes: &[Outcome]) -> Result<(), Failure> {
    let (accesses, keys) = (trace.ids().len(), trace.distinct());
    if printer.is_json() {
        for Outcome { entries, share, local, lru, optimum } in outcomes {
            printer.json(&json!({
                "entries": entries,
                "share": share,
                "local": local,
                "lru": lru,
                "optimum": optimum,
                "accesses": accesses,
                "keys": keys,
            }))?;
        }
        return Ok(());
    }
    if printer.is_person() {
        printer.line(&format!("{accesses} accesses, {keys} keys"))?;
    }
    let unit = if printer.is_person() { " %" } else { "" };
    let percent = |ratio: f64| format!("{:.2}{unit}", ratio * 100.0);
    let row = |o: &Outcome| {
        [
            o.entries.to_string(),
            percent(o.share),
            percent(o.local),
            percent(o.lru),
            percent(o.optimum),
        ]
    };
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    printer.columns(["entries", "of keys", "local tier", "LRU", "optimum"], &rows)
}

/// Replaces a file by a whole one, or not at all. A link stays a link, and a device is written to.
fn write_aside(path: &Path, content: &str) -> std::io::Result<()> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, content);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut aside = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    aside.write_all(content.as_bytes())?;
    aside.persist(path)?;
    Ok(())
}

const EXAMPLES: &str = "\
`local tier` is the cache of this library, as large as said; LRU is the plainest one; no cache has
more hits than `optimum`, which knows what will be asked for. On each miss the key is put.
No store is opened, and no key is printed or kept.

Examples:
  larder replay access.log.keys
  larder replay --sizes 1000,10k,25% trace.u32.gz
  awk '{ print $7 }' access.log | larder replay - --plot hits.svg";
