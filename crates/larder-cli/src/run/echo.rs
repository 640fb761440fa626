//! Where a running command's output goes meanwhile.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::run::answer::Stream;

/// Whether what a command writes is seen at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// On our own streams, as it comes.
    Live,
    /// Nobody watches.
    Silent,
}

/// One of our own streams. A write waits elsewhere than on this task, whose lease must be renewed
/// also while a pager reads nothing.
pub(super) struct Sink(Option<Box<dyn AsyncWrite + Send + Unpin>>);

impl Echo {
    /// Where a stream's bytes go.
    pub(super) fn sink(self, stream: Stream) -> Sink {
        Sink(match (self, stream) {
            (Self::Silent, _) => None,
            (Self::Live, Stream::Stdout) => Some(Box::new(tokio::io::stdout())),
            (Self::Live, Stream::Stderr) => Some(Box::new(tokio::io::stderr())),
        })
    }
}

impl Sink {
    /// Writes and waits until it is written.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(stream) = &mut self.0 else { return Ok(()) };
        stream.write_all(bytes).await?;
        stream.flush().await
    }
}
