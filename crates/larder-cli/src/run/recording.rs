//! The recording of a running command's output, up to a limit.

use crate::run::answer::{Answer, Stream};

/// The answer, so far, of a command that still runs.
pub(super) struct Recording {
    chunks: Vec<(Stream, u64)>,
    bytes: Vec<u8>,
    limit: u64,
    /// The reason why the recording is not whole.
    gap: Option<Gap>,
}

/// The reason why a recording is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// The output is longer than the limit.
    TooLong,
    /// The caller did not read the output to its end, so we did not either.
    Unread,
}

impl Recording {
    /// Returns an empty recording of at most this many bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { chunks: Vec::new(), bytes: Vec::new(), limit, gap: None }
    }

    /// Adds bytes that arrived on a stream.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        if self.gap.is_some() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        let length = bytes.len() as u64;
        match self.chunks.last_mut() {
            Some((last, total)) if *last == stream => *total += length,
            _ => self.chunks.push((stream, length)),
        }
        // A change of stream takes room as well, so that no command makes the list endless.
        let turns = (self.chunks.len() as u64 - 1) * TURN_BYTES;
        if self.bytes.len() as u64 + turns > self.limit {
            self.leave_out(Gap::TooLong);
        }
    }

    /// Notes that the recording is not whole, and keeps no more of it.
    pub(super) fn leave_out(&mut self, gap: Gap) {
        self.gap.get_or_insert(gap);
        (self.chunks, self.bytes) = (Vec::new(), Vec::new());
    }

    /// Returns the answer with this status, if the recording is whole.
    pub(super) fn finish(self, status: u8) -> Result<Answer, Gap> {
        match self.gap {
            Some(gap) => Err(gap),
            None => Ok(Answer::new(status, self.chunks, self.bytes.into())),
        }
    }
}

/// The bytes that a change of stream counts for.
const TURN_BYTES: u64 = 8;

#[cfg(test)]
mod tests {
    use super::{Gap, Recording};
    use crate::run::answer::Stream::{Stderr, Stdout};

    #[test]
    fn chunks_come_back_in_order_and_neighbours_are_one() {
        let mut recording = Recording::new(100);
        for (stream, text) in [(Stdout, "a"), (Stdout, "b"), (Stderr, "c"), (Stdout, "d")] {
            recording.push(stream, text.as_bytes());
        }
        let answer = recording.finish(3).unwrap();
        let chunks: Vec<_> = answer.chunks().collect();
        let expected: [(_, &[u8]); 3] = [(Stdout, b"ab"), (Stderr, b"c"), (Stdout, b"d")];
        assert_eq!((answer.status, chunks), (3, expected.to_vec()));
    }

    #[test]
    fn the_limit_is_the_last_length_that_is_kept() {
        let whole = |bytes: &[u8]| {
            let mut recording = Recording::new(3);
            recording.push(Stdout, bytes);
            recording.finish(0).map(drop)
        };
        assert_eq!(whole(b"abc"), Ok(()));
        assert_eq!(whole(b"abcd"), Err(Gap::TooLong));
    }

    #[test]
    fn turns_between_streams_count() {
        let mut recording = Recording::new(64);
        for _ in 0..10 {
            recording.push(Stdout, b"a");
            recording.push(Stderr, b"b");
        }
        assert_eq!(recording.finish(0).map(drop), Err(Gap::TooLong));
    }
}
