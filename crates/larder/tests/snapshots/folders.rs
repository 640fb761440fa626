//! F10, F11, F35: folders and files that are unsafe, another user's, or gone.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use larder::{ErrorKind, Event, Reach};
use larder_test_support::{Child, Folder, tell};
use rustix::fs::Mode;
use rustix::mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount};
use rustix::process::umask;

use crate::store::Store;

/// In a process that may mount: a snapshot on a disk that becomes read-only, and is mended.
pub(crate) fn seal(folder: &str) {
    let path = Path::new(folder).join("sealed.snapshot");
    let store = Store::open(&path);
    store.put(1, 1, 100);
    store.put(2, 1, 100);
    store.save().unwrap();
    let folder = path.parent().unwrap();
    mount_bind(folder, folder).expect("this test has to mount its folder");
    mount_remount(folder, MountFlags::BIND | MountFlags::RDONLY, "").unwrap();

    for round in 1..4 {
        assert_eq!(store.save().unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(store.events().len(), round, "one for each save");
    }
    // The log that is open can still be written; one that was opened later cannot, and says so.
    let late = Store::open(&path);
    assert_eq!((late.get(1), late.events().len()), (Some(1), 0));
    assert_eq!(late.put(2, 2, 100), Reach::Local);
    assert_eq!(late.cache.blocking().invalidate(&1).unwrap(), Reach::Local);
    assert_eq!((late.get(1), late.events().len()), (None, 2));

    unmount(folder, UnmountFlags::DETACH).unwrap();
    assert_eq!(late.put(3, 3, 100), Reach::Confirmed);
    assert_eq!(Store::open(&path).get(1), None, "what could not be noted is not undone");
    late.save().unwrap();
    assert_eq!(Store::open(&path).get(3), Some(3));
    tell("mended");
}

/// In a process that may have any mask: files and folders have the same modes.
pub(crate) fn mask(folder: &str, mask: u32) {
    let mask = Mode::from_bits_truncate(mask);
    umask(mask);
    let path = Path::new(folder).join("inner/masked.snapshot");
    let store = Store::open(&path);
    store.put(1, 1, 100);
    store.save().unwrap();
    store.put(1, 2, 100);
    tell(umask(mask).bits());
    let inner = path.parent().unwrap();
    tell(format_args!("{:o}", fs::metadata(inner).unwrap().mode() & 0o7777));
    for entry in fs::read_dir(inner).unwrap() {
        tell(format_args!("{:o}", entry.unwrap().metadata().unwrap().mode() & 0o7777));
    }
}

fn failures(store: &Store) -> usize {
    store.events().iter().filter(|event| matches!(event, Event::SnapshotFailed(_))).count()
}

#[test]
fn f10_a_folder_that_becomes_read_only_is_an_error_and_is_mended() {
    let folder = Folder::new();
    assert_eq!(Child::start_apart("seal", &[folder.text()]).succeed(), ["mended"]);
}

#[test]
fn f10_a_folder_that_is_gone_is_made_anew() {
    let folder = Folder::new();
    let path = folder.path().join("gone.snapshot");
    let store = Store::open(&path);
    for round in 1..4 {
        store.put(1, round, 100);
        store.save().unwrap();
        assert_eq!(Store::open(&path).get(1), Some(round));
        fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(store.put(2, round, 100), Reach::Confirmed, "there is nothing to make wrong");
        assert_eq!(Store::open(&path).get(1), None);
    }
    assert_eq!(failures(&store), 0);
}

#[test]
fn f10_a_file_in_place_of_the_folder_is_an_error_until_it_goes() {
    let folder = Folder::new();
    let path = folder.path().join("a.snapshot");
    let store = Store::open(&path);
    store.put(1, 1, 100);
    store.save().unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    fs::write(folder.path(), "a file").unwrap();
    for round in 1..4 {
        assert_eq!(store.save().unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!((failures(&store), store.get(1)), (round, Some(1)));
    }
    assert_eq!(fs::read(folder.path()).unwrap(), b"a file");
    assert_eq!(Store::open(&path).get(1), None);
    fs::remove_file(folder.path()).unwrap();
    store.save().unwrap();
    assert_eq!(Store::open(&path).get(1), Some(1));
}

#[test]
fn f10_names_may_be_as_long_as_the_file_system_takes_and_no_longer() {
    let folder = Folder::new();
    for (length, fits) in [(200, true), (255, true), (256, false), (5_000, false)] {
        let path = folder.path().join("x".repeat(length));
        let store = Store::open(&path);
        store.put(1, 1, 100);
        match store.save() {
            Ok(count) => assert_eq!((count, fits), (1, true)),
            Err(error) => assert_eq!((error.kind(), fits), (ErrorKind::Unavailable, false)),
        }
        assert_eq!(Store::open(&path).get(1), fits.then_some(1), "{length}");
    }
    assert_eq!(folder.names(".new-"), [""; 0]);
    let store = Store::open("/");
    assert_eq!(store.save().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn f11_a_file_of_another_program_is_set_aside_and_one_of_a_later_release_gives_way() {
    let folder = Folder::new();
    fs::create_dir(folder.path()).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    let path = folder.path().join("a.snapshot");
    for (bytes, is_kept) in
        [(&b"a letter to somebody"[..], true), (b"LARDSNAP\x02\x00later", false)]
    {
        fs::write(&path, bytes).unwrap();
        let store = Store::open(&path);
        assert_eq!((failures(&store), store.put(1, 1, 100)), (1, Reach::Confirmed));
        store.cache.blocking().invalidate(&2).unwrap();
        assert_eq!(path.exists(), is_kept, "nobody knows whether a change made it wrong");
        store.save().unwrap();
        assert_eq!(Store::open(&path).get(1), Some(1));
    }
    let aside = folder.names(".other-");
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(folder.path().join(&aside[0])).unwrap(), b"a letter to somebody");
}

#[test]
fn f35_files_are_their_owners_alone_whatever_the_umask() {
    for mask in ["0", "77", "277", "777"] {
        let folder = Folder::new();
        fs::create_dir(folder.path()).unwrap();
        let told = Child::start("mask", &[folder.text(), mask]).succeed();
        let bits = u32::from_str_radix(mask, 8).unwrap().to_string();
        assert_eq!(told, [bits.as_str(), "700", "600", "600"], "mask {mask}");
    }
}

#[test]
fn f35_links_and_other_kinds_of_files_are_refused_and_not_followed() {
    let folder = Folder::new();
    let path = folder.path().join("a.snapshot");
    let victim = folder.path().join("victim");
    let store = Store::open(&path);
    store.put(1, 1, 100);
    store.save().unwrap();
    fs::rename(&path, &victim).unwrap();
    let before = fs::read(&victim).unwrap();
    symlink(&victim, &path).unwrap();
    let linked = Store::open(&path);
    assert_eq!((linked.get(1), failures(&linked)), (None, 1));
    assert_eq!(store.save().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(fs::read(&victim).unwrap(), before);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let other = Store::open(&path);
    assert_eq!((other.get(1), failures(&other)), (None, 1));
    assert_eq!(store.save().unwrap_err().kind(), ErrorKind::InvalidInput);
    fs::remove_dir(&path).unwrap();
    store.save().unwrap();
    assert_eq!(Store::open(&path).get(1), Some(1));

    // A link in the place of the log: the change is not written through it, and not undone.
    let log = folder.path().join(&folder.names(".log-")[0]);
    drop(store);
    fs::rename(&log, folder.path().join("log")).unwrap();
    symlink(&victim, &log).unwrap();
    let store = Store::open(&path);
    assert_eq!((store.get(1), failures(&store)), (None, 1));
    store.put(2, 1, 100);
    assert_eq!(fs::read(&victim).unwrap(), before);
    store.save().unwrap();
    assert_eq!(Store::open(&path).get(2), Some(1));
}

#[test]
fn f35_a_folder_into_which_others_can_write_is_refused() {
    let folder = Folder::new();
    fs::create_dir(folder.path()).unwrap();
    let store = Store::open(folder.path().join("a.snapshot"));
    store.put(1, 1, 100);
    for mode in [0o777, 0o1777, 0o770, 0o702] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(store.save().unwrap_err().kind(), ErrorKind::InvalidInput, "{mode:o}");
        assert_eq!(folder.names("a.snapshot"), [""; 0]);
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    store.save().unwrap();
}
