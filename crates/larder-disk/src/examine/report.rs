//! The report of an examination.

use std::fmt;
use std::path::PathBuf;

use crate::bound::room::DiskUsage;

/// The report of [`examine`](crate::examine).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The version of the tables. None if there is no database, or none that can be read.
    pub schema: Option<i64>,
    /// The room that the store takes; none as for the schema.
    pub usage: Option<DiskUsage>,
    /// The paths of damaged databases that have been set aside, the oldest first.
    pub set_aside: Vec<PathBuf>,
    /// The problems that were found, mended or not.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns true if nothing was found, or all of it has been mended.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.is_mended)
    }
}

/// A problem that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The problem.
    pub problem: Problem,
    /// True if the problem has been mended.
    pub is_mended: bool,
}

/// A problem of a store. `Display` tells it in a lower-case fragment, without keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Users other than the owner have rights on the store.
    Open {
        /// The folder or file that others have rights on.
        path: PathBuf,
        /// The mode of the folder or file.
        mode: u32,
    },
    /// Databases were begun by processes that ended too soon.
    Unfinished {
        /// The number of files.
        files: u64,
    },
    /// Records do not match their checks. They count as nothing.
    DamagedRecords {
        /// The number of records.
        records: u64,
    },
    /// The database itself is damaged.
    DamagedDatabase {
        /// SQLite's message about the damage.
        message: String,
    },
}

impl Problem {
    /// Returns the action of a repair, in a lower-case fragment.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Open { .. } => "take the rights of others away",
            Self::Unfinished { .. } => "remove them",
            Self::DamagedRecords { .. } => "drop them",
            Self::DamagedDatabase { .. } => "set it aside and create an empty one",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, mode } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                write!(f, "others than the owner have rights on {name}: {mode:o}")
            }
            Self::Unfinished { files } => write!(f, "{files} files of unfinished databases"),
            Self::DamagedRecords { records } => write!(f, "{records} damaged records"),
            Self::DamagedDatabase { message } => write!(f, "the database is damaged: {message}"),
        }
    }
}
