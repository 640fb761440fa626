//! A copy of a damaged database in which what only says where other pages are is made anew.
//!
//! The first page is the same in all stores, and the pages above the leaves of a table follow from
//! the leaves. Which pages are leaves that are in use the database notes a second time, in its map of
//! parents: a page that has been freed may hold what has been deleted since.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind as IoKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use larder_core::Result;

use crate::config::DiskConfig;
use crate::connection::{self, PAGE_BYTES};
use crate::create;
use crate::error::of_files;
use crate::folder::Folder;

/// The name of such a copy, which nobody has open; none if the database is too large.
///
/// # Errors
/// Those of writing it.
pub(crate) fn copy(folder: &Folder, config: &DiskConfig, damaged: &Path) -> Result<Option<String>> {
    let length = fs::metadata(damaged).map_or(0, |found| found.len());
    if !(PAGE_BYTES..MAX_BYTES).contains(&length) {
        return Ok(None);
    }
    let name = create::unfinished(folder, config)?;
    let path = folder.join(&name);
    let files = |error| of_files("open", error);
    copy_pages(damaged, &path, length / PAGE_BYTES).map_err(files)?;
    let Ok(root) = empty_log(&path, config) else { return Ok(Some(name)) };
    // Nobody in this process has the copy open: to close it releases no lock of a connection.
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(files)?;
    Tree { file }.rebuild(root).map_err(files)?;
    Ok(Some(name))
}

/// All pages but the first, and the log. The locks that are lost by closing the damaged file matter
/// no more.
fn copy_pages(damaged: &Path, copy: &Path, pages: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};

    let mut from = File::open(damaged)?;
    let mut to = OpenOptions::new().write(true).open(copy)?;
    from.seek(SeekFrom::Start(PAGE_BYTES))?;
    to.seek(SeekFrom::Start(PAGE_BYTES))?;
    std::io::copy(&mut from.take((pages - 1) * PAGE_BYTES), &mut to)?;
    write_count(&to, pages)?;
    match fs::copy(log(damaged), log(copy)) {
        Err(error) if error.kind() != IoKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Moves what is in the log to its place; the number of the table's first page.
fn empty_log(path: &Path, config: &DiskConfig) -> rusqlite::Result<u32> {
    let connection = connection::open(path, create::writer(config, config.new_bound()))?;
    connection.execute_batch("PRAGMA writable_schema = ON; PRAGMA wal_checkpoint(TRUNCATE)")?;
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'entries'";
    connection.query_row(sql, [], |row| row.get(0))
}

/// The number of pages, and no list of free ones.
fn write_count(file: &File, pages: u64) -> std::io::Result<()> {
    let count = u32::try_from(pages).unwrap_or(u32::MAX);
    file.write_all_at(&count.to_be_bytes(), PAGE_COUNT_AT)?;
    file.write_all_at(&[0; 8], PAGE_COUNT_AT + 4)
}

struct Tree {
    file: File,
}

/// A page, and the greatest id in it and below.
type Child = (u32, u64);

impl Tree {
    /// Puts new pages over the leaves, up to the table's first page.
    fn rebuild(&self, root: u32) -> std::io::Result<()> {
        let mut pages = u32::try_from(self.file.metadata()?.len() / PAGE_BYTES).unwrap_or(u32::MAX);
        let mut level = self.leaves(pages)?;
        // A table of one page has no other.
        if level.is_empty() {
            return Ok(());
        }
        level.sort_unstable_by_key(|(_, last)| *last);
        while level.len() > CHILDREN {
            let mut above = Vec::new();
            for children in level.chunks(CHILDREN) {
                pages += 1;
                self.write(pages, &parent(children))?;
                above.extend(children.last().map(|(_, last)| (pages, *last)));
            }
            level = above;
        }
        self.write(root, &parent(&level))?;
        write_count(&self.file, u64::from(pages))
    }

    fn leaves(&self, pages: u32) -> std::io::Result<Vec<Child>> {
        let (mut leaves, mut map) = (Vec::new(), Vec::new());
        for number in 2..=pages {
            let in_group = usize::try_from((number - 2) % PAGES_PER_MAP).unwrap_or(0);
            if in_group == 0 {
                map = self.read(number)?;
            } else if map.get((in_group - 1) * MAP_ENTRY_BYTES) == Some(&IS_BELOW_ANOTHER) {
                leaves.extend(last_id(&self.read(number)?).map(|last| (number, last)));
            }
        }
        Ok(leaves)
    }

    fn read(&self, number: u32) -> std::io::Result<Vec<u8>> {
        let mut page = vec![0; usize::try_from(PAGE_BYTES).unwrap_or(0)];
        self.file.read_exact_at(&mut page, u64::from(number - 1) * PAGE_BYTES)?;
        Ok(page)
    }

    fn write(&self, number: u32, page: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(page, u64::from(number - 1) * PAGE_BYTES)
    }
}

/// The id of a leaf's last row; none if it is no leaf of a table.
fn last_id(page: &[u8]) -> Option<u64> {
    let number = |at: usize| {
        let bytes = page.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_be_bytes(bytes)))
    };
    if page.first() != Some(&TABLE_LEAF) {
        return None;
    }
    let last = number(3)?.checked_sub(1)?;
    let cell = page.get(number(8 + 2 * last)?..)?;
    let (_, rest) = take_varint(cell)?;
    take_varint(rest).map(|(id, _)| id)
}

