//! Lookup of keys by reference.

use std::hash::Hash;
use std::sync::Arc;

use bytes::Bytes;
pub use equivalent::Equivalent;

/// A form in which a key can be asked for without owning it.
///
/// A hit never makes a key; a miss makes one, to load under. These forms fit as they are: the key
/// itself; `str` for `String`, `Box<str>` and `Arc<str>`; `[u8]` for `Vec<u8>` and `Bytes`.
///
/// Your own borrowed form of your own key fits by two small impls, as below. It must hash like the
/// key: list the same fields in the same order and derive `Hash` on both.
///
/// A borrowed tuple such as `(&str, u64)` does not fit `(String, u64)`: neither the tuple nor the
/// trait is yours to join. Name the key as a struct, or ask with an owned tuple.
///
/// ```
/// use larder::{Equivalent, Lookup};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct User {
///     realm: String,
///     id: u64,
/// }
///
/// #[derive(Hash)]
/// struct UserRef<'a> {
///     realm: &'a str,
///     id: u64,
/// }
///
/// impl Equivalent<User> for UserRef<'_> {
///     fn equivalent(&self, key: &User) -> bool {
///         self.realm == key.realm && self.id == key.id
///     }
/// }
///
/// impl Lookup<User> for UserRef<'_> {
///     fn to_key(&self) -> User {
///         User { realm: self.realm.to_owned(), id: self.id }
///     }
/// }
///
/// let asked = UserRef { realm: "at", id: 7 };
/// assert!(asked.equivalent(&asked.to_key()));
/// ```
pub trait Lookup<K>: Hash + Equivalent<K> {
    /// Returns the owned key.
    fn to_key(&self) -> K;
}

impl<K: Hash + Eq + Clone> Lookup<K> for K {
    fn to_key(&self) -> K {
        self.clone()
    }
}

macro_rules! borrowed {
    ($($Borrowed:ty => $Key:ty),+ $(,)?) => {$(
        impl Lookup<$Key> for $Borrowed {
            fn to_key(&self) -> $Key {
                self.into()
            }
        }
    )+};
}

// The impls are written one by one: a rule for every `ToOwned` would be the only one that `str` can
// have, and `str` would not find `Arc<str>`.
borrowed!(
    str => String,
    str => Box<str>,
    str => Arc<str>,
    [u8] => Vec<u8>,
);

impl Lookup<Bytes> for [u8] {
    fn to_key(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, Hash, RandomState};
    use std::sync::Arc;

    use bytes::Bytes;

    use super::{Equivalent, Lookup};

    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct User {
        realm: String,
        id: u64,
    }

    /// Also `Clone`: its own owned form must not get in the way.
    #[derive(Clone, Hash)]
    struct UserRef<'a> {
        realm: &'a str,
        id: u64,
    }

    impl Equivalent<User> for UserRef<'_> {
        fn equivalent(&self, key: &User) -> bool {
            self.realm == key.realm && self.id == key.id
        }
    }

    impl Lookup<User> for UserRef<'_> {
        fn to_key(&self) -> User {
            User { realm: self.realm.to_owned(), id: self.id }
        }
    }

    fn finds<K: Hash, Q: ?Sized + Lookup<K>>(key: &K, asked: &Q) {
        let hasher = RandomState::new();
        assert_eq!(hasher.hash_one(key), hasher.hash_one(asked));
        assert!(asked.equivalent(key));
        assert!(asked.equivalent(&asked.to_key()));
    }

    #[test]
    fn a_key_is_found_by_itself_and_by_its_borrowed_forms() {
        finds(&"a".to_owned(), "a");
        finds(&"a".to_owned(), &"a".to_owned());
        finds(&7_u64, &7);
        finds(&vec![1_u8], &[1_u8][..]);
        finds(&Arc::<str>::from("a"), "a");
        finds(&Box::<str>::from("a"), "a");
        finds(&Bytes::from_static(b"a"), &b"a"[..]);
        finds(&("a".to_owned(), 7), &("a".to_owned(), 7));
    }

    #[test]
    fn a_key_of_ones_own_is_found_by_a_borrowed_form_of_ones_own() {
        let key = User { realm: "at".to_owned(), id: 7 };
        finds(&key, &UserRef { realm: "at", id: 7 });
        finds(&key, &key);
        assert!(!UserRef { realm: "at", id: 8 }.equivalent(&key));
    }
}
