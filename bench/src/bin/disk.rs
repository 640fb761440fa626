//! Records on disk beside SQLite by itself, in the same mode, with prepared statements.
//!
//! Reads by one thread and by 16 tasks, writes by one thread and by 16 tasks, batches, what a byte
//! takes up on disk, and how long it takes to open what is there. Both know as many keys, written in
//! the same order, and are asked for the same ones.
//!
//! `--rounds` (7), `--entries` (200,000 of 100 bytes, a quarter as many of 4 KiB), `--operations`
//! (20,000), `--only` (a word of a title), `--diskcache` (a Python that has the package diskcache,
//! which then takes part).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use larder::backend::{
    Backend, Class, Expect, Key, NEVER, Namespace, Outcome, Record, Times, Write,
};
use larder_bench::{Contender, Random, Series, asked, interleave, number, ratios};
use larder_disk::{DiskBackend, DiskConfig};
use rusqlite::{Connection, params};
use tokio::runtime::{Builder, Runtime};

fn main() {
    let entries = number("entries", 200_000) as usize;
    let bench = Bench {
        rounds: number("rounds", 7) as usize,
        operations: number("operations", 20_000) as usize,
        only: asked("only").unwrap_or_default(),
        python: asked("diskcache"),
        alone: Builder::new_current_thread().build().expect("it starts"),
        runtime: Builder::new_multi_thread().worker_threads(2).build().expect("it starts"),
    };
    for (length, count) in [(100, entries), (4_096, entries / 4)] {
        let folder = Scratch::new();
        let bare = Bare::filled(&folder.0.join("bare"), count, length);
        let disk = Disk::filled(&folder.0.join("larder"), count, length);
        let python = bench.python.as_ref().map(|python| {
            let peer = Python { program: python.clone(), folder: folder.0.join("diskcache") };
            peer.run("fill", length, count, 0);
            peer
        });
        if length == 100 {
            sizes(&bare, &disk, count, length);
            bench.opening(&bare, &disk);
        }
        std::thread::sleep(std::time::Duration::from_secs(3));
        bench.reads(&bare, &disk, count, length);
        if let Some(python) = &python {
            bench.beside_python(&disk, python, count, length);
        }
        bench.writes(&bare, &disk, count, length);
    }
}

struct Bench {
    rounds: usize,
    operations: usize,
    only: String,
    python: Option<String>,
    /// For what one thread does.
    alone: Runtime,
    runtime: Runtime,
}

