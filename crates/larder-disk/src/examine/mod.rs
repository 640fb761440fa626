//! Examination and repair of a store while other processes use it, and the report of both.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use larder_core::{Key, Result, StoreTime};
use rusqlite::Connection;

use crate::bound::room::{self, DiskUsage};
use crate::config::DiskConfig;
use crate::error::{is_damage, of_files, of_sqlite};
use crate::examine::report::{Finding, Problem, Report};
use crate::folder::identity::Identity;
use crate::folder::lock::{self, Hold};
use crate::folder::quarantine;
use crate::folder::{DATABASE, Folder, UNFINISHED};
use crate::record::change::drop_damaged;
use crate::record::row::{self, Found, ROW_COLUMNS, Unreadable, select_row};
use crate::store::connection::{self, Role};
use crate::store::origin::Origin;
use crate::store::replace::replace;
use crate::store::schema;
use crate::store::transaction::transact;
use crate::time::wait::Until;

pub(crate) mod report;

/// The mode of an examination: look only, or repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Examine {
    /// Reports findings and changes nothing.
    Look,
    /// Repairs the findings.
    Repair,
}

/// Examines the store of this configuration. Of its settings, the folder matters most.
///
/// Other processes may use the store meanwhile. The examination reads all of the store, which takes
/// a while if the store is large. Without a folder, or a database in it, nothing is found and
/// nothing is created.
///
/// # Errors
/// Errors as of [`DiskBackend::open`](crate::DiskBackend::open), except those that are reported as
/// findings.
pub fn examine(config: &DiskConfig, how: Examine) -> Result<Report> {
    let mut report = Report::default();
    let Some(folder) = Folder::present(&config.folder)? else { return Ok(report) };
    let examination = Examination { config, how, folder: &folder };
    examination.modes(&mut report)?;
    examination.unfinished(&mut report)?;
    if folder.has_database() {
        examination.database(&mut report)?;
    }
    let set_aside = quarantine::names(&folder).map_err(files)?;
    report.set_aside = set_aside.iter().map(|name| folder.join(name)).collect();
    Ok(report)
}

struct Examination<'a> {
    config: &'a DiskConfig,
    how: Examine,
    folder: &'a Folder,
}

/// The state of a database from inside.
struct Inside {
    /// None if SQLite finds nothing wrong.
    complaint: Option<String>,
    damaged: Vec<(i64, Key)>,
}

