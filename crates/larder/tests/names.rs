//! The names of stored records: never two records under one name, and the same names for ever.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use larder::CacheKey;
use larder::backend::{Class, Key, Namespace};

/// A seeded generator, so that a failure is the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// A short text of delimiters, escapes and digits, often empty.
    fn text(&mut self) -> String {
        const HOSTILE: [char; 18] = [
            ':', '%', '#', '~', '3', 'A', '2', '5', '0', '1', 'k', 't', '-', '=', ' ', '\n',
            '\u{7f}', '\u{e9}',
        ];
        let length = self.below(5);
        (0..length).filter_map(|_| HOSTILE.get(self.below(HOSTILE.len()))).collect()
    }
}

/// The subject of a record, as a user says it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Named {
    Text(String),
    Pair(String, String),
    Tag(String),
    Lock(String),
    Mangled(String),
    Long(String),
}

impl Named {
    fn random(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Self::Text(random.text()),
            1 => Self::Pair(random.text(), random.text()),
            2 => Self::Tag(random.text()),
            3 => Self::Lock(random.text()),
            4 => Self::Mangled(random.text()),
            _ => Self::Long(random.text()),
        }
    }

    fn key(&self, namespace: &Namespace) -> Key {
        let entry = |text: &str| Key::new(namespace, Class::Entry, text.as_bytes());
        match self {
            Self::Text(text) => entry(text),
            Self::Pair(one, other) => entry(&(one.clone(), other.clone()).to_text()),
            Self::Tag(name) => Key::new(namespace, Class::Tag, name.as_bytes()),
            Self::Lock(name) => Key::new(namespace, Class::Lock, name.as_bytes()),
            Self::Mangled(text) => {
                Key::mangled(namespace, Class::Entry, text.as_bytes(), text.as_bytes())
            }
            Self::Long(text) => entry(&format!("{}{text}", "x".repeat(300))),
        }
    }

    /// Returns the meaning, which two records share if they are the same: a mangler's name stands
    /// for its text, and a pair is the key of its text.
    fn meaning(&self) -> (u8, String) {
        match self {
            Self::Text(text) => (0, text.clone()),
            Self::Pair(one, other) => (0, (one.clone(), other.clone()).to_text().into_owned()),
            Self::Tag(name) => (1, name.clone()),
            Self::Lock(name) => (2, name.clone()),
            Self::Mangled(text) => (3, text.clone()),
            Self::Long(text) => (0, format!("{}{text}", "x".repeat(300))),
        }
    }
}

#[test]
fn f26_a_million_tuples_over_hostile_letters_have_names_of_their_own() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    // Names by their hash: a collision of 64 bits among a million is as likely as one in 37 million.
    let hasher = RandomState::new();
    let mut by_name: HashMap<u64, u64> = HashMap::new();
    for _ in 0..1_000_000 {
        let space = random.text();
        let named = Named::random(&mut random);
        let key = named.key(&Namespace::new(&space).unwrap());
        assert!(key.name().len() <= 250);
        assert!(key.name().iter().all(|&byte| byte > b' ' && byte != 0x7f));
        let meaning = hasher.hash_one((&space, named.meaning()));
        let first = *by_name.entry(hasher.hash_one(key.name())).or_insert(meaning);
        assert_eq!(first, meaning, "{space:?} {named:?} {key:?}");
    }
    assert!(by_name.len() > 700_000, "{}", by_name.len());
}

/// A value's schema is bound to the record and not to its name: see `docs/codecs.md`.
#[test]
fn the_golden_names_stay_as_they_are() {
    let golden = include_str!("data/names.txt");
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut made = Vec::new();
    for _ in 0..200 {
        let space = random.text();
        let named = Named::random(&mut random);
        let key = named.key(&Namespace::new(&space).unwrap());
        let name = std::str::from_utf8(key.name()).unwrap();
        made.push(format!("{space:?} {named:?} {name}"));
    }
    for (line, (made, golden)) in made.iter().zip(golden.lines()).enumerate() {
        assert_eq!(made, golden, "line {}", line + 1);
    }
    assert_eq!(golden.lines().count(), 200);
}
