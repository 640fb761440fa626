//! How long tags live at the backend, and what many of them cost.

#![expect(clippy::unwrap_used, reason = "what helps a test panics like the test")]

use std::time::Duration;

use larder::backend::{
    Backend as _, Class, Delete, Expect, Key, NEVER, Namespace, Outcome, Record, Times,
};
use larder::{Cache, Load, Loaded, Options, Reach};
use larder_test_support::{Rig, entry, on, on_shared, secs, settle};
use larder_testkit::{Fault, Operation};

const HOUR: u64 = 3_600;

fn tag_key(tag: &str) -> Key {
    Key::new(&Namespace::new("larder").unwrap(), Class::Tag, tag.as_bytes())
}

/// Returns the tag's record at the backend.
async fn tag(rig: &Rig, tag: &str) -> Option<Record> {
    rig.store().inner().read_one(&tag_key(tag)).await.unwrap()
}

async fn life_left(rig: &Rig, name: &str) -> Duration {
    tag(rig, name).await.unwrap().header.times.kept_left()
}

fn process(rig: &Rig) -> Cache<String, u32> {
    rig.builder().build().unwrap()
}

fn tagged(cache: &Cache<String, u32>, hours: u64) -> Cache<String, u32> {
    cache.with(Options::new().ttl(secs(hours * HOUR)).tags(["t"]))
}

async fn early(load: Load<String, u32>) -> larder::Result<u32> {
    load.tags(["t"]).await?;
    Ok(7)
}

async fn late(_: Load<String, u32>) -> larder::Result<Loaded<u32>> {
    Ok(Loaded::new(7).tags(["t"]))
}

/// Stores or lengthens an entry in each way there is. An entry with the tag is fresh for ten hours
/// after it.
async fn keep(way: &str, cache: &Cache<String, u32>) {
    let (short, long, key) = (tagged(cache, 1), tagged(cache, 10), "a");
    let untagged = cache.with(secs(10 * HOUR));
    if ["replace", "set_ttl", "revive", "touch"].contains(&way) {
        let begun = if way == "touch" { &long } else { &short };
        begun.insert(key.into(), 7).await.unwrap();
    }
    match way {
        "insert" => drop(long.insert(key.into(), 7).await.unwrap()),
        "insert_if_absent" => assert!(long.insert_if_absent(key.into(), 7).await.unwrap()),
        "replace" => assert!(long.replace(key.into(), 7).await.unwrap()),
        "insert_many" => drop(long.insert_many([(key.to_owned(), 7)]).await),
        "load" => drop(long.get_with(key, || async { 7 }).await.unwrap()),
        "early tag" => drop(untagged.load(key, early).await.unwrap()),
        "late tag" => drop(untagged.load(key, late).await.unwrap()),
        "set_ttl" => assert!(short.set_ttl(key, secs(10 * HOUR)).await.unwrap()),
        "revive" => assert!(short.revive(key, secs(10 * HOUR)).await.unwrap().is_some()),
        "touch" => assert!(long.touch(key).await.unwrap()),
        _ => assert_eq!(long.incr(key, 7).await.unwrap(), 7),
    }
}

#[test]
fn a_tag_outlives_whatever_is_stored_or_lengthened_under_it() {
    on_shared(async |rig| {
        for way in [
            "insert",
            "insert_if_absent",
            "replace",
            "insert_many",
            "load",
            "early tag",
            "late tag",
            "set_ttl",
            "revive",
            "touch",
            "incr",
        ] {
            let cache = process(&rig);
            // The tag is there already, and has less than that to live.
            cache.invalidate_tag("t").await.unwrap();
            keep(way, &cache).await;
            rig.advance(10 * HOUR - 1);
            let (other, key) = (process(&rig), "a");
            assert!(other.contains_key(key).await.unwrap(), "{way} on {}", rig.name);
            rig.advance(1);
            assert!(!other.contains_key(key).await.unwrap(), "{way} on {}", rig.name);
        }
    });
}

