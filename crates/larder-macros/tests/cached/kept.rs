//! The kept results: values and known absences, told apart by type; lives, tags, conditions.

use larder::{Cache, cached};

use crate::shop::{HOUR, Runs, SITE, Shop, Trouble};
use crate::support::everywhere;

#[test]
fn a_function_runs_once_for_its_arguments() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        assert_eq!(shop.plain(1).await, "1, run 1");
        assert_eq!(shop.plain(1).await, "1, run 1");
        assert_eq!(shop.plain(2).await, "2, run 2");
        assert_eq!(shop.misnamed(3).await, "3, run 3");
        assert_eq!(shop.misnamed(3).await, "3, run 3");
    });
}

#[test]
fn tasks_that_ask_at_once_share_one_run() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        let ask = |shop: Shop| tokio::spawn(async move { shop.plain(1).await });
        let asked: Vec<_> = (0..64).map(|_| ask(shop.clone())).collect();
        for answer in asked {
            assert_eq!(answer.await.unwrap(), "1, run 1");
        }
    });
}

#[test]
fn values_are_kept_and_failures_come_back_as_they_were_and_are_not() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        for _ in 0..2 {
            assert_eq!(shop.answer(7).await, Ok("7".to_owned()));
        }
        assert_eq!(shop.runs.count(), 1);
        for run in 2..4 {
            assert_eq!(shop.answer(0).await, Err(Trouble::NotFound));
            assert_eq!(shop.runs.count(), run);
        }
        for run in 4..6 {
            let error = shop.boxed(0).await.unwrap_err();
            assert_eq!(error.downcast_ref::<std::io::Error>().unwrap().to_string(), "not found");
            assert_eq!(shop.runs.count(), run);
        }
    });
}

#[test]
fn none_is_a_known_absence() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        for _ in 0..2 {
            assert_eq!(shop.maybe(0).await, None);
        }
        assert_eq!(shop.runs.count(), 1);
        assert!(shop.cache.is_known_absent(&0).await.unwrap());
        for _ in 0..2 {
            assert_eq!(shop.answer_maybe(1).await, Ok(None));
            assert_eq!(shop.answer_maybe(2).await, Ok(Some("2".to_owned())));
        }
        assert_eq!(shop.runs.count(), 3);
        assert_eq!(shop.answer_maybe(3).await, Ok(Some("3".to_owned())));
        // The absence is no answer for a function that always has a value.
        assert_eq!(shop.answer(1).await, Ok("1".to_owned()));
    });
}

#[tokio::test]
async fn a_cache_of_options_keeps_none_as_a_value() {
    #[cached(cache = cache, skip(cache, runs))]
    async fn found(cache: &Cache<u64, Option<u64>>, runs: &Runs, id: u64) -> Option<u64> {
        runs.one_more();
        (id > 0).then_some(id)
    }

    let (cache, runs) = (Cache::new(10).unwrap(), Runs::default());
    for _ in 0..2 {
        assert_eq!(found(&cache, &runs, 0).await, None);
    }
    assert_eq!(runs.count(), 1);
    assert_eq!(cache.get(&0).await.unwrap(), Some(None));
}

#[tokio::test]
async fn a_type_of_ones_own_called_result_is_a_plain_value() {
    mod own {
        #[derive(Clone, Debug, PartialEq)]
        pub(super) enum Result {
            Err(u64),
        }
    }
    use own::Result;

    #[cached(cache = cache, skip(cache))]
    async fn verdict(cache: &Cache<u64, Result>, id: u64) -> Result {
        Result::Err(id)
    }

    let cache = Cache::new(10).unwrap();
    assert_eq!(verdict(&cache, 1).await, Result::Err(1));
    assert_eq!(cache.get(&1).await.unwrap(), Some(Result::Err(1)));
}

#[test]
fn where_the_condition_is_false_the_call_goes_straight() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        assert_eq!(shop.even(2).await, "2, run 1");
        assert_eq!(shop.even(2).await, "2, run 1");
        assert_eq!(shop.even(3).await, "3, run 2");
        assert_eq!(shop.even(3).await, "3, run 3");
    });
}

#[test]
fn entries_have_the_tags_and_lives_that_are_written() {
    everywhere(async |rig| {
        let shop = Shop::new(&rig);
        shop.page("/a:b").await;
        shop.page("/c").await;
        let info = shop.texts.entry_info(&shop.page_key("/a:b")).await.unwrap().unwrap();
        // A tag is written as its parameters print, so that it can be written by hand.
        assert_eq!(info.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["path:/a:b", SITE]);
        assert!(info.ttl_left <= HOUR && info.ttl_left > HOUR / 2);
        assert!(info.kept_left > HOUR * 2);
        shop.texts.invalidate_tag("path:/a:b").await.unwrap();
        assert_eq!(shop.page("/a:b").await, "/a:b, run 3");
        assert_eq!(shop.page("/c").await, "/c, run 2");
        shop.texts.invalidate_tag(SITE).await.unwrap();
        assert_eq!(shop.page("/c").await, "/c, run 4");
    });
}

/// Regression: a tag that no record can have made the function fail, or was left out in silence.
#[test]
fn under_a_tag_that_none_can_have_nothing_is_kept() {
    #[cached(cache = cache, skip(cache, runs), key = "later:{name}", tags = ["{name}"])]
    async fn later(
        cache: &Cache<String, String>,
        runs: &Runs,
        name: &str,
    ) -> Result<String, larder::Error> {
        Ok(format!("{} bytes, run {}", name.len(), runs.one_more()))
    }

    #[cached(cache = cache, skip(cache, runs), key = "now:{name}", tags = ["{name}"])]
    fn now(cache: &Cache<String, String>, runs: &Runs, name: &str) -> String {
        format!("{} bytes, run {}", name.len(), runs.one_more())
    }

    everywhere(async |rig| {
        let (cache, runs, now_runs) = (rig.cache::<String>(), Runs::default(), Runs::default());
        let mut run = 0;
        for (length, is_kept) in [(0, false), (1, true), (255, true), (256, false)] {
            let name = "x".repeat(length);
            for _ in 0..2 {
                run += 1;
                let answer = format!("{length} bytes, run {run}");
                assert_eq!(later(&cache, &runs, &name).await.unwrap(), answer);
                assert_eq!(now(&cache, &now_runs, &name), answer);
                if is_kept {
                    assert_eq!(later(&cache, &runs, &name).await.unwrap(), answer);
                    break;
                }
            }
            if !is_kept {
                let error = later_refresh(&cache, &runs, &name).unwrap_err();
                assert_eq!(error.kind(), larder::ErrorKind::InvalidInput);
            }
        }
    });
}
