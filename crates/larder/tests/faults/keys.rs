//! F26, F27: keys that look alike, keys of every length, and keys with every byte.

use larder::Event;
use larder_test_support::{Told, entry, on_all, on_shared, secs};

#[test]
fn f26_keys_that_must_differ_do() {
    on_all(async |rig| {
        let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let pairs = rig.builder::<(String, String), String>().namespace("pairs").build().unwrap();
        let keys = [text("a", "b:c"), text("a:b", "c"), text("a%3Ab", "c"), text("", "a:b:c")];
        for key in &keys {
            pairs.insert(key.clone(), format!("{key:?}")).await.unwrap();
        }
        let maybe = rig.builder::<Option<String>, u32>().namespace("maybe").build().unwrap();
        let odd = [None, Some(String::new()), Some("None".into()), Some("-".into())];
        for (number, key) in (0..).zip(&odd) {
            maybe.insert(key.clone(), number).await.unwrap();
        }
        let again = rig.builder::<(String, String), String>().namespace("pairs").build().unwrap();
        let pairs = if rig.store.is_some() { again } else { pairs };
        for key in &keys {
            assert_eq!(pairs.get(key).await.unwrap(), Some(format!("{key:?}")));
        }
        for (number, key) in (0..).zip(&odd) {
            assert_eq!(maybe.get(key).await.unwrap(), Some(number));
        }
    });
}

#[test]
fn f27_keys_of_every_length_and_with_every_byte_round_trip() {
    on_all(async |rig| {
        let sizes = [0, 1, 243, 244, 249, 250, 251, 64 << 10, 1 << 20];
        let mut keys: Vec<Vec<u8>> = sizes.map(|size| vec![b'x'; size]).into();
        let odd =
            ["\0", "\r\n", "a b", "\u{1F980}", "\r\nset pwned 0 100 3\r\nyes", "\u{7f}", "%00"];
        keys.extend(odd.map(|text| text.as_bytes().to_vec()));
        keys.extend([vec![0xff], vec![0xc0, 0x80], (0..=255).collect()]);
        let build = || rig.builder::<Vec<u8>, usize>().build().unwrap();
        let cache = build();
        for (number, key) in keys.iter().enumerate() {
            cache.insert(key.clone(), number).await.unwrap();
        }
        let reader = if rig.store.is_some() { build() } else { cache.clone() };
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(reader.get(key).await.unwrap(), Some(number));
            assert_eq!(reader.with(secs(9)).get_with(key, || async { 99 }).await.unwrap(), number);
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(cache.remove(key).await.unwrap(), Some(number));
            assert_eq!(cache.get(key).await.unwrap(), None);
        }
    });
}

#[test]
fn f27_a_record_of_another_key_under_the_same_name_is_a_miss() {
    on_shared(async |rig| {
        let told = Told::default();
        let cache = rig.builder::<String, u32>().on_event(told.observer()).build().unwrap();
        rig.store().damage(&entry("a")).await;
        assert_eq!(cache.get("a").await.unwrap(), None);
        assert_eq!(told.count(|event| matches!(event, Event::Undecodable(_))), 1);
        rig.store().lose(&entry("a")).await;
        assert!(rig.record("a").is_none());
    });
}
