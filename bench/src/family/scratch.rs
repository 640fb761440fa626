//! A folder for the time of a measurement.

use std::path::PathBuf;

use crate::failure::{Failure, Result};

/// It goes with what is in it when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    /// Where it is.
    pub path: PathBuf,
}

impl Scratch {
    /// An empty one in the folder for temporary files.
    ///
    /// # Errors
    /// If it cannot be made.
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
