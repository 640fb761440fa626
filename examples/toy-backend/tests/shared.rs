//! Several openings of one folder, each like one in another process.

use std::fs;
use std::thread;

use larder::{Cache, CacheBuilder, SystemClock};

mod support;

use support::Folder;

/// Returns the builder of another process's cache.
fn process(folder: &Folder) -> CacheBuilder<String, u64> {
    Cache::builder().strict(true).backend(folder.cabinet(SystemClock))
}

#[tokio::test]
async fn what_one_has_loaded_another_finds() {
    let folder = Folder::new();
    let [a, b] = [(); 2].map(|()| process(&folder).build().unwrap());
    assert_eq!(a.get_with("soup", || async { 1 }).await.unwrap(), 1);
    assert_eq!(b.get_with("soup", || async { 2 }).await.unwrap(), 1);
    a.invalidate("soup").await.unwrap();
    let c = process(&folder).build().unwrap();
    assert_eq!(c.get("soup").await.unwrap(), None);
}

#[test]
fn no_increment_is_lost() {
    let folder = Folder::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            let cache = process(&folder).build().unwrap();
            scope.spawn(move || {
                for _ in 0..100 {
                    cache.blocking().incr("meals", 1).unwrap();
                }
            });
        }
    });
    let cache = process(&folder).build().unwrap();
    assert_eq!(cache.blocking().counter("meals").unwrap(), Some(400));
}

#[tokio::test]
async fn a_damaged_drawer_is_a_miss_and_is_written_over() {
    let folder = Folder::new();
    process(&folder).build().unwrap().insert("soup".to_owned(), 1).await.unwrap();
    for entry in fs::read_dir(&folder.0).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "drawer") {
            let mut bytes = fs::read(&path).unwrap();
            for byte in &mut bytes {
                *byte ^= 0x55;
            }
            fs::write(&path, bytes).unwrap();
        }
    }
    let cache = process(&folder).build().unwrap();
    assert_eq!(cache.get("soup").await.unwrap(), None);
    assert_eq!(cache.get_with("soup", || async { 2 }).await.unwrap(), 2);
    let other = process(&folder).build().unwrap();
    assert_eq!(other.get("soup").await.unwrap(), Some(2));
}
