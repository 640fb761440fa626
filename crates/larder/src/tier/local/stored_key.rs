//! Keys as the engine stores and finds them: with the hash that the caller has computed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use equivalent::Equivalent;

/// A key as the engine stores it.
pub(super) struct StoredKey<K> {
    pub(super) hash: u64,
    pub(super) key: K,
}

thread_local! {
    /// The hash of the key that this thread copied last: the copy itself may fail.
    pub(super) static COPIED: Cell<u64> = const { Cell::new(0) };
}

impl<K: Clone> Clone for StoredKey<K> {
    fn clone(&self) -> Self {
        COPIED.set(self.hash);
        Self { hash: self.hash, key: self.key.clone() }
    }
}

impl<K> Hash for StoredKey<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Eq> PartialEq for StoredKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && postponed(|| self.key == other.key)
    }
}

impl<K: Eq> Eq for StoredKey<K> {}

/// A key as a caller asks for it.
pub(super) struct LookupKey<'a, Q: ?Sized> {
    pub(super) hash: u64,
    pub(super) key: &'a Q,
}

impl<Q: ?Sized> Hash for LookupKey<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K, Q: ?Sized + Equivalent<K>> Equivalent<StoredKey<K>> for LookupKey<'_, Q> {
    #[inline]
    fn equivalent(&self, stored: &StoredKey<K>) -> bool {
        self.hash == stored.hash && self.key.equivalent(&stored.key)
    }
}

/// A key as a change asks for it, under the shard's exclusive lock.
pub(super) struct ChangeKey<'a, Q: ?Sized> {
    pub(super) hash: u64,
    pub(super) key: &'a Q,
}

impl<Q: ?Sized> Hash for ChangeKey<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K, Q: ?Sized + Equivalent<K>> Equivalent<StoredKey<K>> for ChangeKey<'_, Q> {
    fn equivalent(&self, stored: &StoredKey<K>) -> bool {
        self.hash == stored.hash && postponed(|| self.key.equivalent(&stored.key))
    }
}

thread_local! {
    /// The panic of a comparison, until the shard's lock is free.
    static PANIC: Cell<Option<Box<dyn Any + Send>>> = const { Cell::new(None) };
}

/// Compares two keys by the user's code, under the shard's exclusive lock. A panic there would poison
/// the lock, and each later call of the shard would panic as well. So the keys count as different, and
/// the panic goes on when the lock is free.
fn postponed(compare: impl FnOnce() -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(compare)).unwrap_or_else(|panic| {
        // On a thread that is ending the panic is lost, and the keys are different all the same.
        let _ = PANIC.try_with(|postponed| postponed.set(Some(panic)));
        false
    })
}

/// The panic of a comparison that was postponed.
pub(super) fn postponed_panic() -> Option<Box<dyn Any + Send>> {
    // A destructor of an ending thread may use a cache when this variable is gone.
    PANIC.try_with(Cell::take).ok().flatten()
}

/// A search for a key by its place among the keys with one hash.
pub(super) struct ByHash {
    pub(super) hash: u64,
    skip: Cell<usize>,
}

impl ByHash {
    pub(super) const fn nth(hash: u64, place: usize) -> Self {
        Self { hash, skip: Cell::new(place) }
    }
}

impl Hash for ByHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K> Equivalent<StoredKey<K>> for ByHash {
    fn equivalent(&self, stored: &StoredKey<K>) -> bool {
        if stored.hash != self.hash {
            return false;
        }
        let skip = self.skip.get();
        self.skip.set(skip.wrapping_sub(1));
        skip == 0
    }
}

/// A search that finds no key: it copies all keys with one hash while the engine compares it with
/// them.
pub(super) struct Copying<K> {
    pub(super) hash: u64,
    pub(super) keys: RefCell<Vec<K>>,
}

impl<K> Hash for Copying<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Clone> Equivalent<StoredKey<K>> for Copying<K> {
    fn equivalent(&self, stored: &StoredKey<K>) -> bool {
        if stored.hash == self.hash {
            self.keys.borrow_mut().push(stored.key.clone());
        }
        false
    }
}

/// A hasher for hashes: passes them through.
#[derive(Clone, Copy)]
pub(super) struct PassThrough;

impl BuildHasher for PassThrough {
    type Hasher = Passed;

    fn build_hasher(&self) -> Passed {
        Passed(0)
    }
}

pub(super) struct Passed(u64);

impl Hasher for Passed {
    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.is_empty(), "only hashes are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
