//! A blank database where the folder has none, or in the place of a damaged one.

use std::path::Path;

use larder_core::{Error, ErrorKind, Result};

use crate::bound::Bound;
use crate::config::{DiskConfig, OnCorrupt};
use crate::error::{of_files, of_sqlite};
use crate::event::DiskEvent;
use crate::folder::Folder;
use crate::folder::identity::Identity;
use crate::folder::lock;
use crate::folder::quarantine;
use crate::store::blank;
use crate::store::connection::{self, Role};
use crate::store::origin::Origin;
use crate::time::wait::Until;

/// Puts a blank database into the folder, unless there is one.
pub(crate) fn create(folder: &Folder, config: &DiskConfig, until: Until) -> Result<()> {
    if folder.has_database() {
        return Ok(());
    }
    let _alone = lock::alone(folder, until)?;
    if folder.has_database() {
        return Ok(());
    }
    // SQLite would take the log of another database for the new one's.
    quarantine::put_away(folder)?;
    blank::put(folder, config, config.new_bound())
}

/// Replaces a damaged database, or fails with its damage, as the configuration says.
pub(crate) fn on_damage(
    folder: &Folder,
    damaged: Identity,
    config: &DiskConfig,
    error: rusqlite::Error,
) -> Result<()> {
    match config.on_corrupt {
        OnCorrupt::SetAside => replace(folder, damaged, config),
        OnCorrupt::Fail => Err(of_sqlite("open", error)),
    }
}

/// Puts a damaged database away and a blank one in its place, unless another process has done so.
///
/// Nothing is copied out of the damaged one: a page that cannot be trusted may hold records that
/// have been deleted since, and a cache is filled again by its loaders.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) in a folder that is not marked as a store's; and any
/// error that keeps the files from being renamed.
pub(crate) fn replace(folder: &Folder, damaged: Identity, config: &DiskConfig) -> Result<()> {
    let files = |error| of_files("open", error);
    if !folder.is_marked().map_err(files)? {
        let message = "the folder is not marked as a store's, and its database is damaged";
        return Err(Error::new(ErrorKind::InvalidInput, "open", message));
    }
    let alone = lock::alone(folder, Until::after(config.busy_timeout))?;
    if Identity::of(&folder.database()) != Some(damaged) {
        return Ok(());
    }
    let bound = config.bound.or_else(|| bound_of(&folder.database()));
    let Some(name) = quarantine::put_away(folder)? else { return Ok(()) };
    // If this fails, the next process that opens the store creates the database.
    let _ = blank::put(folder, config, bound.unwrap_or(config.new_bound()));
    quarantine::prune(folder).map_err(files)?;
    drop(alone);
    config.observer.tell(&DiskEvent::SetAside { path: folder.join(&name) });
    Ok(())
}

/// Returns the bound of a damaged database, if its own row can still be read: the check of that row
/// tells whether the bound is right.
fn bound_of(damaged: &Path) -> Option<Bound> {
    let connection = connection::open(damaged, Role::Reader).ok()?;
    Origin::read(&connection).ok().map(|origin| origin.bound)
}