#[test]
fn a_tag_of_an_endless_entry_has_no_end() {
    on_shared(async |rig| {
        let cache = process(&rig);
        for (name, is_persisted) in [("inserted", false), ("persisted", true)] {
            let view = cache.with(Options::new().tags([name]));
            if is_persisted {
                let short = view.with(secs(1));
                short.insert(name.into(), 7).await.unwrap();
                assert!(cache.persist(name).await.unwrap());
            } else {
                view.insert(name.into(), 7).await.unwrap();
            }
            assert_eq!(life_left(&rig, name).await, NEVER, "{name}");
        }
    });
}

/// True if the store frees dead records without being asked.
fn frees_itself(rig: &Rig) -> bool {
    rig.store().capabilities().native_ttl.is_some()
}

/// Broken once: tags lived for ever.
#[test]
fn a_tag_lives_at_most_four_times_the_longest_life_given_to_it() {
    on_shared(async |rig| {
        let cache = process(&rig);
        let view = tagged(&cache, 3);
        view.insert("a".into(), 7).await.unwrap();
        assert!(life_left(&rig, "t").await >= secs(6 * HOUR));
        rig.advance(12 * HOUR);
        assert!(tag(&rig, "t").await.is_none(), "{}", rig.name);
        assert_eq!(cache.purge().await.unwrap() > 0, !frees_itself(&rig), "{}", rig.name);
    });
}

/// Broken once: each invalidation of a tag that no entry has left a record for ever.
#[test]
fn a_changed_tag_lives_an_hour() {
    on_shared(async |rig| {
        let cache = process(&rig);
        for number in 0..100 {
            cache.invalidate_tag(&format!("t{number}")).await.unwrap();
        }
        rig.advance(HOUR - 1);
        assert!(tag(&rig, "t7").await.is_some());
        rig.advance(1);
        assert!(tag(&rig, "t7").await.is_none());
        let purged = cache.purge().await.unwrap();
        assert_eq!(purged, if frees_itself(&rig) { 0 } else { 100 }, "{}", rig.name);
    });
}

#[test]
fn a_soft_change_leaves_a_tag_its_life() {
    on_shared(async |rig| {
        let cache = process(&rig);
        let view = cache.with(Options::new().ttl(secs(HOUR)).grace(secs(9 * HOUR)).tags(["t"]));
        view.insert("a".into(), 7).await.unwrap();
        cache.mark_tag_stale("t").await.unwrap();
        assert!(life_left(&rig, "t").await >= secs(10 * HOUR));
        rig.advance(10 * HOUR - 1);
        let other = process(&rig).with(Options::new().allow_stale(true));
        assert_eq!(other.get("a").await.unwrap(), Some(7), "{}", rig.name);
    });
}

#[test]
fn what_is_past_its_ttl_is_revived_whatever_has_made_its_tag_stale() {
    on_shared(async |rig| {
        let cache = process(&rig);
        let view = cache.with(Options::new().ttl(secs(10)).grace(secs(HOUR)).tags(["t"]));
        view.insert("a".into(), 7).await.unwrap();
        rig.advance(10);
        cache.mark_tag_stale("t").await.unwrap();
        assert_eq!(view.revive("a", secs(10 * HOUR)).await.unwrap(), Some(7), "{}", rig.name);
        assert!(life_left(&rig, "t").await >= secs(10 * HOUR));
    });
}

