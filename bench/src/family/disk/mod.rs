//! Records on disk beside SQLite by itself, in the same mode, with prepared statements.
//!
//! The measurements are reads by one thread and by 16 tasks, writes by one thread and by 16 tasks,
//! batches, the bytes on disk, and the time to open an existing store. Both sides have the same
//! number of keys, written in the same order, and read the same ones. All run in this process,
//! alternately in each round: files are measured, and both sides have the same ones.

mod bare;
mod larder;
mod python;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use self::bare::Bare;
use self::larder::Disk;
use self::python::Python;
use super::compare::{Contender, compare};
use super::scratch::Scratch;
use crate::bench::Bench;
use crate::failure::Result;
use crate::random::Random;
use crate::report::{Report, rounded};
use crate::table::Table;

/// Fills both sides with small values and with larger ones, and compares them.
///
/// # Errors
/// An error if results cannot be written.
pub fn run(bench: &Bench, report: &mut Report) -> Result {
    if !bench.has_workload(NAME) {
        return Ok(());
    }
    let entries = if bench.is_quick { 20_000 } else { 200_000 };
    let family = Family {
        rounds: bench.rounds(7, 2),
        operations: if bench.is_quick { 2_000 } else { 20_000 },
        alone: Builder::new_current_thread().build().expect("it starts"),
        runtime: Builder::new_multi_thread().worker_threads(2).build().expect("it starts"),
    };
    for (length, count) in [(100, entries), (4_096, entries / 4)] {
        let folder = Scratch::new(NAME)?;
        let bare = Bare::filled(&folder.path.join("bare"), count, length);
        let disk = Disk::filled(&folder.path.join("larder"), count, length);
        let python = bench.python.as_ref().map(|python| {
            let peer = Python { program: python.clone(), folder: folder.path.join("diskcache") };
            peer.run("fill", length, count, 0);
            peer
        });
        if length == 100 {
            sizes(report, &bare, &disk, count, length)?;
            family.opening(report, &bare, &disk)?;
        }
        // The work that the filling has deferred is done meanwhile.
        std::thread::sleep(Duration::from_secs(3));
        family.reads(report, &bare, &disk, count, length)?;
        if let Some(python) = &python {
            family.beside_python(report, &disk, python, count, length)?;
        }
        family.writes(report, &bare, &disk, count, length)?;
    }
    Ok(())
}

struct Family {
    rounds: usize,
    operations: usize,
    /// The runtime for the work of one thread.
    alone: Runtime,
    runtime: Runtime,
}

impl Family {
    fn compare(&self, report: &mut Report, title: &str, contenders: Vec<Contender<'_>>) -> Result {
        compare(report, self.rounds, NAME, title, "µs", contenders)
    }

