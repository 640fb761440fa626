//! A report on the dependencies of all crates below a folder, asked for by many tasks at once.
//!
//! `cargo run --release -p larder --example crates -- ~/.cargo/registry/src`
//!
//! It parses every `Cargo.toml` and `Cargo.lock` and sums up, for each package that they mention,
//! where and in which versions. Both are loads of one cache: a file is parsed when somebody first
//! asks for it, and a package's summary asks for the files that mention the package. Whatever comes
//! of a file carries the file's tag, so one invalidation drops exactly what depended on it.
#![expect(clippy::print_stderr, reason = "a program for the command line")]
#![expect(clippy::indexing_slicing, reason = "places of files come from the list of files")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io};

use larder::{Cache, CacheKey, Load, Options, SystemClock};
use tokio::task::JoinSet;

/// How many tasks ask at once.
const TASKS: usize = 64;
/// How deep folders are searched.
const MAX_DEPTH: usize = 24;
/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// What the cache may hold, by the weigher's reckoning.
const MAX_CACHE_BYTES: u64 = 512 << 20;
/// How many files are invalidated, and how many lines a list has.
const FEW: usize = 5;

/// Writes a line. A reader that has gone away, such as `head`, is no reason to panic.
macro_rules! say {
    ($($told:tt)*) => { let _ = writeln!(io::stdout(), $($told)*); };
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: crates FOLDER, for example: crates ~/.cargo/registry/src");
        return ExitCode::from(2);
    };
    match report(Path::new(&folder)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Folder(error)) => {
            eprintln!("cannot read the folder {}: {error}", Path::new(&folder).display());
            ExitCode::from(2)
        }
        Err(Failure::Cache(error)) => {
            eprintln!("the cache failed: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    Folder(io::Error),
    Cache(larder::Error),
}

impl From<larder::Error> for Failure {
    fn from(error: larder::Error) -> Self {
        Self::Cache(error)
    }
}

async fn report(folder: &Path) -> Result<(), Failure> {
    let start = SystemClock.now();
    let (sources, mut problems) = find(folder).map_err(Failure::Folder)?;
    say!("{} files found in {}", sources.len(), took(SystemClock.now().since(start)));
    let survey = Survey::new(sources)?;

    let cold = survey.pass("cold").await?;
    survey.pass("warm").await?;

    let changed: Vec<_> =
        survey.sources.iter().step_by((survey.sources.len() / FEW).max(1)).collect();
    let changed = &changed[..changed.len().min(FEW)];
    let mut affected = BTreeSet::new();
    for source in changed {
        affected.extend(survey.file(source).await?.mentions.keys().cloned());
        survey.cache.invalidate_tag(&source.tag).await?;
    }
    say!("invalidated {} of the files, which mention {} packages", changed.len(), affected.len());
    survey.pass("after invalidation").await?;

    summarize(&cold.packages);
    problems.extend(cold.problems);
    list("problems", problems.len(), problems.into_iter());
    say!("\n{:#?}", survey.cache.stats());
    Ok(())
}

/// A file that is to be parsed.
struct Source {
    path: PathBuf,
    /// Short, because a tag has at most 255 bytes and a path may be longer.
    tag: Arc<str>,
    is_lock: bool,
}

/// All manifests and lockfiles below the folder, and what could not be read on the way. Symlinks
/// are not followed.
fn find(folder: &Path) -> io::Result<(Vec<Source>, Vec<String>)> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let mut folders = vec![(folder.to_path_buf(), 0)];
    fs::read_dir(folder)?;
    while let Some((folder, depth)) = folders.pop() {
        let told = |error| format!("{}: {error}", folder.display());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(told(error));
                continue;
            }
        };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) if kind.is_dir() && depth < MAX_DEPTH => {
                    folders.push((entry.path(), depth + 1));
                }
                Ok((kind, entry)) if kind.is_dir() => {
                    problems.push(format!("{}: too deep", entry.path().display()));
                }
                Ok((kind, entry)) if kind.is_file() => {
                    let name = entry.file_name();
                    if name == "Cargo.toml" || name == "Cargo.lock" {
                        found.push(entry.path());
                    }
                }
                Ok(_) => {}
                Err(error) => problems.push(told(error)),
            }
        }
    }
    found.sort();
    let source = |(index, path): (usize, PathBuf)| Source {
        tag: format!("file-{index}").into(),
        is_lock: path.ends_with("Cargo.lock"),
        path,
    };
    Ok((found.into_iter().enumerate().map(source).collect(), problems))
}

