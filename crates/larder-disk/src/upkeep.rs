//! What the writing thread does unasked: frees the dead and makes room, in the store and on the disk,
//! notes what was used, and empties the log.

use std::sync::Arc;

use larder_core::{Error, ErrorKind, Result};

use crate::clock::coarse;
use crate::error::of_sqlite;
use crate::event::DiskEvent;
use crate::lock;
use crate::room::{self, Mercy};
use crate::space::{self, DiskSpace, Left};
use crate::writer::Writer;

impl Writer {
    /// What nobody asked for: frees the dead, notes uses, gives room back.
    pub(crate) fn tidy(&mut self) {
        if !self.is_present() {
            return;
        }
        self.flush_marks();
        let _ = self.purge_some();
        let _ = self.make_room(0);
        let _ = self.shrink();
        // Others may have filled the disk since it was last asked.
        self.space = DiskSpace::default();
        let _ = self.make_room_on_disk(TIDY_BYTES);
        // Readers need not look into a log that is empty.
        if self.checkpoints.has_logged() {
            self.empty_log();
        }
    }

    pub(crate) fn empty_log(&mut self) {
        if let Some((store, _)) = &self.open {
            self.checkpoints.start(store, &self.shared.config);
        }
    }

    /// Waits until a log that has outgrown its bound is empty: where many write it never comes to
    /// an end by itself.
    pub(crate) fn bound_log(&mut self) {
        let bound = room::wal_bytes(self.shared.config.max_bytes);
        if !self.checkpoints.is_to_be_measured(bound) {
            return;
        }
        let Some((store, connection)) = &self.open else { return };
        let busy_timeout = self.shared.config.busy_timeout;
        // A reader that keeps the log does not keep all writers.
        let end = coarse() + i64::try_from(busy_timeout.as_micros()).unwrap_or(0).min(MAX_WAIT);
        let _ = connection.busy_timeout(4 * lock::STEP);
        while store.file_bytes().1 > bound && store.is_current() && coarse() < end {
            self.checkpoints.finish();
            // SQLite does not wait for another that empties the log.
            let is_busy = store.hold(lock::STEP).is_ok_and(|_hold| {
                connection.query_row(EMPTY_LOG, [], |row| row.get(0)) == Ok(true)
            });
            if !is_busy {
                break;
            }
            lock::pause(lock::STEP);
        }
        let _ = connection.busy_timeout(busy_timeout);
    }

    fn purge_some(&mut self) -> Result<()> {
        let (store, connection) = self.open()?;
        let now = store.clock.now().as_micros();
        let next = room::next_death(connection).map_err(|error| of_sqlite("purge", error))?;
        if next.is_some_and(|death| death <= now) {
            for _ in 0..PURGE_STEPS {
                if self.purge(PURGE_STEP)? < PURGE_STEP {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn flush_marks(&mut self) {
        let ids = self.shared.marks.take();
        if !ids.is_empty() {
            let _ = self.upkeep("read", |connection, _| room::mark_used(connection, &ids));
        }
    }

    /// Evicts until so many bytes more have room.
    pub(crate) fn make_room(&mut self, bytes: u64) -> Result<()> {
        let Some(max) = self.shared.config.max_bytes else { return Ok(()) };
        let max = room::page_bytes(max);
        self.uncounted = self.uncounted.saturating_add(bytes + BYTES_PER_GROUP);
        if self.uncounted < max / 64 && bytes > 0 {
            return Ok(());
        }
        self.uncounted = 0;
        let failed = |error| of_sqlite("write", error);
        let mut mercy = Mercy::default();
        for _ in 0..MAX_TURNS {
            let (used, _) = room::pages(self.open()?.1).map_err(failed)?;
            self.shared.marks.set_wanted(used > max / 2);
            let after = used.saturating_add(bytes);
            if after <= max {
                break;
            }
            self.flush_marks();
            let excess = after - max + max / 32;
            let turn = self.upkeep("write", |connection, now| {
                room::evict(connection, excess.min(max / 8), now.as_micros(), &mercy)
            })?;
            if turn.evicted > 0 {
                let records = turn.evicted;
                self.shared.config.observer.tell(&DiskEvent::Evicted { records });
            }
            if !mercy.goes_on(&turn) {
                break;
            }
        }
        Ok(())
    }

    /// Makes sure that the disk has room for this, and for deletes after it.
    pub(crate) fn make_room_on_disk(&mut self, bytes: u64) -> Result<()> {
        if !self.space.is_due(bytes) {
            return Ok(());
        }
        let failed = |error| of_sqlite("write", error);
        for _ in 0..MAX_SHRINKS {
            let (store, connection) = self.open()?;
            let store = Arc::clone(store);
            let left = space::look(&store, connection, bytes).map_err(failed)?;
            self.space.note(left);
            match left {
                Left::Plenty => {
                    store.give_up_reserve();
                    return Ok(());
                }
                Left::Enough => {
                    if bytes > 0 {
                        store.keep_reserve();
                    }
                    return Ok(());
                }
                Left::TooLittle => break,
                Left::InFreePages => {
                    self.upkeep("write", |connection, _| room::give_back(connection, 16))?;
                }
            }
        }
        Err(Error::new(ErrorKind::NoSpace, "write", "the disk is full"))
    }

    /// Gives free pages back to the file system when they are more than what is in use.
    fn shrink(&mut self) -> Result<()> {
        let max = self.shared.config.max_bytes;
        let (_, connection) = self.open()?;
        let (used, all) = room::pages(connection).map_err(|error| of_sqlite("purge", error))?;
        let is_wasteful = all - used > used.max(SPARE_BYTES);
        if is_wasteful || max.is_some_and(|max| all > room::page_bytes(max)) {
            self.upkeep("purge", |connection, _| room::give_back(connection, SHRINK_PAGES))?;
        }
        Ok(())
    }
}

/// A value for which a disk with some room has it.
const TIDY_BYTES: u64 = 1;
const EMPTY_LOG: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
/// Microseconds for which a log that has outgrown its bound holds up changes.
const MAX_WAIT: i64 = 200_000;
const PURGE_STEPS: usize = 20;
const PURGE_STEP: usize = 1_000;
/// Turns of the hand for one group of changes. Where all was used, the next group goes on.
const MAX_TURNS: usize = 64;
const SHRINK_PAGES: usize = 1_000;
const MAX_SHRINKS: usize = 1_000;
const SPARE_BYTES: u64 = 4 << 20;
/// What a group takes up beside its payloads, at least.
const BYTES_PER_GROUP: u64 = 100;
