//! The output: aligned and coloured for people, plain in a pipe, JSON for programs.
//!
//! The only file that writes results to stdout or remarks to stderr.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::time::Duration;

use larder::backend::NEVER;
use serde::Serialize;

use crate::exit::Failure;

/// The printer of a sub-command's result.
pub(crate) struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    form: Form,
}

/// The reader for whom the result is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A person at a terminal.
    Person { colour: bool },
    /// A pipe or a file.
    Plain,
    /// A program that asked for JSON.
    Json,
}

impl Printer {
    /// Prints JSON if asked for, else the form that suits stdout.
    pub(crate) fn new(json: bool) -> Self {
        let stdout = io::stdout();
        let form = match (json, stdout.is_terminal()) {
            (true, _) => Form::Json,
            (false, true) => Form::Person { colour: wants_colour() },
            (false, false) => Form::Plain,
        };
        Self { out: BufWriter::new(stdout.lock()), form }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    pub(crate) fn is_person(&self) -> bool {
        matches!(self.form, Form::Person { .. })
    }

    /// Prints one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, value)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Prints one object of JSON, or its meaning as a line of text.
    pub(crate) fn result(&mut self, json: &impl Serialize, text: &str) -> Result<(), Failure> {
        if self.is_json() { self.json(json) } else { self.line(text) }
    }

    /// Prints one line of text.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Prints a key on a line of its own. At a terminal its control characters are shown, not
    /// obeyed.
    pub(crate) fn key(&mut self, key: &str) -> Result<(), Failure> {
        if self.is_person() {
            return self.line(&harmless(key));
        }
        self.line(key)
    }

    /// Prints bytes as they are; at a terminal with a line break after them.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes)?;
        if self.is_person() && !bytes.ends_with(b"\n") {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Prints names and values, aligned for people and with a tab between them for pipes.
    pub(crate) fn table(&mut self, rows: &[(&str, String)]) -> Result<(), Failure> {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            match self.form {
                Form::Person { colour: true } => {
                    writeln!(self.out, "\x1b[1m{name:width$}\x1b[0m  {}", harmless(value))?;
                }
                Form::Person { colour: false } => {
                    writeln!(self.out, "{name:width$}  {}", harmless(value))?;
                }
                _ => writeln!(self.out, "{name}\t{value}")?,
            }
        }
        Ok(())
    }

    /// Prints numbers under headings, to the right for people and with a tab between them for
    /// pipes.
    pub(crate) fn columns<const N: usize>(
        &mut self,
        headings: [&str; N],
        rows: &[[String; N]],
    ) -> Result<(), Failure> {
        let is_person = self.is_person();
        let widths: [usize; N] = std::array::from_fn(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(String::len);
            let heading = headings.get(column).map_or(0, |heading| heading.len());
            cells.fold(heading, usize::max)
        });
        let aligned = |cells: [&str; N]| {
            if !is_person {
                return cells.join("\t");
            }
            let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}"));
            cells.collect::<Vec<_>>().join("  ")
        };
        let heading = aligned(headings);
        match self.form {
            Form::Person { colour: true } => self.line(&format!("\x1b[1m{heading}\x1b[0m"))?,
            _ => self.line(&heading)?,
        }
        for row in rows {
            self.line(&aligned(row.each_ref().map(String::as_str)))?;
        }
        Ok(())
    }

    /// Writes everything out.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// Prints a remark to the user on stderr. A failure to write it is ignored.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "larder: {text}");
}

/// True unless `NO_COLOR` is set to some text.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn harmless(text: &str) -> String {
    let shown = |char: char| {
        if char.is_control() { char.escape_default().collect() } else { String::from(char) }
    };
    text.chars().map(shown).collect()
}

/// Returns a duration as people say it: whole seconds, milliseconds below one.
pub(crate) fn span(duration: Duration) -> String {
    if duration == NEVER {
        return "never".to_owned();
    }
    let whole = match duration.as_secs() {
        0 => Duration::from_millis(u64::from(duration.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    };
    humantime::format_duration(whole).to_string()
}

/// Returns seconds for programs; none for ever.
pub(crate) fn seconds(duration: Duration) -> Option<f64> {
    (duration != NEVER).then_some(duration.as_secs_f64())
}

/// Returns a number of bytes as people say it.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((unit, name)) => {
            let tenths = bytes.saturating_mul(10) / unit;
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{harmless, size, span};

    #[test]
    fn spans_and_sizes_are_short() {
        assert_eq!(span(Duration::from_millis(3_723_456)), "1h 2m 3s");
        assert_eq!(span(Duration::from_micros(12_900)), "12ms");
        assert_eq!(span(Duration::MAX), "never");
        assert_eq!([size(1_023), size(1_536), size(5 << 30)], ["1023 B", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do_by_a_key() {
        assert_eq!(harmless("a\x1b[2J\nb\u{e9}"), "a\\u{1b}[2J\\nb\u{e9}");
    }
}
