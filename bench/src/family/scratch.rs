//! A folder for the time of a measurement.

use std::path::PathBuf;

use crate::failure::{Failure, Result};

/// A folder that is removed with its content when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    /// The path of the folder.
    pub path: PathBuf,
}

impl Scratch {
    /// Creates an empty folder in the one for temporary files.
    ///
    /// # Errors
    /// An error if it cannot be created.
    pub fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("larder-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| Failure::File(path.clone(), error))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
