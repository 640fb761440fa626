//! `#[derive(CacheKey)]`: texts that are stable, injective and come back; borrowed forms.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what helps a test panics like the test"
)]

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use larder::{Cache, CacheKey, Equivalent as _, Lookup};

#[derive(CacheKey, Clone, Debug, PartialEq, Eq, Hash)]
struct User {
    realm: String,
    id: u64,
    tags: Vec<u8>,
}

#[derive(CacheKey, Clone, Debug, PartialEq, Eq, Hash)]
struct Pair(Arc<str>, Option<String>);

#[derive(CacheKey, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Everything;

#[derive(CacheKey, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(CacheKey, Clone, Debug, PartialEq, Eq, Hash)]
struct Within<T, const N: usize> {
    outer: [T; N],
    inner: Bytes,
}

#[derive(CacheKey, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
enum Value {
    None,
    Text(String) = 7,
    #[cache_key(rename = "n:umber")]
    Number(i64),
    Truth(bool),
    Both {
        left: Box<str>,
        r#type: Option<User>,
    },
    r#Raw,
}

#[derive(CacheKey, Clone, Debug, PartialEq, Eq, Hash)]
enum Single {
    Only(String),
}

mod renamed {
    pub(super) use ::larder as pantry;
}

#[derive(CacheKey, Clone, Debug, PartialEq, Eq, Hash)]
#[cache_key(crate = renamed::pantry)]
struct Renamed(String);

/// A seeded generator, so that a failure is the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// Returns short texts of characters that mean something to an escape or to a name.
    fn text(&mut self) -> String {
        const HOSTILE: [&str; 14] = [
            ":", "%", "3A", "25", "-", "=", "None", "Text", "n:umber", "0", "1", "\u{e9}", "", " ",
        ];
        (0..self.below(4)).map(|_| HOSTILE[self.below(HOSTILE.len())]).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        const HOSTILE: [u8; 8] = [0, b'%', b':', b'F', b'0', b' ', 0x7f, 0xFF];
        (0..self.below(3)).map(|_| HOSTILE[self.below(HOSTILE.len())]).collect()
    }

    fn user(&mut self) -> User {
        User { realm: self.text(), id: self.below(12) as u64, tags: self.bytes() }
    }

    fn value(&mut self) -> Value {
        match self.below(6) {
            0 => Value::None,
            1 => Value::Text(self.text()),
            2 => Value::Number(i64::try_from(self.below(40)).unwrap() - 20),
            3 => Value::Truth(self.below(2) == 0),
            4 => {
                let r#type = (self.below(3) > 0).then(|| self.user());
                Value::Both { left: self.text().into(), r#type }
            }
            _ => Value::r#Raw,
        }
    }
}

fn holds<K: CacheKey + Debug>(make: impl Fn(&mut Random) -> K) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut by_text: HashMap<String, K> = HashMap::new();
    for _ in 0..100_000 {
        let key = make(&mut random);
        let text = key.to_text().into_owned();
        assert_eq!(K::from_text(&text).as_ref(), Some(&key), "{text:?}");
        let first = by_text.entry(text).or_insert_with(|| key.clone());
        assert_eq!(*first, key, "two keys with one text");
    }
    // Each text that is accepted is the one text of its key.
    for _ in 0..100_000 {
        let text = format!("{}:{}:{}", random.text(), random.text(), random.text());
        if let Some(key) = K::from_text(&text) {
            assert_eq!(key.to_text(), text, "two texts of one key");
        }
    }
}

#[test]
fn f26_derived_structs_are_injective_and_come_back() {
    holds(Random::user);
    holds(|random| Pair(random.text().into(), (random.below(3) > 0).then(|| random.text())));
    holds(|random| Within { outer: [random.text(), random.text()], inner: random.bytes().into() });
    holds(|random| Renamed(random.text()));
}

#[test]
fn f26_derived_enums_are_injective_and_come_back() {
    holds(Random::value);
    holds(|random| Single::Only(random.text()));
}

