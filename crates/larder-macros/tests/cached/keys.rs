//! Keys, and the arguments that they tell apart.

use std::fmt;
use std::sync::Arc;

use larder::{Cache, CacheKey, Reach, cached};

use crate::shop::Shop;
use crate::support::{Rig, everywhere};

#[test]
fn f26_arguments_that_look_alike_have_keys_that_differ() {
    struct Keys(Cache<String, String>);

    impl Keys {
        #[cached(cache = self.0, key = "two:{a}:{b}")]
        fn two(&self, a: &str, b: &str) -> String {
            format!("{a}+{b}")
        }

        #[cached(cache = self.0, key = "option:{name}")]
        fn option(&self, name: Option<String>) -> String {
            format!("{name:?}")
        }

        #[cached(cache = self.0, key = "list:{names}")]
        fn list(&self, names: [String; 2]) -> String {
            names.join("+")
        }

        #[cached(cache = self.0, key = "{{{id}}}:{bytes}")]
        fn braces(&self, id: u64, bytes: &[u8]) -> String {
            format!("{id}{bytes:?}")
        }
    }

    for rig in Rig::all() {
        let keys = Keys(rig.cache());
        assert_eq!(keys.two("a", "b:c"), "a+b:c");
        assert_eq!(keys.two("a:b", "c"), "a:b+c");
        assert_eq!(keys.two("%3A", ":"), "%3A+:");
        assert_eq!(keys.two(":", "%3A"), ":+%3A");
        assert_eq!(keys.two("b", "a"), "b+a");
        assert_eq!(keys.two("a", "b"), "a+b");
        let names = [None, Some(""), Some("-"), Some("None"), Some("absent")];
        for name in names.map(|name| name.map(str::to_owned)) {
            assert_eq!(keys.option(name.clone()), format!("{name:?}"));
        }
        for names in [["a,b", ""], ["a", "b"], ["", "a,b"], ["a:b", ""], ["\u{e9}", "e\u{301}"]] {
            assert_eq!(keys.list(names.map(str::to_owned)), names.join("+"));
        }
        assert_eq!(keys.braces(1, &[0xC0]), "1[192]");
        assert_eq!(keys.braces(1, &[0xC1]), "1[193]");
        assert_eq!(keys.braces_key(1, &[0xC0, b':']), "{1}:%25C0%3A");
    }
}

#[tokio::test]
async fn f26_numbers_texts_and_truth_are_kept_apart_by_the_type_of_the_key() {
    #[cached(cache = cache, skip(cache))]
    async fn shown<K: CacheKey + fmt::Debug>(cache: &Cache<K, String>, key: K) -> String {
        format!("{key:?}")
    }

    #[derive(CacheKey, Clone, Debug, PartialEq, Eq, Hash)]
    enum Any {
        Number(i64),
        Text(String),
        Truth(bool),
    }

    let cache = Cache::new(10).unwrap();
    let keys = [Any::Number(1), Any::Text("1".to_owned()), Any::Truth(true)];
    for key in keys.into_iter().chain([Any::Text("true".to_owned())]) {
        assert_eq!(shown(&cache, key.clone()).await, format!("{key:?}"));
    }
    assert_eq!(cache.stats().loads, 4);
}

#[test]
fn parameters_make_a_tuple_and_are_asked_for_by_reference() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        assert_eq!(shop.pair(1, "a").await, "1 a, run 1");
        assert_eq!(shop.pair(1, "a").await, "1 a, run 1");
        assert_eq!(shop.pair(1, "b").await, "1 b, run 2");
        assert_eq!(shop.pair_key(1, "b"), (1, "b".to_owned()));
        let kept = shop.pairs.get(&shop.pair_key(1, "b")).await.unwrap();
        assert_eq!(kept.as_deref(), Some("1 b, run 2"));
    });
}

#[test]
fn what_is_skipped_is_no_part_of_the_key() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        assert_eq!(shop.text(1, "a:b", vec![]).await, "1 a:b, run 1");
        assert_eq!(shop.text(1, "a:b", vec![1]).await, "1 a:b, run 1");
        assert_eq!(shop.text_key(1, "a:b"), "user:1:a%3Ab");
        assert_eq!(shop.text_invalidate(1, "a:b").await.unwrap(), Reach::Confirmed);
        assert_eq!(shop.text(1, "a:b", vec![]).await, "1 a:b, run 2");
    });
}

#[tokio::test]
async fn a_key_of_a_template_may_name_a_field_of_self() {
    #[derive(Clone)]
    struct Tenant {
        name: String,
        cache: Cache<Arc<str>, String>,
    }

    impl Tenant {
        #[cached(cache = self.cache, key = "{self.name}:{id}")]
        async fn user(&self, id: u64) -> String {
            format!("{}'s {id}", self.name)
        }
    }

    let cache = Cache::new(10).unwrap();
    let tenant = |name: &str| Tenant { name: name.to_owned(), cache: cache.clone() };
    assert_eq!(tenant("a").user(1).await, "a's 1");
    assert_eq!(tenant("b").user(1).await, "b's 1");
    assert_eq!(tenant("a:b").user_key(1), "a%3Ab:1");
}
