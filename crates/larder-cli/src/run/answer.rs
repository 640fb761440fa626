//! The kept answer of a command: its output in order of arrival, and its exit status.

use std::io::{self, Write};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A stream that a command writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "bool", from = "bool")]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl From<bool> for Stream {
    fn from(is_stderr: bool) -> Self {
        if is_stderr { Self::Stderr } else { Self::Stdout }
    }
}

impl From<Stream> for bool {
    fn from(stream: Stream) -> Self {
        stream == Stream::Stderr
    }
}

/// A finished command's answer.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The exit status of the command.
    pub(super) status: u8,
    /// The streams and lengths of the chunks, in order.
    chunks: Vec<(Stream, u64)>,
    bytes: Bytes,
}

impl Answer {
    pub(super) fn new(status: u8, chunks: Vec<(Stream, u64)>, bytes: Bytes) -> Self {
        Self { status, chunks, bytes }
    }

    /// Returns the chunks of output, in order of arrival.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (Stream, &[u8])> {
        let mut rest = &self.bytes[..];
        self.chunks.iter().map(move |&(stream, length)| {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
            let (chunk, after) = rest.split_at(length);
            rest = after;
            (stream, chunk)
        })
    }

    /// Writes all of the output again, each chunk to its stream.
    ///
    /// # Errors
    /// If stdout takes no more. Output that stderr does not take is lost, as for any command.
    pub(super) fn replay(&self) -> io::Result<()> {
        let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
        for (stream, chunk) in self.chunks() {
            match stream {
                Stream::Stdout => {
                    stdout.write_all(chunk)?;
                    stdout.flush()?;
                }
                Stream::Stderr => drop(stderr.write_all(chunk)),
            }
        }
        Ok(())
    }
}
