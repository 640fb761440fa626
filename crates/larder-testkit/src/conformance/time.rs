//! Ages, lives and the store's clock.

use std::time::Duration;

use larder_core::{Backend, Expect, Life, NEVER, Times};

use super::Trial;
use super::check::{
    HOUR, assert_duration, done, if_supported, refused_by_nothing, same, value, value_for, version,
};

/// A record is dead at exactly `age == kept_for`, and live one step before.
pub async fn dead_is_absent_at_exactly_its_life(trial: &Trial) {
    let Some(step) = trial.resolution() else { return };
    let (key, life) = (trial.key("dish"), Duration::from_secs(10));
    trial.put(&key, &value_for("soup", life)).await;
    trial.pass(life.saturating_sub(step)).await;
    assert_eq!(trial.found(&key).await.header.times.age, life.saturating_sub(step));
    trial.pass(step).await;
    assert!(trial.read(&key).await.is_none());
}

/// A record that was written with an age dies that much earlier, to the step.
pub async fn a_written_age_counts_to_the_step(trial: &Trial) {
    let Some(step) = trial.resolution() else { return };
    let (key, mut record) = (trial.key("dish"), value("soup"));
    record.header.times = Times { age: 59 * MINUTE, fresh_for: MINUTE, kept_for: HOUR };
    trial.put(&key, &record).await;
    trial.pass(MINUTE.saturating_sub(step)).await;
    assert_eq!(trial.found(&key).await.header.times.age, HOUR.saturating_sub(step));
    trial.pass(step).await;
    assert!(trial.read(&key).await.is_none());
}

/// A record that outlived `kept_for` reads as nothing.
pub async fn a_dead_record_reads_as_nothing(trial: &Trial) {
    let key = trial.key("dish");
    trial.put(&key, &value_for("soup", trial.moment())).await;
    assert!(trial.read(&key).await.is_some(), "dead too early");
    trial.outlive(trial.moment()).await;
    assert!(trial.read(&key).await.is_none());
}

/// `Absent` is met by the dead.
pub async fn absent_is_met_by_the_dead(trial: &Trial) {
    let (key, new) = (trial.key("dish"), value("new"));
    trial.put(&key, &value_for("old", trial.moment())).await;
    trial.outlive(trial.moment()).await;
    done(&trial.write(&key, &new, Expect::Absent).await);
    same(&trial.found(&key).await, &new, trial.granularity());
}

/// The version of a dead record is refused, with no header, before and after it was read.
pub async fn a_dead_version_is_refused(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value_for("soup", trial.moment()));
    trial.put(&key, &record).await;
    let header = trial.found(&key).await.header;
    trial.outlive(trial.moment()).await;
    refused_by_nothing(trial.write(&key, &value("late"), Expect::exactly(&header)).await);
    assert!(trial.read(&key).await.is_none());
    refused_by_nothing(trial.write(&key, &value("late"), version(&record)).await);
}

/// An age is never too small: it counts the written age and all time that passed.
pub async fn an_age_is_never_too_small(trial: &Trial) {
    let (key, mut record) = (trial.key("dish"), value("soup"));
    record.header.times.age = MINUTE;
    trial.put(&key, &record).await;
    assert!(trial.found(&key).await.header.times.age >= MINUTE);
    trial.pass(trial.moment()).await;
    let age = trial.found(&key).await.header.times.age;
    assert!(age >= MINUTE + trial.moment(), "too young: {age:?}");
    assert!(age < HOUR / 2, "too old: {age:?}");
}

/// A retimed age counts from the retime.
pub async fn a_retimed_age_counts_from_the_retime(trial: &Trial) {
    let (key, record) = (trial.key("dish"), value("soup"));
    trial.put(&key, &record).await;
    trial.pass(trial.moment()).await;
    let times = Times { age: MINUTE, fresh_for: HOUR, kept_for: HOUR };
    done(&trial.retime(&key, record.header.version, times).await);
    trial.pass(trial.moment()).await;
    let age = trial.found(&key).await.header.times.age;
    assert!(age >= MINUTE + trial.moment(), "too young: {age:?}");
    if trial.resolution().is_some() {
        assert_eq!(age, MINUTE + trial.moment(), "the first life is forgotten");
    }
}

/// A stale record is kept until it is dead, and says that it is stale.
pub async fn a_stale_record_is_still_read(trial: &Trial) {
    let (key, mut record) = (trial.key("dish"), value("soup"));
    record.header.times = Times::new(trial.moment(), HOUR);
    trial.put(&key, &record).await;
    assert_eq!(trial.found(&key).await.header.times.life(), Life::Fresh);
    trial.outlive(trial.moment()).await;
    assert_eq!(trial.found(&key).await.header.times.life(), Life::Stale);
}

