//! F12, F14: steps of the wall clock, and lives at the edges.

use std::path::Path;
use std::time::Duration;

use larder::backend::{Clock, NEVER, Timestamp};
use larder::{Loaded, Options, Reach, Ttl};
use larder_test_support::{Refused, on_all, secs};

const NANOSECOND: Duration = Duration::from_nanos(1);

fn source_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn f12_no_step_of_the_wall_clock_has_an_effect() {
    // One file knows the wall clock, and only snapshots ask for it: the lives in memory never do.
    let mut files = Vec::new();
    for folder in ["src", "../larder-core/src"] {
        source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    assert!(files.len() > 30);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let is_clock = file.ends_with("larder/src/support/clock.rs");
        let is_snapshot = file.parent().unwrap().ends_with("larder/src/snapshot");
        for wall in ["SystemTime", "UNIX_EPOCH", "ClockId::Realtime"] {
            assert!(is_clock || !text.contains(wall), "{} names {wall}", file.display());
        }
        for wall in [".wall()", "Clock::wall"] {
            let may_ask = is_clock || is_snapshot;
            assert!(may_ask || !text.contains(wall), "{} asks for {wall}", file.display());
        }
    }
    // The cache's own clock counts.
    on_all(async |rig| {
        let cache = rig.builder::<String, u32>().ttl(secs(10)).build().unwrap();
        cache.insert("a".into(), 7).await.unwrap();
        rig.clock.advance(secs(10).checked_sub(NANOSECOND).unwrap());
        for wall in [Duration::ZERO, secs(1_000_000_000_000), secs(1)] {
            rig.clock.set_wall(wall);
            assert_eq!(cache.get("a").await.unwrap(), Some(7));
        }
        rig.clock.advance(NANOSECOND);
        rig.clock.set_wall(Duration::ZERO);
        assert_eq!(cache.get("a").await.unwrap(), None);
    });
}

/// A ttl, and the life of a value that is written with it. None if the value is not kept at all.
fn lives(now: Timestamp) -> [(Ttl, Option<Duration>); 12] {
    let month = secs(31 * 86_400);
    let micros = Duration::from_micros(500);
    [
        (Ttl::For(Duration::ZERO), None),
        (Ttl::Until(Timestamp::ZERO), None),
        (Ttl::Until(now), None),
        (Ttl::For(NANOSECOND), Some(NANOSECOND)),
        (Ttl::Until(now.after(NANOSECOND)), Some(NANOSECOND)),
        (Ttl::For(micros), Some(micros)),
        (Ttl::For(month), Some(month)),
        (Ttl::For(secs(u64::MAX)), Some(NEVER)),
        (Ttl::For(Duration::MAX), Some(NEVER)),
        (Ttl::Until(Timestamp::FAR), Some(NEVER)),
        (Ttl::Never, Some(NEVER)),
        (Ttl::Default, Some(secs(77))),
    ]
}

#[test]
fn f14_lives_at_the_edges_are_the_same_on_every_set_up_and_by_every_verb() {
    for extra in [Options::new(), Options::new().grace(Duration::MAX).jitter(0.0)] {
        on_all(async |rig| {
            for verb in ["insert", "load", "loaded", "insert_if_absent", "replace", "set_ttl"] {
                for row in 0..12 {
                    let (ttl, life) = lives(rig.clock.now())[row];
                    let builder =
                        rig.builder::<String, u32>().defaults(extra.clone().ttl(secs(77)));
                    let cache = builder.build().unwrap();
                    let with = cache.with(ttl);
                    cache.invalidate("a").await.unwrap();
                    if matches!(verb, "replace" | "set_ttl") {
                        cache.with(Ttl::Never).insert("a".into(), 1).await.unwrap();
                    }
                    let loaded = move |_| async move { Ok::<_, Refused>(Loaded::new(7).ttl(ttl)) };
                    match verb {
                        "insert" => {
                            assert_eq!(with.insert("a".into(), 7).await.unwrap(), Reach::Confirmed);
                        }
                        "load" => assert_eq!(with.get_with("a", || async { 7 }).await.unwrap(), 7),
                        "loaded" => assert_eq!(cache.load("a", loaded).await.unwrap(), Some(7)),
                        "insert_if_absent" => {
                            assert!(with.insert_if_absent("a".into(), 7).await.unwrap());
                        }
                        "replace" => assert!(with.replace("a".into(), 7).await.unwrap()),
                        _ => assert!(cache.set_ttl("a", ttl).await.unwrap()),
                    }
                    let value = if verb == "set_ttl" { 1 } else { 7 };
                    let told = format!("{verb} {ttl:?}");
                    assert_eq!(cache.get("a").await.unwrap(), life.map(|_| value), "{told}");
                    let Some(life) = life else { continue };
                    let left = cache.entry_info("a").await.unwrap().unwrap().ttl_left;
                    // Beyond five centuries a life has no end. A store rounds up, never to nothing.
                    assert!([life, life.max(rig.tick)].contains(&left), "{told}: {left:?}");
                    if life != NEVER {
                        rig.clock.advance(life.saturating_sub(rig.tick));
                        assert_eq!(cache.get("a").await.unwrap(), Some(value), "{told}");
                        rig.clock.advance(rig.tick);
                        assert_eq!(cache.get("a").await.unwrap(), None, "{told}");
                    }
                }
            }
        });
    }
}
