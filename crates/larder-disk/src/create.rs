//! A complete database, put into its folder under its name at once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};
use rusqlite::Connection;

use crate::aside;
use crate::bound::Bound;
use crate::config::DiskConfig;
use crate::connection::{self, Role};
use crate::error::{of_files, of_sqlite};
use crate::folder::{Folder, UNFINISHED, unique};
use crate::lock;
use crate::origin::Origin;
use crate::schema;
use crate::wait::Until;

/// Puts a database into the folder, unless there is one.
pub(crate) fn create(folder: &Folder, config: &DiskConfig, until: Until) -> Result<()> {
    if folder.has_database() {
        return Ok(());
    }
    let _alone = lock::alone(folder, until)?;
    if folder.has_database() {
        return Ok(());
    }
    // The log of another database would be taken for the new one's.
    aside::put_away(folder)?;
    fresh(folder, config, None)
}

/// Puts an empty database into the folder that has none, with this bound. The lock is held.
pub(crate) fn fresh(folder: &Folder, config: &DiskConfig, bound: Option<Bound>) -> Result<()> {
    let files = |error| of_files("open", error);
    folder.remove_unfinished().map_err(files)?;
    let name = format!("{UNFINISHED}{}", unique());
    drop(folder.create_file(&name).map_err(files)?);
    let path = folder.join(&name);
    let bound = bound.unwrap_or(config.new_bound());
    let connection = connection::open(&path, writer(config, bound)).map_err(failed)?;
    let first = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;";
    connection.execute_batch(first).map_err(failed)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(failed)?;
    schema::migrate(&connection, Until::after(Duration::ZERO))?;
    let origin = Origin::new(folder.file_system_now().map_err(files)?, bound);
    origin.write(&connection).map_err(failed)?;
    close(connection)?;
    fs::rename(path, folder.database()).map_err(files)
}

/// The bound of a damaged database, if its own row can still be read: the check of that row says
/// whether it is right.
pub(crate) fn bound_of(damaged: &Path) -> Option<Bound> {
    let connection = connection::open(damaged, Role::Reader).ok()?;
    Origin::read(&connection).ok().map(|origin| origin.bound)
}

/// Closes a database that is whole without its log: what fails in closing nobody is told.
fn close(connection: Connection) -> Result<()> {
    let empty = "PRAGMA wal_checkpoint(TRUNCATE)";
    let is_busy: bool = connection.query_row(empty, [], |row| row.get(0)).map_err(failed)?;
    if is_busy {
        return Err(Error::new(ErrorKind::Unavailable, "open", "the log could not be emptied"));
    }
    connection.close().map_err(|(_, error)| failed(error))
}

pub(crate) fn writer(config: &DiskConfig, bound: Bound) -> Role {
    Role::Writer { durability: config.durability, wal_bytes: bound.log_bytes() }
}

fn failed(error: rusqlite::Error) -> Error {
    of_sqlite("open", error)
}