impl Bench {
    fn table<'a>(&self, title: &str, contenders: impl FnOnce() -> Vec<Contender<'a>>) {
        if title.contains(&self.only) {
            let series: Vec<Series> = interleave(self.rounds, contenders());
            println!("### {title}\n\n{}", ratios("µs", &series));
        }
    }

    fn reads(&self, bare: &Bare, disk: &Disk, count: usize, length: usize) {
        let operations = self.operations;
        self.table(&format!("get of {length} bytes, one thread"), || {
            vec![
                Contender::new("rusqlite", || {
                    bare.with(|connection| {
                        let mut random = random();
                        micros(operations, || bare_get(connection, random.below(count), length))
                    })
                }),
                Contender::new("larder-disk", || self.gets(disk, count, length)),
            ]
        });
        self.table(&format!("get of {length} bytes, 16 tasks on two threads"), || {
            vec![
                Contender::new("rusqlite, two threads", || {
                    let (start, path) = (Instant::now(), &bare.path);
                    std::thread::scope(|scope| {
                        for _ in 0..2 {
                            scope.spawn(move || {
                                let connection = open_bare(path);
                                let mut random = random();
                                for _ in 0..operations / 2 {
                                    bare_get(&connection, random.below(count), length);
                                }
                            });
                        }
                    });
                    per(start, operations)
                }),
                Contender::new("larder-disk, 16 tasks", || {
                    self.tasks(
                        operations,
                        |disk: Disk, mut random, share| async move {
                            for _ in 0..share {
                                disk.get(random.below(count), length).await;
                            }
                        },
                        disk,
                    )
                }),
            ]
        });
    }

    fn writes(&self, bare: &Bare, disk: &Disk, count: usize, length: usize) {
        let operations = self.operations;
        self.table(&format!("set of {length} bytes, one writer and 16"), || {
            vec![
                Contender::new("rusqlite, one, autocommit", || {
                    bare.with(|connection| {
                        let mut random = random();
                        micros(operations, || bare_set(connection, random.below(count), length))
                    })
                }),
                Contender::new("larder-disk, one task", || {
                    let mut random = random();
                    self.runtime.block_on(async {
                        let start = Instant::now();
                        for _ in 0..operations / 4 {
                            disk.set(random.below(count), length).await;
                        }
                        per(start, operations / 4)
                    })
                }),
                Contender::new("larder-disk, 16 tasks", || self.sets_by_tasks(disk, count, length)),
            ]
        });
        self.table(&format!("set of 1,000 times {length} bytes at once"), || {
            vec![
                Contender::new("rusqlite, one transaction", || {
                    bare.with(|connection| {
                        let mut random = random();
                        let start = Instant::now();
                        for _ in 0..operations / 2_000 {
                            connection.execute_batch("BEGIN IMMEDIATE").expect("it begins");
                            for _ in 0..1_000 {
                                bare_set(connection, random.below(count), length);
                            }
                            connection.execute_batch("COMMIT").expect("it ends");
                        }
                        per(start, operations / 2_000 * 1_000)
                    })
                }),
                Contender::new("larder-disk, one call", || {
                    let mut random = random();
                    self.runtime.block_on(async {
                        let start = Instant::now();
                        for _ in 0..operations / 2_000 {
                            let indices = (0..1_000).map(|_| random.below(count));
                            disk.set_all(indices, length).await;
                        }
                        per(start, operations / 2_000 * 1_000)
                    })
                }),
            ]
        });
    }

    fn beside_python(&self, disk: &Disk, python: &Python, count: usize, length: usize) {
        let operations = self.operations;
        self.table(&format!("get of {length} bytes, beside Python"), || {
            vec![
                Contender::new("larder-disk, one task", || self.gets(disk, count, length)),
                Contender::new("diskcache", || python.run("get", length, count, operations)),
            ]
        });
        self.table(&format!("set of {length} bytes, beside Python"), || {
            vec![
                Contender::new("larder-disk, 16 tasks", || self.sets_by_tasks(disk, count, length)),
                Contender::new("diskcache", || python.run("set", length, count, operations / 4)),
            ]
        });
    }

    fn opening(&self, bare: &Bare, disk: &Disk) {
        let (bare, disk) = (bare.path.clone(), disk.folder.clone());
        self.table("open, one get", || {
            vec![
                Contender::new("rusqlite", || {
                    let start = Instant::now();
                    bare_get(&open_bare(&bare), 17, 100);
                    per(start, 1)
                }),
                Contender::new("larder-disk", || {
                    let start = Instant::now();
                    let disk = Disk::open(&disk);
                    self.runtime.block_on(disk.get(17, 100));
                    per(start, 1)
                }),
            ]
        });
    }

    /// One task that reads records of chance.
    fn gets(&self, disk: &Disk, count: usize, length: usize) -> f64 {
        let mut random = random();
        self.alone.block_on(async {
            let start = Instant::now();
            for _ in 0..self.operations {
                disk.get(random.below(count), length).await;
            }
            per(start, self.operations)
        })
    }

    /// Sixteen tasks that write records of chance.
    fn sets_by_tasks(&self, disk: &Disk, count: usize, length: usize) -> f64 {
        let sets = move |disk: Disk, mut random: Random, share| async move {
            for _ in 0..share {
                disk.set(random.below(count), length).await;
            }
        };
        self.tasks(self.operations, sets, disk)
    }

    /// Sixteen tasks that share so many operations.
    fn tasks<F: Future<Output = ()> + Send + 'static>(
        &self,
        operations: usize,
        run: impl Fn(Disk, Random, usize) -> F,
        disk: &Disk,
    ) -> f64 {
        self.runtime.block_on(async {
            let start = Instant::now();
            let share = operations / TASKS;
            let spawn = |_| tokio::spawn(run(disk.clone(), random(), share));
            let tasks: Vec<_> = (0..TASKS).map(spawn).collect();
            for task in tasks {
                task.await.expect("it ends");
            }
            per(start, share * TASKS)
        })
    }
}

/// SQLite by itself.
struct Bare {
    path: PathBuf,
    connection: Connection,
}

impl Bare {
    fn filled(path: &Path, count: usize, length: usize) -> Self {
        let connection = open_bare(path);
        let table = "CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB, dies REAL)";
        connection.execute_batch(table).expect("it is made");
        for chunk in shuffled(count).chunks(1_000) {
            connection.execute_batch("BEGIN IMMEDIATE").expect("it begins");
            for index in chunk {
                bare_set(&connection, *index, length);
            }
            connection.execute_batch("COMMIT").expect("it ends");
        }
        Self { path: path.to_owned(), connection }
    }

    fn with(&self, run: impl FnOnce(&Connection) -> f64) -> f64 {
        run(&self.connection)
    }
}

fn open_bare(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("it opens");
    let mode = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";
    connection.execute_batch(mode).expect("it is set");
    connection
}