#[test]
fn f26_values_that_look_alike_have_texts_that_differ() {
    let alike = [
        Value::None,
        Value::Text(String::new()),
        Value::Text("None".to_owned()),
        Value::Text("1".to_owned()),
        Value::Number(1),
        Value::Truth(true),
        Value::Text("true".to_owned()),
        Value::r#Raw,
    ];
    let texts: std::collections::BTreeSet<_> = alike.iter().map(CacheKey::to_text).collect();
    assert_eq!(texts.len(), alike.len());
}

#[test]
fn texts_are_stable() {
    let user = User { realm: "de:AT".to_owned(), id: 7, tags: vec![0, b'%'] };
    assert_eq!(user.to_text(), "de%3AAT:7:%2500%2525");
    assert_eq!(Pair("".into(), None).to_text(), ":-");
    assert_eq!(Everything.to_text(), "");
    assert_eq!(Point { x: -1, y: 2 }.to_text(), "-1:2");
    assert_eq!(Value::None.to_text(), "None");
    assert_eq!(Value::r#Raw.to_text(), "Raw");
    assert_eq!(Value::Number(-3).to_text(), "n%3Aumber:-3");
    assert_eq!(Renamed(":".to_owned()).to_text(), "%3A");
    // A struct has the text of the tuple of its fields.
    let tuple = (user.realm.clone(), user.id, user.tags.clone());
    assert_eq!(user.to_text(), tuple.to_text());
}

#[test]
fn other_texts_are_refused() {
    assert_eq!(Everything::from_text(":"), None);
    assert_eq!(Point::from_text("1"), None);
    assert_eq!(Point::from_text("1:2:3"), None);
    assert_eq!(Point::from_text("01:2"), None);
    for text in
        ["", "none", "None:", "Text", "Text:a:b", "Number:1", "n:umber:1", "Both:a", "%4Eone"]
    {
        assert_eq!(Value::from_text(text), None, "{text:?}");
    }
}

fn finds<K: CacheKey + Debug, Q: Lookup<K>>(key: &K, asked: &Q) {
    let hasher = RandomState::new();
    assert_eq!(hasher.hash_one(key), hasher.hash_one(asked));
    assert!(asked.equivalent(key));
    assert_eq!(asked.to_key(), *key);
}

#[test]
fn a_borrowed_form_finds_its_key() {
    let user = User { realm: "at".to_owned(), id: 7, tags: vec![1] };
    finds(&user, &UserRef { realm: "at", id: 7, tags: &[1] });
    assert!(!UserRef { realm: "at", id: 8, tags: &[1] }.equivalent(&user));
    assert!(!UserRef { realm: "at", id: 7, tags: &[] }.equivalent(&user));
    finds(&Pair("a".into(), None), &PairRef("a", &None));
    let within = Within { outer: [1_u8, 2], inner: Bytes::from_static(b"x") };
    finds(&within, &WithinRef { outer: &[1_u8, 2], inner: b"x" });
    finds(&Single::Only("a".to_owned()), &SingleRef::Only("a"));
    finds(&Renamed("a".to_owned()), &RenamedRef("a"));
}

#[test]
fn a_borrowed_enum_hashes_like_its_key() {
    let user = User { realm: "at".to_owned(), id: 7, tags: vec![] };
    finds(&Value::None, &ValueRef::None);
    finds(&Value::Text("a".to_owned()), &ValueRef::Text("a"));
    finds(&Value::Number(1), &ValueRef::Number(1));
    finds(&Value::Truth(true), &ValueRef::Truth(true));
    let both = Value::Both { left: "l".into(), r#type: Some(user.clone()) };
    finds(&both, &ValueRef::Both { left: "l", r#type: &Some(user) });
    assert!(!ValueRef::Text("a").equivalent(&Value::None));
    assert_eq!(format!("{:?}", ValueRef::Text("secret")), "ValueRef { .. }");
}

#[test]
fn a_cache_is_asked_by_the_borrowed_form() {
    let cache = Cache::<User, u64>::new(10).unwrap();
    let user = User { realm: "at".to_owned(), id: 7, tags: vec![] };
    cache.blocking().insert(user, 1).unwrap();
    let asked = UserRef { realm: "at", id: 7, tags: &[] };
    assert_eq!(cache.blocking().get(&asked).unwrap(), Some(1));
    cache.blocking().invalidate(&asked).unwrap();
    assert_eq!(cache.blocking().get(&asked).unwrap(), None);
}