#[test]
fn a_tag_that_is_lost_invalidates_and_brings_nothing_back() {
    on_shared(async |rig| {
        let cache = rig.builder::<String, u32>().tag_check(secs(1)).build().unwrap();
        let view = tagged(&cache, 1);
        view.insert("a".into(), 7).await.unwrap();
        let lost = Delete { key: tag_key("t"), expect: Expect::Any };
        assert!(rig.store().inner().delete(&[lost]).await.iter().all(Outcome::is_done));
        rig.advance(1);
        for cache in [&cache, &process(&rig)] {
            assert_eq!(cache.get("a").await.unwrap(), None, "{}", rig.name);
        }
        view.insert("b".into(), 7).await.unwrap();
        assert_eq!(process(&rig).get("b").await.unwrap(), Some(7));
        assert_eq!(process(&rig).get("a").await.unwrap(), None);
    });
}

#[test]
fn an_extension_that_comes_after_a_change_brings_nothing_back() {
    on_shared(async |rig| {
        let (here, there) = (process(&rig), process(&rig));
        tagged(&here, 1).insert("old".into(), 1).await.unwrap();
        rig.store().next(Operation::Retime, Fault::Hold);
        let long = tagged(&here, 100);
        let insert = tokio::spawn(async move { long.insert("new".into(), 2).await });
        settle().await;
        assert_eq!(rig.store().held().len(), 1);
        assert_eq!(there.invalidate_tag("t").await.unwrap(), Reach::Confirmed);
        rig.store().release_all();
        assert_eq!(insert.await.unwrap().unwrap(), Reach::Confirmed);
        let other = process(&rig);
        assert_eq!(other.get("old").await.unwrap(), None, "{}", rig.name);
        // The value is stored under the tag's present version.
        assert_eq!(other.get("new").await.unwrap(), Some(2), "{}", rig.name);
    });
}

#[test]
fn a_load_whose_tag_cannot_be_extended_stores_nothing() {
    on_shared(async |rig| {
        let (here, there) = (process(&rig), process(&rig));
        rig.store().next(Operation::Retime, Fault::Hold);
        let long = tagged(&here, 100);
        let load = tokio::spawn(async move { long.get_with("a", || async { 7 }).await });
        settle().await;
        assert_eq!(rig.store().held().len(), 1);
        there.invalidate_tag("t").await.unwrap();
        rig.store().release_all();
        assert_eq!(load.await.unwrap().unwrap(), 7);
        settle().await;
        assert!(rig.record("a").is_none(), "neither a value nor a lease on {}", rig.name);
        assert_eq!(here.get("a").await.unwrap(), None);
    });
}

#[test]
fn a_reader_extends_what_another_extension_has_cut_short() {
    on_shared(async |rig| {
        let cache = process(&rig);
        tagged(&cache, 10).insert("a".into(), 7).await.unwrap();
        let there = tag(&rig, "t").await.unwrap().header;
        let cut = larder::backend::Retime {
            key: tag_key("t"),
            version: there.version,
            token: None,
            times: Times::new(secs(HOUR), secs(HOUR)),
        };
        assert!(rig.store().inner().retime(&[cut]).await.iter().all(Outcome::is_done));
        assert_eq!(process(&rig).get("a").await.unwrap(), Some(7));
        assert!(life_left(&rig, "t").await >= secs(10 * HOUR), "{}", rig.name);
    });
}

#[test]
fn a_tag_that_lives_long_enough_costs_no_call() {
    on_shared(async |rig| {
        let cache = process(&rig);
        let view = tagged(&cache, 10);
        view.insert("a".into(), 7).await.unwrap();
        let count = |operation| rig.store().count(operation);
        rig.store().forget_calls();
        view.insert("b".into(), 7).await.unwrap();
        assert_eq!((count(Operation::Write), count(Operation::Retime)), (1, 0));
        rig.store().forget_calls();
        view.get_with("c", || async { 7 }).await.unwrap();
        assert_eq!((count(Operation::Write), count(Operation::Retime)), (2, 0), "lease and value");
        rig.store().forget_calls();
        assert!(view.touch("c").await.unwrap());
        assert_eq!((count(Operation::Write), count(Operation::Retime)), (0, 1));
    });
}

