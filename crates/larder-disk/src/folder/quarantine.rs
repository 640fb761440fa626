//! The quarantine: damaged databases under dated names, of which the newest are kept.

use std::collections::BTreeSet;
use std::fs;

use larder_core::{Error, Result};

use crate::error::of_files;
use crate::folder::{COMPANIONS, DATABASE, Folder, QUARANTINED, unique};

/// Renames the database and its companions, as far as they exist. Returns the database's new name.
///
/// The database goes first. Without it, a process that opens the other files finds nothing; a
/// database without its log would show an older state.
pub(crate) fn put_away(folder: &Folder) -> Result<Option<String>> {
    let mut name = None;
    for part in [""].into_iter().chain(COMPANIONS) {
        let from = folder.join(&format!("{DATABASE}{part}"));
        if from.symlink_metadata().is_err() {
            continue;
        }
        if name.is_none() {
            name = Some(dated_name(folder).map_err(files)?);
        }
        let to = name.as_deref().unwrap_or_default();
        fs::rename(from, folder.join(&format!("{to}{part}"))).map_err(files)?;
    }
    Ok(name)
}

/// Returns the databases in quarantine, the oldest first.
pub(crate) fn names(folder: &Folder) -> std::io::Result<BTreeSet<String>> {
    let names = folder.names()?.into_iter();
    let base = |name: String| {
        let end = COMPANIONS.iter().find_map(|companion| name.strip_suffix(companion));
        end.map_or_else(|| name.clone(), str::to_owned)
    };
    Ok(names.filter(|name| name.starts_with(QUARANTINED)).map(base).collect())
}

/// Removes all but the newest databases in quarantine.
pub(crate) fn prune(folder: &Folder) -> std::io::Result<()> {
    for name in names(folder)?.iter().rev().skip(MAX_KEPT) {
        folder.remove_database(name)?;
    }
    Ok(())
}

fn dated_name(folder: &Folder) -> std::io::Result<String> {
    let seconds = folder.file_system_now()?.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let time = format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z");
    Ok(format!("{QUARANTINED}{time}-{}", unique()))
}

/// Returns year, month and day of a day counted from 1970, by the rule of 400 years of 146,097 days
/// that begin on the first of March.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, turn) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + turn, month, day)
}

fn files(error: std::io::Error) -> Error {
    of_files("open", error)
}

/// Enough databases to find the cause of repeated damage, without filling the disk.
const MAX_KEPT: usize = 3;

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(-1), (1969, 12, 31));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_778), (2026, 11, 21));
    }
}
