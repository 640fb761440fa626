//! A blank database. It is complete and empty when its file gets its name.

use std::fs;
use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};
use rusqlite::Connection;

use crate::bound::Bound;
use crate::config::DiskConfig;
use crate::error::{of_files, of_sqlite};
use crate::folder::{Folder, UNFINISHED, unique};
use crate::store::connection::{self, Role};
use crate::store::origin::Origin;
use crate::store::schema;
use crate::store::wal::truncate_log;
use crate::time::wait::Until;

/// Puts a blank database with this bound into a folder without one. The caller has the lock.
pub(crate) fn put(folder: &Folder, config: &DiskConfig, bound: Bound) -> Result<()> {
    let files = |error| of_files("open", error);
    folder.remove_unfinished().map_err(files)?;
    let name = format!("{UNFINISHED}{}", unique());
    drop(folder.create_file(&name).map_err(files)?);
    let path = folder.join(&name);
    let connection = connection::open(&path, Role::writer(config, bound)).map_err(failed)?;
    let first = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;";
    connection.execute_batch(first).map_err(failed)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(failed)?;
    schema::migrate(&connection, Until::after(Duration::ZERO))?;
    let origin = Origin::new(folder.file_system_now().map_err(files)?, bound);
    origin.write(&connection).map_err(failed)?;
    close(connection)?;
    fs::rename(path, folder.database()).map_err(files)
}

/// Closes a database that is whole without its log: an error of SQLite's own closing is not
/// reported.
fn close(connection: Connection) -> Result<()> {
    if !truncate_log(&connection).map_err(failed)? {
        return Err(Error::new(ErrorKind::Unavailable, "open", "the log could not be emptied"));
    }
    connection.close().map_err(|(_, error)| failed(error))
}

fn failed(error: rusqlite::Error) -> Error {
    of_sqlite("open", error)
}
