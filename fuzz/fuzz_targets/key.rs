//! Keys as text, both ways: one text for each key, one key for each text.

#![no_main]

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use larder::CacheKey;
use larder::backend::{Class, Key, Namespace};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    name(input);
    comes_back(&input.to_vec());
    comes_back(&(Bytes::copy_from_slice(input), Some(input.len())));
    let Ok(text) = std::str::from_utf8(input) else { return };
    is_of_one_key::<String>(text);
    is_of_one_key::<char>(text);
    is_of_one_key::<bool>(text);
    is_of_one_key::<u8>(text);
    is_of_one_key::<u128>(text);
    is_of_one_key::<i64>(text);
    is_of_one_key::<Vec<u8>>(text);
    is_of_one_key::<Option<Option<String>>>(text);
    is_of_one_key::<(String,)>(text);
    is_of_one_key::<(String, Bytes, Option<i8>)>(text);
    is_of_one_key::<[String; 2]>(text);
    is_of_one_key::<[(u8, String); 1]>(text);
    is_of_one_key::<(Arc<str>, (String, char), Box<u64>)>(text);
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(place, _)| place);
    let (first, second) = text.split_at(middle);
    comes_back(&(first.to_owned(), second.to_owned()));
    comes_back(&[Some(first.to_owned()), None, Some(second.to_owned())]);
    comes_back(&((first.to_owned(), second.as_bytes().to_vec()), text.chars().next()));
});

fn is_of_one_key<K: CacheKey + Debug>(text: &str) {
    let Some(key) = K::from_text(text) else { return };
    assert_eq!(key.to_text(), text);
    comes_back(&key);
}

fn comes_back<K: CacheKey + Debug>(key: &K) {
    assert_eq!(K::from_text(&key.to_text()).as_ref(), Some(key));
}

/// A name is short and plain, and holds the key or stands beside it.
fn name(text: &[u8]) {
    let Ok(namespace) = Namespace::new("fuzz") else { return };
    for class in [Class::Entry, Class::Tag, Class::Lock] {
        let key = Key::new(&namespace, class, text);
        assert!(key.name().len() <= 250);
        assert!(key.name().iter().all(|&byte| byte > b' ' && byte != 0x7f));
        assert!(key.name().starts_with(&namespace.class_prefix(class)));
        assert_eq!(key.text(&namespace), Some(text));
        let full = key.is_hashed().then(|| Bytes::copy_from_slice(key.full()));
        assert_eq!(Key::from_stored(key.name_bytes(), full), key);
    }
    // Nothing is another namespace's, whatever a namespace is called.
    let Ok(other) = Namespace::new(&String::from_utf8_lossy(text)) else { return };
    let key = Key::new(&other, Class::Entry, text);
    assert_eq!(key.text(&namespace).is_some(), other == namespace);
}