fn bare_get(connection: &Connection, index: usize, length: usize) {
    let sql = "SELECT value FROM entries WHERE key = ?1 AND (dies IS NULL OR dies > ?2)";
    let mut statement = connection.prepare_cached(sql).expect("it is prepared");
    let value: Vec<u8> =
        statement.query_row(params![text(index), 0.0], |row| row.get(0)).expect("it is there");
    assert_eq!(value.len(), length);
}

fn bare_set(connection: &Connection, index: usize, length: usize) {
    let sql = "INSERT OR REPLACE INTO entries (key, value, dies) VALUES (?1, ?2, NULL)";
    let mut statement = connection.prepare_cached(sql).expect("it is prepared");
    statement.execute(params![text(index), body(index, length)]).expect("it is stored");
}

/// Python's diskcache, in a process of its own for each sample.
struct Python {
    program: String,
    folder: PathBuf,
}

impl Python {
    fn run(&self, what: &str, length: usize, count: usize, operations: usize) -> f64 {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/diskcache_peer.py");
        let numbers = [length, count, operations].map(|number| number.to_string());
        let mut command = Command::new(&self.program);
        command.arg(script).arg(&self.folder).arg(what).args(numbers);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(f64::NAN)
    }
}

/// The same through the contract.
#[derive(Clone)]
struct Disk {
    backend: DiskBackend,
    namespace: Arc<Namespace>,
    folder: PathBuf,
}

impl Disk {
    fn open(folder: &Path) -> Self {
        let config = DiskConfig::new(folder).max_bytes(Some(4 << 30));
        let backend = DiskBackend::open(config).expect("it opens");
        let namespace = Arc::new(Namespace::new("b").expect("a short name"));
        Self { backend, namespace, folder: folder.to_owned() }
    }

    fn filled(folder: &Path, count: usize, length: usize) -> Self {
        let disk = Self::open(folder);
        let runtime = Builder::new_current_thread().build().expect("it starts");
        for chunk in shuffled(count).chunks(1_000) {
            runtime.block_on(disk.set_all(chunk.iter().copied(), length));
        }
        disk
    }

    fn key(&self, index: usize) -> Key {
        Key::new(&self.namespace, Class::Entry, text(index).as_bytes())
    }

    async fn get(&self, index: usize, length: usize) {
        let record = self.backend.read_one(&self.key(index)).await.expect("it is read");
        assert_eq!(record.expect("it is there").payload.len(), length);
    }

    async fn set(&self, index: usize, length: usize) {
        self.set_all([index], length).await;
    }

    async fn set_all(&self, indices: impl IntoIterator<Item = usize>, length: usize) {
        let write = |index| {
            let record = Record::value(body(index, length).into(), Times::new(NEVER, NEVER));
            Write { key: self.key(index), record, expect: Expect::Any }
        };
        let writes: Vec<_> = indices.into_iter().map(write).collect();
        let outcomes = self.backend.write(&writes).await;
        assert!(outcomes.iter().all(Outcome::is_done));
    }
}

fn sizes(bare: &Bare, disk: &Disk, count: usize, length: usize) {
    let usage = disk.backend.usage().expect("it tells");
    let pragma = |name| {
        let number: i64 =
            bare.connection.pragma_query_value(None, name, |row| row.get(0)).expect("it tells");
        number as u64
    };
    let bare_bytes = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
    let key = disk.key(0).name().len();
    println!("### bytes on disk, {count} entries of {length} bytes under keys of {key}\n");
    println!("| engine | bytes/entry | per byte of value | per byte of key and value |");
    println!("| ------ | ----:| ----:| ----:|");
    for (name, bytes) in [("rusqlite", bare_bytes), ("larder-disk", usage.used_bytes)] {
        let each = bytes as f64 / count as f64;
        let (value, both) = (each / length as f64, each / (length + key) as f64);
        println!("| {name} | {each:.0} | {value:.2} | {both:.2} |");
    }
    println!();
}

/// All indices in an order of chance, the same each time.
fn shuffled(count: usize) -> Vec<usize> {
    let (mut all, mut random) = ((0..count).collect::<Vec<_>>(), Random::new(3));
    for index in (1..count).rev() {
        all.swap(index, random.below(index + 1));
    }
    all
}

/// Other numbers each time: what was written together once is not written together again.
fn random() -> Random {
    static SEED: AtomicU64 = AtomicU64::new(7);
    Random::new(SEED.fetch_add(1, Ordering::Relaxed))
}

fn text(index: usize) -> String {
    format!("customer:{index:09}")
}

fn body(index: usize, length: usize) -> Vec<u8> {
    vec![index as u8; length]
}

fn micros(operations: usize, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..operations {
        run();
    }
    per(start, operations)
}

fn per(start: Instant, operations: usize) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / operations as f64
}

/// A folder that goes at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("larder-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("it is made");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const TASKS: usize = 16;