/// What the cache is asked.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Question {
    /// What is in the file with this tag?
    File(Arc<str>),
    /// What is known of the package with this name?
    Package(Arc<str>),
}

impl CacheKey for Question {
    fn to_text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::File(tag) => format!("f:{tag}").into(),
            Self::Package(name) => format!("p:{name}").into(),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.split_at_checked(2)? {
            ("f:", tag) => Some(Self::File(tag.into())),
            ("p:", name) => Some(Self::Package(name.into())),
            _ => None,
        }
    }
}

#[derive(Clone)]
enum Answer {
    File(Arc<Parsed>),
    Package(Arc<Package>),
}

impl Answer {
    /// About the bytes it takes.
    fn weight(&self) -> u32 {
        let bytes = match self {
            Self::File(parsed) => parsed.mentions.values().map(Mention::bytes).sum::<usize>(),
            Self::Package(package) => package.whole.bytes() + 32 * package.files.len(),
        };
        u32::try_from(128 + bytes).unwrap_or(u32::MAX)
    }
}

/// What one file says: of each package that it mentions, and what is wrong with it.
#[derive(Default)]
struct Parsed {
    mentions: BTreeMap<Arc<str>, Mention>,
    problem: Option<String>,
}

/// What is said of a package.
#[derive(Clone, Default)]
struct Mention {
    versions: BTreeSet<Arc<str>>,
    dependants: BTreeSet<Arc<str>>,
}

impl Mention {
    fn bytes(&self) -> usize {
        // Two trees of at least one node each, and the texts.
        480 + 32 * (self.versions.len() + self.dependants.len())
    }
}

/// All that is said of a package.
struct Package {
    name: Arc<str>,
    /// The files that mention it, by their places in the list.
    files: Arc<[usize]>,
    manifests: usize,
    whole: Mention,
}

/// The cache, what is asked of it, and how often.
struct Survey {
    cache: Cache<Question, Answer>,
    sources: Vec<Source>,
    files: Asked,
    packages: Asked,
}

#[derive(Default)]
struct Asked {
    asked: AtomicU64,
    computed: AtomicU64,
}

impl Asked {
    fn take(&self) -> (u64, u64) {
        (self.asked.swap(0, Ordering::Relaxed), self.computed.swap(0, Ordering::Relaxed))
    }
}

/// Which files mention which package.
type Index = BTreeMap<Arc<str>, Arc<[usize]>>;

/// What a pass came to.
struct Pass {
    packages: Vec<Arc<Package>>,
    problems: Vec<String>,
}

impl Survey {
    fn new(sources: Vec<Source>) -> larder::Result<Arc<Self>> {
        let cache = Cache::builder()
            .capacity(MAX_CACHE_BYTES)
            .weigher(|_, answer: &Answer| answer.weight())
            .build()?;
        let (files, packages) = (Asked::default(), Asked::default());
        Ok(Arc::new(Self { cache, sources, files, packages }))
    }

    /// Asks for everything: first all files, then from each file all packages that it mentions.
    async fn pass(self: &Arc<Self>, title: &str) -> larder::Result<Pass> {
        let start = SystemClock.now();
        let read = |survey: Arc<Self>, file: usize| async move {
            survey.file(&survey.sources[file]).await
        };
        let all: Vec<_> = (0..self.sources.len()).collect();
        let parsed = self.each(all, read).await?;

        let mut index = BTreeMap::<_, Vec<usize>>::new();
        let mut problems = Vec::new();
        for (file, parsed) in &parsed {
            for name in parsed.mentions.keys() {
                index.entry(Arc::clone(name)).or_default().push(*file);
            }
            let path = self.sources[*file].path.display();
            problems.extend(parsed.problem.iter().map(|problem| format!("{path}: {problem}")));
        }
        let index: Index = index.into_iter().map(|(name, files)| (name, files.into())).collect();
        let index = Arc::new(index);

        let ask = |survey: Arc<Self>, (names, index): (Vec<Arc<str>>, Arc<Index>)| async move {
            let mut packages = Vec::with_capacity(names.len());
            for name in names {
                let files = &index[&name];
                packages.push(survey.package(&name, files).await?);
            }
            Ok(packages)
        };
        let asked = parsed.iter().map(|(_, parsed)| parsed.mentions.keys().cloned().collect());
        let asked = asked.map(|names: Vec<Arc<str>>| (names, Arc::clone(&index))).collect();
        let mut packages = BTreeMap::new();
        for (_, asked) in self.each(asked, ask).await? {
            packages.extend(asked.into_iter().map(|package| (Arc::clone(&package.name), package)));
        }

        let time = took(SystemClock.now().since(start));
        let (files, computed_files) = self.files.take();
        let (summaries, computed_summaries) = self.packages.take();
        say!("{title}: {time}");
        say!("  files:    asked {files:>9}, computed {computed_files:>7}");
        say!("  packages: asked {summaries:>9}, computed {computed_summaries:>7}");
        Ok(Pass { packages: packages.into_values().collect(), problems })
    }

