//! The random id of one write.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread::{self, JoinHandle};

/// The random id of one write. It has 64 random bits of the process and a 64-bit counter.
///
/// Two writes anywhere never share one. It says nothing about order: versions are compared for
/// equality only. It is no secret and no fencing token for resources outside the cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version([u8; 16]);

impl Version {
    /// The version that no write has: all bytes zero. It stands for "none".
    pub const NONE: Self = Self([0; 16]);

    /// Makes a version that no other write has.
    #[must_use]
    pub fn next() -> Self {
        static SOURCE: Mutex<Option<Source>> = Mutex::new(None);
        let mut source = SOURCE.lock().unwrap_or_else(PoisonError::into_inner);
        let (random, count) = Source::draw(&mut source, std::process::id());
        drop(source);
        Self((u128::from(random) << 64 | u128::from(count)).to_be_bytes())
    }

    /// Returns the version as 64 bits, for fields that hold no more. Never zero.
    ///
    /// Numbers of one process never repeat, and those of two differ as random numbers do.
    #[must_use]
    pub const fn to_number(self) -> u64 {
        let whole = u128::from_be_bytes(self.0);
        // The number uses both halves, each cut to 64 bits.
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let number = (whole >> 64) as u64 ^ whole as u64;
        if number == 0 { 1 } else { number }
    }

    /// Returns the version with these bytes, as a store gave them back.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes to store.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// The bytes as 32 hexadecimal digits.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// The source of the versions of one process.
#[derive(Clone)]
struct Source {
    pid: u32,
    random: u64,
    count: u64,
}

impl Source {
    /// Returns the random half and the count of the next version. A forked child would repeat its
    /// parent's versions, so a process with another id draws a random half of its own.
    fn draw(source: &mut Option<Self>, pid: u32) -> (u64, u64) {
        let source = match source {
            Some(source) if source.pid == pid => source,
            other => other.insert(Self::new(pid)),
        };
        source.count += 1;
        (source.random, source.count)
    }

    fn new(pid: u32) -> Self {
        // A thread that forked has its parent's seeds: two children that have one id after another
        // would draw the same random half. A new thread asks the operating system.
        let drawn = thread::Builder::new().spawn(move || random(pid)).map(JoinHandle::join);
        let random = drawn.ok().and_then(Result::ok).unwrap_or_else(|| random(pid));
        Self { pid, random, count: 0 }
    }
}

/// Returns 64 random bits. `RandomState` is seeded from the operating system and saves a
/// dependency.
fn random(pid: u32) -> u64 {
    RandomState::new().hash_one((pid, RandomState::new().hash_one(pid)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Source, Version};

    #[test]
    fn no_two_versions_are_equal_on_any_thread() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1_000).map(|_| Version::next()).collect::<Vec<_>>()))
            .collect();
        let all: HashSet<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        assert_eq!(all.len(), 4_000);
        assert!(!all.contains(&Version::NONE));
    }

    #[test]
    fn a_forked_child_repeats_no_draw_of_its_parent_or_of_another_child_of_its_id() {
        let mut parent = None;
        let mut drawn = HashSet::from([Source::draw(&mut parent, 1).0]);
        for pid in [2, 3, 3] {
            // A child has a copy of its parent's source.
            let mut child = parent.clone();
            let (random, count) = Source::draw(&mut child, pid);
            assert_eq!(count, 1);
            assert!(drawn.insert(random));
        }
        assert!(!drawn.insert(Source::draw(&mut parent, 1).0), "the parent goes on");
    }

    #[test]
    fn numbers_are_as_different_as_their_versions_and_never_zero() {
        let numbers: HashSet<_> = (0..1_000).map(|_| Version::next().to_number()).collect();
        assert_eq!(numbers.len(), 1_000);
        assert_ne!(Version::NONE.to_number(), 0);
    }
}