/// A life of zero is over on arrival: the write is done and nothing is there, old or new.
pub async fn a_life_of_zero_leaves_nothing(trial: &Trial) {
    let key = trial.key("dish");
    trial.put(&key, &value("old")).await;
    trial.put(&key, &value_for("new", Duration::ZERO)).await;
    assert!(trial.read(&key).await.is_none());
    let mut over = value("over");
    over.header.times = Times { age: HOUR, fresh_for: HOUR, kept_for: HOUR };
    trial.put(&key, &over).await;
    assert!(trial.read(&key).await.is_none(), "an age that equals the life is past it");
}

/// Lives of 1 ns, 0.5 ms and 1 s round up at most to the granularity, and never to for ever.
pub async fn short_lives_end(trial: &Trial) {
    for life in [Duration::from_nanos(1), Duration::from_micros(500), Duration::from_secs(1)] {
        let (key, record) = (trial.key(format!("{life:?}")), value_for("soup", life));
        trial.put(&key, &record).await;
        // Where time passes by itself, the record may be dead already.
        if let Some(read) = trial.read(&key).await {
            assert_duration(read.header.times.kept_for, life, trial.granularity());
        }
        let step = trial.resolution().unwrap_or(Duration::from_millis(1));
        trial.outlive(life.max(step)).await;
        assert!(trial.read(&key).await.is_none(), "{life:?} did not end");
    }
}

/// Lives of 31 days and of `u64::MAX` seconds neither end at once nor become for ever.
pub async fn long_lives_do_not_wrap(trial: &Trial) {
    for days in [30, 31, 366, 36_500] {
        let life = days * 24 * HOUR;
        let (key, record) = (trial.key(days.to_string()), value_for("soup", life));
        trial.put(&key, &record).await;
        trial.pass(trial.moment()).await;
        same(&trial.found(&key).await, &record, trial.granularity());
        done(&trial.delete(&key, Expect::Any).await);
    }
    let life = Duration::from_secs(u64::MAX);
    let key = trial.key("longest");
    trial.put(&key, &value_for("soup", life)).await;
    trial.pass(trial.moment()).await;
    let kept_for = trial.found(&key).await.header.times.kept_for;
    assert!(kept_for <= life, "longer than asked: {kept_for:?}");
    assert!(kept_for > 36_500 * 24 * HOUR, "cut short: {kept_for:?}");
    done(&trial.delete(&key, Expect::Any).await);
}

/// A life without end stays one, at any age.
pub async fn a_life_without_end_has_none(trial: &Trial) {
    let (key, mut record) = (trial.key("dish"), value_for("soup", NEVER));
    record.header.times.age = 36_500 * 24 * HOUR;
    trial.put(&key, &record).await;
    trial.pass(trial.moment()).await;
    if trial.resolution().is_some() {
        trial.pass(36_500 * 24 * HOUR).await;
    }
    same(&trial.found(&key).await, &record, trial.granularity());
    done(&trial.delete(&key, Expect::Any).await);
}

/// An age of any size neither overflows nor makes a record young.
pub async fn a_huge_age_does_not_wrap(trial: &Trial) {
    for age in [Duration::from_secs(u64::MAX), NEVER] {
        let (key, mut record) = (trial.key(format!("{age:?}")), value("soup"));
        record.header.times = Times { age, fresh_for: HOUR, kept_for: NEVER };
        trial.put(&key, &record).await;
        trial.pass(trial.moment()).await;
        assert_eq!(trial.found(&key).await.header.times.life(), Life::Stale);
        record.header.times.kept_for = HOUR;
        trial.put(&key, &record).await;
        assert!(trial.read(&key).await.is_none(), "an old record is dead");
    }
}

/// The store's clock goes with the time that passes, and never back.
pub async fn the_clock_follows_time(trial: &Trial) {
    let Some(before) = if_supported(trial.backend().clock().await) else { return };
    let before = before.as_micros();
    trial.pass(trial.moment()).await;
    let after = trial.backend().clock().await.expect("a clock").as_micros();
    let passed = i64::try_from(trial.moment().as_micros()).unwrap_or(i64::MAX);
    // Both readings are cut to a microsecond, and a coarse clock to its granularity.
    let slack = i64::try_from(trial.granularity().as_micros()).unwrap_or(i64::MAX).max(1);
    assert!(after - before >= passed - slack, "{before} to {after}");
}

const MINUTE: Duration = Duration::from_secs(60);