#[test]
fn all_tags_of_an_entry_are_made_by_one_call_and_extended_by_one() {
    on_shared(async |rig| {
        let tags = |hours| {
            let names = (0..40).map(|number| format!("t{number}"));
            process(&rig).with(Options::new().ttl(secs(hours * HOUR)).tags(names))
        };
        let count = |operation| rig.store().count(operation);
        tags(1).insert("a".into(), 7).await.unwrap();
        assert_eq!((count(Operation::Write), count(Operation::Retime)), (3, 0), "with the epoch");
        rig.store().forget_calls();
        tags(100).insert("b".into(), 7).await.unwrap();
        assert_eq!((count(Operation::Write), count(Operation::Retime)), (1, 1));
        rig.store().forget_calls();
        let keys: Vec<String> = (0..400).map(|number| number.to_string()).collect();
        let loader = |asked: Vec<String>| async move {
            Ok::<_, larder::Error>(asked.into_iter().map(|key| (key, 7)).collect::<Vec<_>>())
        };
        drop(tags(1_000).get_many_with(&keys, loader).await.unwrap());
        // One call for all loads that ask until no other call can be done, or until the task has
        // run for so long that it lets others run: on a busy machine that is sooner.
        let calls = count(Operation::Retime);
        assert!(calls <= keys.len() / 10, "{calls} calls on {}", rig.name);
    });
}

/// Broken once: above 65,536 tags all of them were forgotten, and every tagged copy with them.
#[test]
fn more_tags_than_are_remembered_at_least_cost_no_hit() {
    let rig = Rig::shared();
    on(rig, &async |rig: Rig| {
        let cache = rig.builder::<u64, u64>().build().unwrap();
        for number in 0..70 {
            let tags = (0..1_000).map(|user| format!("user:{number}:{user}"));
            cache.with(Options::new().tags(tags)).insert(number, number).await.unwrap();
        }
        rig.store().forget_calls();
        for number in 0..70 {
            assert_eq!(cache.get(&number).await.unwrap(), Some(number));
        }
        assert_eq!(rig.store().calls().len(), 0);
    });
}

/// Broken once: above 32,768 tags in a page the calls failed, and always would.
#[test]
fn keys_count_and_clear_take_a_page_with_any_number_of_tags() {
    let rig = Rig::shared();
    on(rig, &async |rig: Rig| {
        let cache = process(&rig);
        for page in 0..1_200 {
            let articles = (0..40).map(|number| format!("article:{page}:{number}"));
            let view = cache.with(Options::new().tags(articles));
            view.insert(format!("page/{page}"), page).await.unwrap();
        }
        let other = process(&rig);
        assert_eq!(other.count("*").await.unwrap(), 1_200);
        assert!(other.keys("page/7*").unwrap().next().await.unwrap().is_some());
        assert_eq!(other.clear("page/*").await.unwrap(), 1_200);
        assert!(rig.store().inner().read_one(&entry("page/7")).await.unwrap().is_none());
    });
}

/// Broken once: a tag that no entry has any more was kept until it was evicted.
#[test]
fn purge_gives_an_end_to_tags_that_no_entry_has() {
    on_shared(async |rig| {
        let cache = process(&rig);
        for name in ["kept", "gone"] {
            let view = cache.with(Options::new().tags([name, "both"]));
            view.insert(name.into(), 7).await.unwrap();
        }
        cache.invalidate("gone").await.unwrap();
        cache.purge().await.unwrap();
        for (name, left) in [("kept", NEVER), ("both", NEVER), ("gone", secs(HOUR))] {
            assert_eq!(life_left(&rig, name).await, left, "{name} on {}", rig.name);
        }
        rig.advance(HOUR);
        let purged = cache.purge().await.unwrap();
        assert_eq!(purged, u64::from(!frees_itself(&rig)), "{}", rig.name);
        assert!(tag(&rig, "gone").await.is_none());
        assert_eq!(process(&rig).get("kept").await.unwrap(), Some(7));
    });
}