impl Examination<'_> {
    fn modes(&self, report: &mut Report) -> Result<()> {
        let files_of_ours = self.folder.own_files().map_err(files)?;
        // An empty folder may belong to any program, so its rights are not changed.
        let is_ours = self.folder.is_marked().map_err(files)? || self.folder.has_database();
        for path in std::iter::once(self.folder.join("")).chain(files_of_ours) {
            let Ok(found) = path.symlink_metadata() else { continue };
            let mode = found.mode() & 0o7777;
            let is_open = mode & 0o077 != 0;
            if found.is_symlink() || !is_open {
                continue;
            }
            let is_mended = self.how == Examine::Repair && is_ours;
            if is_mended {
                let owner_only = Permissions::from_mode(mode & 0o700);
                fs::set_permissions(&path, owner_only).map_err(files)?;
            }
            let problem = Problem::Open { path: trimmed(&path), mode };
            report.findings.push(Finding { problem, is_mended });
        }
        Ok(())
    }

    fn unfinished(&self, report: &mut Report) -> Result<()> {
        let count = || {
            let names = self.folder.names().map_err(files)?;
            Ok(names.iter().filter(|name| name.starts_with(UNFINISHED)).count() as u64)
        };
        if count()? == 0 {
            return Ok(());
        }
        // A process that is about to finish a database holds the lock.
        let alone = lock::alone(self.folder, self.until())?;
        let unfinished = count()?;
        if unfinished > 0 && self.how == Examine::Repair {
            self.folder.remove_unfinished().map_err(files)?;
        }
        drop(alone);
        if unfinished > 0 {
            self.tell(report, Problem::Unfinished { files: unfinished });
        }
        Ok(())
    }

    fn database(&self, report: &mut Report) -> Result<()> {
        let Some(identity) = Identity::of(&self.folder.database()) else { return Ok(()) };
        let damage = match self.inside() {
            Ok(Inside { complaint: None, damaged }) => self.records(&damaged, report)?,
            Ok(Inside { complaint: Some(complaint), .. }) => Some(complaint),
            Err(Unfit::Damage(error)) => Some(error.to_string()),
            Err(Unfit::Other(error)) => return Err(error),
        };
        if let Some(message) = damage {
            if self.how == Examine::Repair {
                replace(self.folder, identity, self.config)?;
            }
            self.tell(report, Problem::DamagedDatabase { message });
        }
        if let Ok((schema, usage)) = self.usage() {
            report.schema = Some(schema);
            report.usage = Some(usage);
        }
        Ok(())
    }

    fn inside(&self) -> Result<Inside, Unfit> {
        let connection = self.reader()?;
        schema::standing(&connection)??;
        schema::verify(&connection)?;
        Origin::read(&connection)?;
        let complaint: String =
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let complaint = Some(complaint).filter(|complaint| complaint != "ok");
        Ok(Inside { complaint, damaged: damaged(&connection)? })
    }

    /// Drops damaged records. Returns the database's complaint if that is not possible.
    fn records(&self, damaged: &[(i64, Key)], report: &mut Report) -> Result<Option<String>> {
        if damaged.is_empty() {
            return Ok(None);
        }
        let records = damaged.len() as u64;
        if self.how == Examine::Repair {
            let lock = self.folder.lock_file().map_err(files)?;
            let _hold = Hold::new(&lock, self.until())?;
            match self.drop_all(damaged) {
                Err(error) if is_damage(&error) => return Ok(Some(error.to_string())),
                done => done.map_err(|error| of_sqlite("examine", error))?,
            }
        }
        self.tell(report, Problem::DamagedRecords { records });
        Ok(None)
    }

    fn drop_all(&self, damaged: &[(i64, Key)]) -> rusqlite::Result<()> {
        // The log keeps to the store's own bound.
        let bound = Origin::read(&self.reader()?)?.bound;
        let role = Role::writer(self.config, bound);
        let connection = connection::open(&self.folder.database(), role)?;
        for some in damaged.chunks(RECORDS_PER_STEP) {
            let all = |connection: &Connection| {
                some.iter().try_for_each(|(id, key)| drop_damaged(connection, *id, key).map(drop))
            };
            transact(&connection, self.until(), all)?;
        }
        Ok(())
    }

    fn usage(&self) -> Result<(i64, DiskUsage), Unfit> {
        let connection = self.reader()?;
        let schema = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let size = |name: &str| fs::metadata(self.folder.join(name)).map_or(0, |found| found.len());
        let bound = Origin::read(&connection)?.bound;
        let usage = DiskUsage {
            records: room::records(&connection)?,
            used_bytes: room::pages(&connection)?.0,
            file_bytes: size(DATABASE),
            log_bytes: size(&format!("{DATABASE}-wal")),
            max_bytes: bound.0,
        };
        Ok((schema, usage))
    }

    fn reader(&self) -> rusqlite::Result<Connection> {
        let connection = connection::open(&self.folder.database(), Role::Reader)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        Ok(connection)
    }

    /// Returns the end of each wait for other processes.
    fn until(&self) -> Until {
        Until::after(self.config.busy_timeout)
    }

    fn tell(&self, report: &mut Report, problem: Problem) {
        report.findings.push(Finding { problem, is_mended: self.how == Examine::Repair });
    }
}

/// The reason why a database cannot be examined.
enum Unfit {
    Damage(rusqlite::Error),
    Other(larder_core::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            Self::Damage(error)
        } else {
            Self::Other(of_sqlite("examine", error))
        }
    }
}

impl From<larder_core::Error> for Unfit {
    fn from(error: larder_core::Error) -> Self {
        Self::Other(error)
    }
}

/// Returns the rows whose checks do not match.
fn damaged(connection: &Connection) -> rusqlite::Result<Vec<(i64, Key)>> {
    let sql = select_row!("name, payload FROM entries ORDER BY id");
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes =
            |index| row.get_ref(index).map(|value| row::as_bytes(value).unwrap_or_default());
        let name = Bytes::copy_from_slice(bytes(ROW_COLUMNS)?);
        match Found::of(row, StoreTime::default())? {
            Ok(found) => {
                let (id, key) = (found.id, found.key(name));
                let payload = Bytes::copy_from_slice(bytes(ROW_COLUMNS + 1)?);
                if matches!(found.record(&key, payload), Err(Unreadable::Damaged(_))) {
                    damaged.push((id, key));
                }
            }
            Err(found) => damaged.push((found.id, Key::from_stored(name, None))),
        }
    }
    Ok(damaged)
}

/// Returns a folder's path without the slash at its end.
fn trimmed(path: &Path) -> PathBuf {
    path.components().collect()
}

fn files(error: std::io::Error) -> larder_core::Error {
    of_files("examine", error)
}

const RECORDS_PER_STEP: usize = 100;
