//! F05: a disk that is full.

use std::io::Write as _;
use std::path::Path;

use larder_core::{Error, ErrorKind, Outcome};
use larder_disk::{DiskConfig, DiskEvent};
use rustix::mount::{MountFlags, mount};

use crate::child::{Child, tell};
use crate::store::{Folder, Store};

fn mount_disk(folder: &str, kilobytes: usize) {
    let options = std::ffi::CString::new(format!("size={kilobytes}k,mode=700")).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    let mounted = mount("tmpfs", folder, "tmpfs", MountFlags::empty(), Some(options.as_c_str()));
    mounted.expect("this test has to mount a small disk");
}

/// Runs in a process that may mount: a store on a disk that others fill to its last byte.
pub(crate) fn crowd_out(folder: &str) {
    mount_disk(folder, 2_048);
    let others = Path::new(folder).join("others");
    let mut others = std::fs::File::create(others).unwrap();
    let open = || Store::open(DiskConfig::new(Path::new(folder).join("store"))).unwrap();
    let store = open();
    for number in 0..30 {
        assert!(store.put(&name(number), 1, 9_000).is_done());
    }
    while others.write(&[1; 512]).is_ok() {}
    let mut refused = 0;
    for number in 0..20 {
        let put = store.put(&name(number), 2, 90_000);
        if put.is_done() {
            assert_eq!(store.get(&name(number)).unwrap(), Some(2));
            continue;
        }
        refused += 1;
        assert!(no_space(&put), "{put:?}");
        let deleted = store.delete(&name(number));
        assert!(deleted.is_done(), "{number}: {deleted:?}");
        assert_eq!(store.get(&name(number)).unwrap(), None);
    }
    assert!(refused > 0);
    // A store that is opened on a full disk has no log yet.
    drop(store);
    while others.write(&[1; 512]).is_ok() {}
    let store = open();
    for number in 20..30 {
        assert_eq!(store.get(&name(number)).unwrap(), Some(1));
        let deleted = store.delete(&name(number));
        assert!(deleted.is_done(), "{number}: {deleted:?}");
        assert_eq!(store.get(&name(number)).unwrap(), None);
    }
    tell("whole");
}

/// Runs in a process that may mount: a store on a disk of this many KiB.
pub(crate) fn fill(folder: &str, kilobytes: usize) {
    mount_disk(folder, kilobytes);
    let store = Store::open(DiskConfig::new(folder)).unwrap();
    assert!(store.put("old", 1, 1_000).is_done());

    for round in 0..3 {
        let refused = store.put("large", 1, (3 << 20).max(kilobytes << 10));
        assert!(no_space(&refused), "{refused:?}");
        assert_eq!(store.get("old").unwrap(), Some(1));
        assert_eq!(store.get("large").unwrap(), None);
        let small = store.put("small", round + 1, 1);
        assert!(small.is_done(), "{small:?}");
        assert_eq!(store.get("small").unwrap(), Some(round + 1));
    }

    for round in 1..4 {
        let filled = (0..).map(|number| (number, store.put(&name(number), round, 20_000)));
        let (count, refused) = filled.into_iter().find(|(_, put)| !put.is_done()).unwrap();
        assert!(no_space(&refused), "{refused:?}");
        assert!(count * 20_000 > kilobytes * 1_024 / 4, "only {count} fit");
        for number in 0..count {
            assert_eq!(store.get(&name(number)).unwrap(), Some(round), "{number} of {count}");
        }
        assert_eq!(store.get("old").unwrap(), Some(1));
        // Deletes work on a full disk, also on one that others have filled to the last byte.
        let others = Path::new(folder).join("others");
        if round > 1 {
            let mut file = std::fs::File::create(&others).unwrap();
            while file.write(&[1; 512]).is_ok() {}
        }
        for number in 0..count {
            let deleted = store.delete(&name(number));
            assert!(deleted.is_done(), "{number} of {count}: {deleted:?}");
        }
        let _ = std::fs::remove_file(others);
        let large = store.put("large", round, kilobytes * 1_024 / 4);
        assert!(large.is_done(), "{large:?}");
        assert_eq!(store.get("large").unwrap(), Some(round));
        assert!(store.delete("large").is_done());
    }
    let unforeseen = |event: &DiskEvent| !matches!(event, DiskEvent::Evicted { .. });
    assert_eq!(store.events().into_iter().find(unforeseen), None);
    drop(store);
    let store = Store::open(DiskConfig::new(folder)).unwrap();
    assert_eq!(store.get("old").unwrap(), Some(1));
    let left = std::fs::read_dir(Path::new(folder)).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.starts_with("larder.new-")));
    tell("whole");
}

fn name(number: usize) -> String {
    format!("filler-{number}")
}

fn no_space(outcome: &Outcome) -> bool {
    let is_kind = |error: &Error| error.kind() == ErrorKind::NoSpace;
    matches!(outcome, Outcome::Failed(error) if is_kind(error))
}

#[test]
fn f05_a_full_disk_is_told_and_is_no_dead_end() {
    for kilobytes in ["1024", "4096"] {
        let folder = Folder::new();
        let told = Child::start_apart("fill", &[folder.text(), kilobytes]).succeed();
        assert_eq!(told, ["whole"]);
    }
}

/// Regression: the log had more than the database had room for, so not even deletes were possible.
#[test]
fn f05_on_a_disk_that_others_have_filled_deletes_work() {
    let folder = Folder::new();
    assert_eq!(Child::start_apart("crowd out", &[folder.text()]).succeed(), ["whole"]);
}
