//! Encoding entries on a few threads, in the order in which they are to be written.
//!
//! Most of an entry's time is waiting for memory, which several threads do side by side. Each
//! thread takes every n-th run of hashes and hands over its blocks through a short queue of its
//! own. The thread that writes reads the queues one after the other, so no more than a few blocks
//! are ever in memory.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use larder_core::{Error, Result};

use crate::snapshot::block::Block;

/// A message from an encoding thread.
enum Part {
    Block(Block),
    /// The end of a run, with the first error that kept an entry of it from being encoded.
    End(Option<Error>),
}

/// Calls `put` for each key with one of the hashes, to append its entry to a block, if there is
/// one; then `write` writes the blocks. Returns the first error of `put`. An entry with an error is
/// left out.
///
/// # Errors
/// The errors of `write`, and of starting the threads.
pub(super) fn encode<K>(
    hashes: &[u64],
    keys: impl Fn(u64) -> Vec<K> + Sync,
    put: impl Fn(u64, &K, &mut Vec<u8>) -> Result<bool> + Sync,
    mut write: impl FnMut(Block) -> io::Result<()>,
) -> io::Result<Option<Error>> {
    let runs = hashes.chunks(RUN);
    let threads = thread::available_parallelism().map_or(1, usize::from).clamp(1, MOST_THREADS);
    thread::scope(|scope| {
        let mut queues = Vec::new();
        for first in 0..threads.min(runs.len()) {
            let (parts, queue) = sync_channel(QUEUE);
            let (own, keys, put) = (runs.clone().skip(first).step_by(threads), &keys, &put);
            let run =
                move || own.take_while(|run| encode_run(run, keys, put, &parts).is_some()).count();
            thread::Builder::new().name("larder-save".to_owned()).spawn_scoped(scope, run)?;
            queues.push(queue);
        }
        let mut refused = None;
        for queue in queues.iter().cycle().take(runs.len()) {
            let error = write_run(queue, &mut write)?;
            refused = refused.or(error);
        }
        Ok(refused)
    })
}

/// Encodes the entries of a run. None if nobody wants them any more.
fn encode_run<K>(
    run: &[u64],
    keys: &impl Fn(u64) -> Vec<K>,
    put: &impl Fn(u64, &K, &mut Vec<u8>) -> Result<bool>,
    parts: &SyncSender<Part>,
) -> Option<()> {
    let (mut block, mut refused) = (Block::new(), None);
    let keys = run.iter().flat_map(|&hash| keys(hash).into_iter().map(move |key| (hash, key)));
    for (hash, key) in keys {
        if let Err(error) = block.add(|bytes| put(hash, &key, bytes)) {
            refused.get_or_insert(error);
        }
        if block.is_full() {
            let full = std::mem::replace(&mut block, Block::new());
            parts.send(Part::Block(full)).ok()?;
        }
    }
    if !block.is_empty() {
        parts.send(Part::Block(block)).ok()?;
    }
    parts.send(Part::End(refused)).ok()
}

/// Writes the blocks of a run. Returns the error that kept an entry of it from being encoded.
fn write_run(
    queue: &Receiver<Part>,
    write: &mut impl FnMut(Block) -> io::Result<()>,
) -> io::Result<Option<Error>> {
    loop {
        match queue.recv() {
            Ok(Part::Block(block)) => write(block)?,
            Ok(Part::End(refused)) => return Ok(refused),
            Err(_) => return Err(io::Error::other("a thread that encodes has panicked")),
        }
    }
}

/// The number of hashes in a run: some blocks' worth of small entries.
const RUN: usize = 8_192;

/// The largest number of blocks that wait in a queue.
const QUEUE: usize = 2;

/// The largest number of threads: a save is not in such a hurry that it would take all processors.
const MOST_THREADS: usize = 4;
