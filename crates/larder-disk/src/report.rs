//! What an examination has found.

use std::fmt;
use std::path::PathBuf;

use crate::room::DiskUsage;

/// What [`examine`](crate::examine) has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The version of the tables; none if there is no database, or none that can be read.
    pub schema: Option<i64>,
    /// How much the store holds; none as for the schema.
    pub usage: Option<DiskUsage>,
    /// Where databases lie that were damaged and have been set aside, the oldest first.
    pub set_aside: Vec<PathBuf>,
    /// What is not as it should be, or was not.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether everything is as it should be, or has been mended.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.is_mended)
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub problem: Problem,
    /// Whether it has been mended.
    pub is_mended: bool,
}

/// What may be wrong with a store. `Display` tells it in a lower-case fragment, without keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Others than the owner have rights.
    Open {
        /// On this folder or file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Databases were begun by processes that ended too soon.
    Unfinished {
        /// How many files.
        files: u64,
    },
    /// Records do not match their checks. They count as nothing.
    DamagedRecords {
        /// How many.
        records: u64,
    },
    /// The database itself is damaged.
    DamagedDatabase {
        /// What SQLite says of it.
        message: String,
    },
}

impl Problem {
    /// What a repair does about it, in a lower-case fragment.
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