    /// Does a job for each of many things, on a bounded number of tasks. Results are in order.
    async fn each<T, R, F>(
        self: &Arc<Self>,
        things: Vec<T>,
        job: impl Fn(Arc<Self>, T) -> F + Clone + Send + 'static,
    ) -> larder::Result<Vec<(usize, R)>>
    where
        T: Clone + Send + Sync + 'static,
        R: Send + 'static,
        F: Future<Output = larder::Result<R>> + Send,
    {
        let (things, next) = (Arc::new(things), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let (survey, things, next) = (Arc::clone(self), Arc::clone(&things), Arc::clone(&next));
            let job = job.clone();
            tasks.spawn(async move {
                let mut done = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(thing) = things.get(index) else { return Ok(done) };
                    done.push((index, job(Arc::clone(&survey), thing.clone()).await?));
                }
            });
        }
        let done: larder::Result<Vec<_>> = tasks.join_all().await.into_iter().collect();
        let mut done: Vec<_> = done?.into_iter().flatten().collect();
        done.sort_by_key(|(index, _)| *index);
        Ok(done)
    }

    /// What is in a file: parsed when it is first asked for.
    async fn file(self: &Arc<Self>, source: &Source) -> larder::Result<Arc<Parsed>> {
        self.files.asked.fetch_add(1, Ordering::Relaxed);
        let (survey, path, is_lock) = (Arc::clone(self), source.path.clone(), source.is_lock);
        let loader = move || async move {
            survey.files.computed.fetch_add(1, Ordering::Relaxed);
            let parsed = tokio::task::spawn_blocking(move || parse(&path, is_lock)).await?;
            Ok::<_, tokio::task::JoinError>(Answer::File(Arc::new(parsed)))
        };
        let tagged = self.cache.with(Options::new().tags([Arc::clone(&source.tag)]));
        let answer = tagged.try_get_with(&Question::File(Arc::clone(&source.tag)), loader).await?;
        let Answer::File(parsed) = answer else { unreachable!("a file is what was loaded") };
        Ok(parsed)
    }

    /// What is known of a package: summed up over the files that mention it when first asked for.
    async fn package(
        self: &Arc<Self>,
        name: &Arc<str>,
        files: &Arc<[usize]>,
    ) -> larder::Result<Arc<Package>> {
        self.packages.asked.fetch_add(1, Ordering::Relaxed);
        let question = Question::Package(Arc::clone(name));
        loop {
            let (survey, name, named) = (Arc::clone(self), Arc::clone(name), Arc::clone(files));
            let loader = move |load: Load<Question, Answer>| async move {
                survey.packages.computed.fetch_add(1, Ordering::Relaxed);
                // Named here, a hit does not have to name them.
                load.tags(named.iter().map(|file| survey.sources[*file].tag.clone())).await?;
                let package = survey.sum_up(name, named).await?;
                Ok::<_, larder::Error>(Answer::Package(Arc::new(package)))
            };
            let answer = self.cache.load(&question, loader).await?;
            let Some(Answer::Package(package)) = answer else { unreachable!("so it was loaded") };
            if package.files == *files {
                return Ok(package);
            }
            // A file that did not mention it before does now: no tag of the summary says so.
            self.cache.invalidate(&question).await?;
        }
    }

    async fn sum_up(
        self: &Arc<Self>,
        name: Arc<str>,
        files: Arc<[usize]>,
    ) -> larder::Result<Package> {
        let (mut manifests, mut whole) = (0, Mention::default());
        for file in files.iter() {
            let source = &self.sources[*file];
            let parsed = self.file(source).await?;
            let Some(mention) = parsed.mentions.get(&name) else { continue };
            manifests += usize::from(!source.is_lock);
            whole.versions.extend(mention.versions.iter().cloned());
            whole.dependants.extend(mention.dependants.iter().cloned());
        }
        Ok(Package { name, files, manifests, whole })
    }
}

