//! The streams for a running command's output.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::run::answer::Stream;

/// The choice whether a command's output is shown at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// The output goes to our own streams as it comes.
    Live,
    /// The output is not shown.
    Silent,
}

/// One of our own streams. A write waits on another task or thread than this one, whose lease must
/// be renewed also while a pager reads nothing.
pub(super) struct Sink(Option<Box<dyn AsyncWrite + Send + Unpin>>);

impl Echo {
    /// Returns the sink for a stream's bytes.
    pub(super) fn sink(self, stream: Stream) -> Sink {
        Sink(match (self, stream) {
            (Self::Silent, _) => None,
            (Self::Live, Stream::Stdout) => Some(Box::new(tokio::io::stdout())),
            (Self::Live, Stream::Stderr) => Some(Box::new(tokio::io::stderr())),
        })
    }
}

impl Sink {
    /// Writes the bytes and waits until they are written.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(stream) = &mut self.0 else { return Ok(()) };
        stream.write_all(bytes).await?;
        stream.flush().await
    }
}
