//! The random id of one write.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::PoisonError;

/// The random id of one write: 64 random bits of the process and a 64-bit counter.
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
        let pid = std::process::id();
        let mut guard = SOURCE.lock().unwrap_or_else(PoisonError::into_inner);
        let source = match &mut *guard {
            // A forked child would repeat its parent's versions: it draws its own random half.
            Some(source) if source.pid == pid => source,
            other => other.insert(Source::new(pid)),
        };
        source.count += 1;
        let (count, random) = (source.count, source.random);
        drop(guard);
        let mut bytes = [0; 16];
        let (high, low) = bytes.split_at_mut(8);
        high.copy_from_slice(&random.to_be_bytes());
        low.copy_from_slice(&count.to_be_bytes());
        Self(bytes)
    }

    /// The version with these bytes, as a store gave them back.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({:032x})", u128::from_be_bytes(self.0))
    }
}

struct Source {
    pid: u32,
    random: u64,
    count: u64,
}

impl Source {
    /// `RandomState` is seeded from the operating system; it saves a dependency for 64 bits.
    fn new(pid: u32) -> Self {
        let random = RandomState::new().hash_one((pid, RandomState::new().hash_one(pid)));
        Self { pid, random, count: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Version;

    #[test]
    fn no_two_versions_are_equal_on_any_thread() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1_000).map(|_| Version::next()).collect::<Vec<_>>()))
            .collect();
        let all: HashSet<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        assert_eq!(all.len(), 4_000);
        assert!(!all.contains(&Version::NONE));
    }
}
