//! F05: a disk that is full.

use std::io::Write as _;
use std::path::Path;

use larder::{ErrorKind, Reach};
use larder_test_support::{Child, Folder, tell};
use rustix::mount::{MountFlags, mount};

use crate::store::Store;

/// Runs in a process that may mount: a snapshot on a disk of a mebibyte.
pub(crate) fn fill(folder: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let options = Some(c"size=1024k,mode=700");
    let mounted = mount("tmpfs", folder, "tmpfs", MountFlags::empty(), options);
    mounted.expect("this test has to mount a small disk");
    let path = Path::new(folder).join("full.snapshot");
    let store = Store::open(&path);
    store.put(1, 1, 1_000);
    store.save().unwrap();
    let old = std::fs::read(&path).unwrap();

    for round in 1..4 {
        store.put(2, round, 3 << 20);
        assert_eq!(store.save().unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(std::fs::read(&path).unwrap(), old);
        assert_eq!(Store::open(&path).get(1), Some(1));
        let count = std::fs::read_dir(folder).unwrap().count();
        assert!(count <= 2 + usize::try_from(round).unwrap(), "{count} files: what failed is left");
        assert_eq!(store.events().len(), usize::try_from(round).unwrap());
    }
    // The next save that fits works.
    store.cache.blocking().invalidate(&2).unwrap();
    store.put(3, 3, 100_000);
    assert_eq!(store.save().unwrap(), 2);
    assert_eq!(Store::open(&path).get(3), Some(3));

    // A change on a disk that others have filled to the last byte is not undone either.
    let others = Path::new(folder).join("others");
    let mut file = std::fs::File::create(&others).unwrap();
    while file.write(&[1; 512]).is_ok() {}
    let mut key = 100;
    while path.exists() {
        assert_eq!(store.put(key, 1, 10), Reach::Confirmed);
        key += 1;
    }
    assert_eq!(Store::open(&path).get(1), None);
    drop(file);
    std::fs::remove_file(others).unwrap();
    store.save().unwrap();
    assert_eq!(Store::open(&path).get(key - 1), Some(1));
    tell("whole");
}

#[test]
fn f05_a_full_disk_is_told_and_is_no_dead_end() {
    let folder = Folder::new();
    assert_eq!(Child::start_apart("fill", &[folder.text()]).succeed(), ["whole"]);
}