/// Reads and parses a file. Whatever is wrong with it is part of the answer.
fn parse(path: &Path, is_lock: bool) -> Parsed {
    let mut parsed = Parsed::default();
    let table = read(path)
        .and_then(|text| text.parse::<toml::Table>().map_err(|error| error.message().to_owned()));
    match table {
        Ok(table) if is_lock => parsed.read_lock(&table),
        Ok(table) => parsed.read_manifest(&table),
        Err(problem) => parsed.problem = Some(problem),
    }
    parsed
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 == MAX_FILE_BYTES {
        return Err("too large".to_owned());
    }
    Ok(text)
}

impl Parsed {
    fn read_manifest(&mut self, table: &toml::Table) {
        let package = table.get("package").and_then(|package| package.as_table());
        let field = |name| package.and_then(|package| package.get(name)?.as_str());
        let own = field("name");
        if let Some(name) = own {
            let versions = &mut self.mention(name).versions;
            versions.extend(field("version").map(Arc::from));
        }
        let targets = table.get("target").and_then(|target| target.as_table());
        let targets = targets.into_iter().flat_map(|target| target.values());
        let tables = [table].into_iter().chain(targets.filter_map(|target| target.as_table()));
        for table in tables {
            for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let section = table.get(section).and_then(|section| section.as_table());
                for (name, dependency) in section.into_iter().flatten() {
                    let renamed = dependency.get("package").and_then(|name| name.as_str());
                    let mention = self.mention(renamed.unwrap_or(name));
                    mention.dependants.extend(own.map(Arc::from));
                }
            }
        }
    }

    fn read_lock(&mut self, table: &toml::Table) {
        let packages = table.get("package").and_then(|packages| packages.as_array());
        for package in packages.into_iter().flatten() {
            let Some(name) = package.get("name").and_then(|name| name.as_str()) else { continue };
            let version = package.get("version").and_then(|version| version.as_str());
            self.mention(name).versions.extend(version.map(Arc::from));
            let needed = package.get("dependencies").and_then(|needed| needed.as_array());
            for needed in needed.into_iter().flatten().filter_map(|needed| needed.as_str()) {
                // "name", "name version" or "name version (source)".
                let needed = needed.split(' ').next().unwrap_or(needed);
                self.mention(needed).dependants.insert(name.into());
            }
        }
    }

    fn mention(&mut self, name: &str) -> &mut Mention {
        self.mentions.entry(name.into()).or_default()
    }
}

fn summarize(packages: &[Arc<Package>]) {
    let manifests: usize = packages.iter().map(|package| package.manifests).sum();
    let files: usize = packages.iter().map(|package| package.files.len()).sum();
    let locks = files - manifests;
    say!(
        "\n{} packages, named {manifests} times by manifests, {locks} times by lockfiles",
        packages.len()
    );

    let mut by_dependants: Vec<_> = packages.iter().collect();
    by_dependants.sort_by_key(|package| std::cmp::Reverse(package.whole.dependants.len()));
    let lines = by_dependants.iter().map(|package| {
        let (name, Package { files, whole, .. }) = (&package.name, &***package);
        format!("{name}: by {} packages, in {} files", whole.dependants.len(), files.len())
    });
    list("most depended upon", packages.len(), lines);

    let mut several: Vec<_> =
        packages.iter().filter(|package| package.whole.versions.len() > 1).collect();
    several.sort_by_key(|package| std::cmp::Reverse(package.whole.versions.len()));
    let lines = several.iter().map(|package| {
        let mut versions: Vec<_> = package.whole.versions.iter().collect();
        versions.sort_by_cached_key(|version| numbers(version));
        let few =
            versions.iter().take(FEW).map(|version| &***version).collect::<Vec<_>>().join(", ");
        let more = if versions.len() > FEW { ", …" } else { "" };
        format!("{}: {} versions: {few}{more}", package.name, versions.len())
    });
    list("in several versions", several.len(), lines);
}

/// A version's numbers, so that 1.10 comes after 1.9.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn list(title: &str, count: usize, lines: impl Iterator<Item = String>) {
    say!("\n{title} ({count}):");
    for line in lines.take(FEW) {
        say!("  {line}");
    }
}

fn took(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
