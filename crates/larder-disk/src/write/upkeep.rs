//! Upkeep by the writing thread. It frees dead records, makes room in the store and on the disk,
//! notes the used records, and empties the log.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};

use crate::bound::claim::{self, Need};
use crate::bound::room;
use crate::error::of_sqlite;
use crate::time::clock::coarse;
use crate::time::wait::Until;
use crate::write::space::{self, DiskSpace, SpaceLeft};
use crate::write::writer::Writer;

impl Writer {
    /// Does the upkeep: frees dead records, notes uses, gives room back.
    pub(crate) fn tidy(&mut self) {
        if !self.is_present() {
            return;
        }
        self.free_room();
        // Others may have filled the disk since the file system was last asked.
        self.space = DiskSpace::default();
        let _ = self.make_room_on_disk(TIDY_BYTES);
        // Readers need not search a log that is empty.
        if self.checkpoints.has_logged() {
            self.empty_log();
        }
    }

    /// Does work that no caller has asked for, and hardly waits for others.
    pub(crate) fn unasked(&mut self, run: impl FnOnce(&mut Self)) {
        let usual = self.patience;
        self.patience = usual.min(UNASKED_PATIENCE);
        run(self);
        self.patience = usual;
    }

    fn free_room(&mut self) {
        self.flush_marks();
        let _ = self.purge_some();
        let _ = self.hold_bound();
        let _ = self.shrink(|used| (used / 4).max(SPARE_BYTES));
    }

    /// Makes room where the store exceeds its bound. Otherwise it waits for no lock.
    fn hold_bound(&mut self) -> Result<()> {
        let (store, connection) = self.open()?;
        let is_over = claim::is_over(connection, store.files());
        if is_over.map_err(|error| of_sqlite("purge", error))? {
            let _ = self.within_bound(&Need::bound(), |_, _| Ok(()))?;
        }
        Ok(())
    }

    /// Does the upkeep of a process that may have lived for a moment only.
    pub(crate) fn tidy_at_the_end(&mut self) {
        if !self.is_present() {
            return;
        }
        if self.open().is_ok() {
            self.free_room();
        }
    }

    pub(crate) fn empty_log(&mut self) {
        if let Some((store, _)) = &self.open {
            let bound = self.shared.bound.get();
            self.checkpoints.start(store, &self.shared.config, bound);
        }
    }

    fn purge_some(&mut self) -> Result<()> {
        if self.shared.config.purge_every.is_none() {
            return Ok(());
        }
        let (store, connection) = self.open()?;
        let now = store.clock.now().as_micros();
        let next = room::next_death(connection).map_err(|error| of_sqlite("purge", error))?;
        if next.is_some_and(|death| death <= now) {
            self.free_dead(MAX_FREED)?;
        }
        Ok(())
    }

    /// Frees this many dead records, if there are, and gives free room back.
    pub(crate) fn purge(&mut self, limit: usize) -> Result<usize> {
        let freed = self.free_dead(limit)?;
        if freed < limit {
            // The purge itself is done. The file may be shortened later.
            self.unasked(|writer| {
                let _ = writer.shrink(|used| used / 8 + SPARE_BYTES_IF_ASKED);
            });
        }
        Ok(freed)
    }

    fn free_dead(&mut self, limit: usize) -> Result<usize> {
        let mut freed = 0;
        while freed < limit {
            let step = self.shared.bound.get().records_per_step().min((limit - freed) as u64);
            let step_freed = self.upkeep("purge", step, |connection, now| {
                room::purge(connection, now.as_micros(), step)
            });
            let count = match step_freed {
                Ok(count) => count,
                Err(error) if freed == 0 => return Err(error),
                Err(_) => break,
            };
            freed += count;
            if (count as u64) < step {
                break;
            }
        }
        Ok(freed)
    }

    pub(crate) fn flush_marks(&mut self) {
        let mut ids = self.shared.marks.take();
        // Rows with neighbouring ids lie on the same page.
        ids.sort_unstable();
        let step =
            usize::try_from(self.shared.bound.get().records_per_step()).unwrap_or(usize::MAX);
        for some in ids.chunks(step) {
            let count = some.len() as u64;
            let noted =
                self.upkeep("read", count, |connection, _| room::mark_used(connection, some));
            if noted.is_err() {
                break;
            }
        }
    }

    /// Makes sure that the disk has room for these bytes, and for deletes after them.
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
                SpaceLeft::Plenty => {
                    store.give_up_reserve();
                    return Ok(());
                }
                SpaceLeft::Enough => {
                    if bytes > 0 {
                        store.keep_reserve();
                    }
                    return Ok(());
                }
                SpaceLeft::TooLittle => break,
                SpaceLeft::InFreePages => {
                    self.upkeep("write", 16, |connection, _| room::give_back(connection, 16))?;
                }
            }
        }
        Err(Error::new(ErrorKind::NoSpace, "write", "the disk is full"))
    }

    /// Gives free pages back to the file system when they exceed the spare bytes that this function
    /// returns for the bytes in use.
    fn shrink(&mut self, spare: impl Fn(u64) -> u64) -> Result<()> {
        let end = coarse() + MAX_SHRINK_MICROS;
        let mut is_shorter = false;
        while coarse() <= end {
            let failed = |error| of_sqlite("purge", error);
            let (used, all) = room::pages(self.open()?.1).map_err(failed)?;
            if all - used <= spare(used) {
                break;
            }
            let step = self.shared.bound.get().records_per_step();
            self.upkeep("purge", step, |connection, _| room::give_back(connection, step))?;
            is_shorter = true;
        }
        if is_shorter {
            self.truncate_log(Until::after(self.patience));
        }
        Ok(())
    }
}

/// A size so small that any disk with some room has room for it.
const TIDY_BYTES: u64 = 1;
/// The longest wait for others during upkeep: callers' changes wait behind it.
const UNASKED_PATIENCE: Duration = Duration::from_millis(100);
/// The most dead records that one upkeep frees.
const MAX_FREED: usize = 20_000;
const MAX_SHRINKS: usize = 1_000;
/// The bytes of free pages that are kept to be filled again.
const SPARE_BYTES: u64 = 512 << 10;
const SPARE_BYTES_IF_ASKED: u64 = 64 << 10;
/// The longest time for which the writing thread does nothing but shorten the file.
const MAX_SHRINK_MICROS: i64 = 500_000;