    fn reads(
        &self,
        report: &mut Report,
        bare: &Bare,
        disk: &Disk,
        count: usize,
        length: usize,
    ) -> Result {
        let operations = self.operations;
        let mut connections = [(); 2].map(|()| bare::open(&bare.path));
        self.compare(
            report,
            &format!("get of {length} bytes, one thread"),
            vec![
                Contender::new("rusqlite", || {
                    let mut random = random();
                    micros(operations, || bare::get(bare.connection(), random.below(count), length))
                }),
                Contender::new("larder-disk", || self.gets(disk, count, length)),
            ],
        )?;
        self.compare(
            report,
            &format!("get of {length} bytes, 16 tasks on two threads"),
            vec![
                Contender::new("rusqlite, two threads", || {
                    let start = Instant::now();
                    std::thread::scope(|scope| {
                        for connection in &mut connections {
                            scope.spawn(move || {
                                let mut random = random();
                                for _ in 0..operations / 2 {
                                    bare::get(connection, random.below(count), length);
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
            ],
        )?;
        Ok(())
    }

    fn writes(
        &self,
        report: &mut Report,
        bare: &Bare,
        disk: &Disk,
        count: usize,
        length: usize,
    ) -> Result {
        let operations = self.operations;
        self.compare(
            report,
            &format!("set of {length} bytes, one writer and 16"),
            vec![
                Contender::new("rusqlite, one, autocommit", || {
                    let mut random = random();
                    micros(operations, || bare::set(bare.connection(), random.below(count), length))
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
            ],
        )?;
        self.compare(
            report,
            &format!("set of 1,000 times {length} bytes at once"),
            vec![
                Contender::new("rusqlite, one transaction", || {
                    let (connection, mut random) = (bare.connection(), random());
                    let start = Instant::now();
                    for _ in 0..operations / 2_000 {
                        connection.execute_batch("BEGIN IMMEDIATE").expect("it begins");
                        for _ in 0..1_000 {
                            bare::set(connection, random.below(count), length);
                        }
                        connection.execute_batch("COMMIT").expect("it ends");
                    }
                    per(start, operations / 2_000 * 1_000)
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
            ],
        )?;
        Ok(())
    }

    fn beside_python(
        &self,
        report: &mut Report,
        disk: &Disk,
        python: &Python,
        count: usize,
        length: usize,
    ) -> Result {
        let operations = self.operations;
        self.compare(
            report,
            &format!("get of {length} bytes, beside Python"),
            vec![
                Contender::new("larder-disk, one task", || self.gets(disk, count, length)),
                Contender::new("diskcache", || python.run("get", length, count, operations)),
            ],
        )?;
        self.compare(
            report,
            &format!("set of {length} bytes, beside Python"),
            vec![
                Contender::new("larder-disk, 16 tasks", || self.sets_by_tasks(disk, count, length)),
                Contender::new("diskcache", || python.run("set", length, count, operations / 4)),
            ],
        )?;
        Ok(())
    }

    fn opening(&self, report: &mut Report, bare: &Bare, disk: &Disk) -> Result {
        let (bare, disk) = (bare.path.clone(), disk.folder.clone());
        self.compare(
            report,
            "open, one get",
            vec![
                Contender::new("rusqlite", || {
                    let start = Instant::now();
                    bare::get(&bare::open(&bare), 17, 100);
                    per(start, 1)
                }),
                Contender::new("larder-disk", || {
                    let start = Instant::now();
                    let disk = Disk::open(&disk);
                    self.runtime.block_on(disk.get(17, 100));
                    per(start, 1)
                }),
            ],
        )?;
        Ok(())
    }

    /// Runs one task that reads random records.
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

    /// Runs sixteen tasks that write random records.
    fn sets_by_tasks(&self, disk: &Disk, count: usize, length: usize) -> f64 {
        let sets = move |disk: Disk, mut random: Random, share| async move {
            for _ in 0..share {
                disk.set(random.below(count), length).await;
            }
        };
        self.tasks(self.operations, sets, disk)
    }

    /// Runs sixteen tasks that share this many operations.
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

fn sizes(report: &mut Report, bare: &Bare, disk: &Disk, count: usize, length: usize) -> Result {
    let key = disk.key(0).name().len();
    let columns = ["contestant", "bytes/entry", "per byte of value", "per byte of key and value"];
    let mut table = Table::new(&columns);
    for (name, bytes) in [("rusqlite", bare.used_bytes()), ("larder-disk", disk.used_bytes())] {
        let each = bytes as f64 / count as f64;
        let (value, both) = (each / length as f64, each / (length + key) as f64);
        let cells = [format!("{each:.0}"), format!("{value:.2}"), format!("{both:.2}")];
        table.row(std::iter::once(name.to_owned()).chain(cells));
        report.line(&json!({
            "workload": "disk_bytes",
            "contestant": name,
            "entries": count,
            "bytes": rounded(each),
        }))?;
    }
    let title = format!("disk: {count} entries of {length} bytes under keys of {key}");
    table.print(&title);
    Ok(())
}

/// Returns all indices in a random order, the same each time.
fn shuffled(count: usize) -> Vec<usize> {
    let (mut all, mut random) = ((0..count).collect::<Vec<_>>(), Random::new(3));
    for index in (1..count).rev() {
        all.swap(index, random.below(index + 1));
    }
    all
}

/// Returns other numbers each time: records that were written together are not written together
/// again.
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

const NAME: &str = "disk";
const TASKS: usize = 16;
