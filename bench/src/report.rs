//! The files of results besides tables: lines and charts.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use larder_trace::chart::BarChart;
use serde_json::Value;

use crate::arguments::Arguments;
use crate::failure::{Failure, Result};

/// The results of a run.
#[derive(Debug)]
pub struct Report {
    lines: Option<(PathBuf, File)>,
    charts: Option<PathBuf>,
}

impl Report {
    /// Opens the report that the command line asks for. The file begins empty.
    ///
    /// # Errors
    /// An error if the file or the folder cannot be created.
    pub fn new(arguments: &Arguments) -> Result<Self> {
        let open = |path: &PathBuf| match File::create(path) {
            Ok(file) => Ok((path.clone(), file)),
            Err(error) => Err(Failure::File(path.clone(), error)),
        };
        let lines = arguments.json.as_ref().map(open).transpose()?;
        if let Some(folder) = &arguments.plot {
            fs::create_dir_all(folder).map_err(|error| Failure::File(folder.clone(), error))?;
        }
        Ok(Self { lines, charts: arguments.plot.clone() })
    }

    /// Writes a line at once, so that a run that is stopped leaves its results so far.
    ///
    /// # Errors
    /// An error if the line cannot be written.
    pub fn line(&mut self, line: &Value) -> Result {
        match &mut self.lines {
            Some((path, file)) => {
                writeln!(file, "{line}").map_err(|error| Failure::File(path.clone(), error))
            }
            None => Ok(()),
        }
    }

    /// Draws a chart into a file of this name.
    ///
    /// # Errors
    /// An error if the chart cannot be written.
    pub fn chart(&self, name: &str, chart: &BarChart) -> Result {
        match &self.charts {
            Some(folder) if !chart.groups.is_empty() => {
                let path = folder.join(format!("{name}.svg"));
                fs::write(&path, chart.to_svg()).map_err(|error| Failure::File(path, error))
            }
            _ => Ok(()),
        }
    }

    /// Writes a picture into a file of this name.
    ///
    /// # Errors
    /// An error if the picture cannot be written.
    pub fn picture(&self, name: &str, svg: &str) -> Result {
        let Some(folder) = &self.charts else { return Ok(()) };
        let path = folder.join(format!("{name}.svg"));
        fs::write(&path, svg).map_err(|error| Failure::File(path, error))
    }
}

/// Returns a number as it is written in a line: three digits after the point are enough.
pub fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