/// A page above these.
fn parent(children: &[Child]) -> Vec<u8> {
    let Some((last, others)) = children.split_last() else { return Vec::new() };
    // A page has one child at least beside the last: twice the same does no harm.
    let others = if others.is_empty() { children } else { others };
    let (mut places, mut cells) = (Vec::new(), Vec::new());
    for (number, greatest) in others {
        places.push(cells.len() as u64);
        cells.extend(number.to_be_bytes());
        put_varint(&mut cells, *greatest);
    }
    let start = PAGE_BYTES - cells.len() as u64;
    let short = |number: u64| u16::try_from(number).unwrap_or(0).to_be_bytes();
    let mut page = vec![TABLE_PARENT, 0, 0];
    page.extend(short(others.len() as u64));
    page.extend(short(start));
    page.push(0);
    page.extend(last.0.to_be_bytes());
    page.extend(places.into_iter().flat_map(|place| short(start + place)));
    let gap = usize::try_from(PAGE_BYTES).unwrap_or(0).saturating_sub(page.len() + cells.len());
    page.extend(std::iter::repeat_n(0, gap));
    page.extend(cells);
    page
}

/// A number as SQLite writes it: seven bits a byte from the highest, at most nine bytes.
fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        if place == 8 {
            return Some((number << 8 | u64::from(*byte), bytes.get(9..)?));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(place + 1..)?));
        }
    }
    None
}

/// An id has less than 57 bits, unless it is damaged: no ninth byte is needed.
fn put_varint(out: &mut Vec<u8>, number: u64) {
    let number = number.min((1 << 56) - 1);
    let groups = (0..8).rev().map(|group| (number >> (7 * group)).to_le_bytes()[0] & 0x7f);
    let mut groups: Vec<u8> = groups.skip_while(|bits| *bits == 0).collect();
    if groups.is_empty() {
        groups.push(0);
    }
    let last = groups.len() - 1;
    let marked = groups.iter().enumerate();
    out.extend(marked.map(|(place, bits)| if place == last { *bits } else { bits | 0x80 }));
}

/// More would take longer than others may wait.
const MAX_BYTES: u64 = 512 << 20;
/// Where a database's header has the number of its pages; its list of free pages comes next.
const PAGE_COUNT_AT: u64 = 28;
const TABLE_LEAF: u8 = 13;
const TABLE_PARENT: u8 = 5;
/// How many children a page has room for, whatever their ids.
const CHILDREN: usize = 256;
/// A page of the map, and the pages that it is about: five bytes for each, the first its kind.
const PAGES_PER_MAP: u32 = 820;
const MAP_ENTRY_BYTES: usize = 5;
const IS_BELOW_ANOTHER: u8 = 5;

#[cfg(test)]
mod tests {
    use super::{put_varint, take_varint};

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 16_383, 16_384, (1 << 32) + 5, (1 << 56) - 1] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            bytes.push(7);
            assert_eq!(take_varint(&bytes), Some((number, &[7][..])));
        }
    }
}
