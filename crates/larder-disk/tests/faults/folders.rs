//! F10, F11, F35: folders that are unsafe, of another user, or gone.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use larder_core::{ErrorKind, Outcome};
use larder_disk::{DiskBackend, DiskConfig, DiskEvent};
use rustix::fs::Mode;
use rustix::mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount};
use rustix::process::umask;

use crate::child::{Child, pause, tell};
use crate::store::{Files, Folder, Store};

/// Runs in a process that may mount: a store's disk becomes read-only, and is mended.
pub(crate) fn seal(folder: &str) {
    fs::create_dir(folder).unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    let store = Store::open(DiskConfig::new(folder)).unwrap();
    assert!(store.put("key", 1, 100).is_done());
    // This store's writing connection is opened while the disk is read-only.
    let late = Store::open(DiskConfig::new(folder)).unwrap();

    mount_bind(folder, folder).expect("this test has to mount its folder");
    mount_remount(folder, MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
    assert!(matches!(store.get("key"), Ok(Some(1))), "{:?}", store.get("key"));
    for _ in 0..3 {
        // Open files can still be written. A call that needs a new file fails.
        let outcome = store.put("key", 1, 100);
        assert!(outcome.is_done() || is_clear(&outcome), "{outcome:?}");
    }
    let outcome = late.put("key", 1, 100);
    assert!(is_clear(&outcome), "{outcome:?}");
    let other = Store::open(DiskConfig::new(folder)).map(drop);
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Unavailable);

    unmount(folder, UnmountFlags::DETACH).unwrap();
    for (version, store) in [(2, &store), (3, &late)] {
        assert!(store.put("key", version, 100).is_done());
        assert_eq!(store.get("key").unwrap(), Some(version));
        assert_eq!(store.events(), []);
    }
    assert_eq!(Store::open(DiskConfig::new(folder)).unwrap().get("key").unwrap(), Some(3));
    tell("mended");
}

/// Runs in a process that may have any umask: files and folders have the same modes.
pub(crate) fn mask(folder: &str, mask: u32) {
    let mask = Mode::from_bits_truncate(mask);
    umask(mask);
    let store = Store::open(DiskConfig::new(folder)).unwrap();
    assert!(store.put("key", 1, 100_000).is_done());
    tell(umask(mask).bits());
    for (name, mode) in modes(Path::new(folder)) {
        tell(format_args!("{mode:o} {name}"));
    }
}

fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    let mut modes = vec![(String::new(), mode(folder))];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        modes.push((entry.file_name().into_string().unwrap(), mode(&entry.path())));
    }
    modes
}

fn is_clear(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Failed(error) | Outcome::Unknown(error) => {
            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::InvalidInput)
        }
        _ => false,
    }
}

/// Returns the content of a folder, names and bytes.
fn contents(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    Files::of(folder).0.into_iter().collect()
}

#[test]
fn f10_a_folder_that_becomes_read_only_is_an_error_and_is_mended() {
    let folder = Folder::new();
    assert_eq!(Child::start_apart("seal", &[folder.text()]).succeed(), ["mended"]);
}

#[test]
fn f10_a_folder_that_is_gone_is_made_anew() {
    let folder = Folder::new();
    let store = Store::open(folder.config()).unwrap();
    for round in 1..4 {
        assert!(store.put("key", round, 100).is_done());
        fs::remove_dir_all(folder.path()).unwrap();
        if round == 2 {
            // A reader notices as a writer does, a moment later.
            pause(Duration::from_millis(120));
            assert_eq!(store.get("key").unwrap(), None);
            assert!(folder.path().is_dir());
        }
    }
    assert!(store.put("key", 9, 100).is_done());
    assert_eq!(store.get("key").unwrap(), Some(9));
    assert!(store.events().iter().all(|event| *event == DiskEvent::Reopened));
}

#[test]
fn f10_a_file_in_place_of_the_folder_is_an_error_until_it_goes() {
    let folder = Folder::new();
    let store = Store::open(folder.config()).unwrap();
    assert!(store.put("key", 1, 100).is_done());
    let elsewhere = Folder::new();
    fs::rename(folder.path(), elsewhere.path()).unwrap();
    fs::write(folder.path(), "a file").unwrap();
    for _ in 0..3 {
        let outcome = store.put("key", 2, 100);
        assert!(is_clear(&outcome), "{outcome:?}");
        if let Err(error) = store.get("key") {
            assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unavailable));
        }
    }
    assert_eq!(fs::read(folder.path()).unwrap(), b"a file");
    fs::remove_file(folder.path()).unwrap();
    fs::rename(elsewhere.path(), folder.path()).unwrap();
    assert!(store.put("key", 3, 100).is_done());
    assert_eq!(store.get("key").unwrap(), Some(3));
}

#[test]
fn f10_a_path_that_is_too_long_is_an_error() {
    for name in ["x".repeat(256), "x/".repeat(3_000)] {
        let folder = Folder::new();
        let opened = DiskBackend::open(DiskConfig::new(folder.path().join(name)));
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

/// Changes a store by other means: it must be refused and left as it is.
fn refused(kind: ErrorKind, change: &str) {
    let folder = Folder::new();
    let store = Store::open(folder.config()).unwrap();
    assert!(store.put("key", 1, 100).is_done());
    drop(store);
    let database = rusqlite::Connection::open(folder.path().join("larder.db")).unwrap();
    database.execute_batch(change).unwrap();
    drop(database);
    let before = contents(&folder);
    for _ in 0..2 {
        assert_eq!(DiskBackend::open(folder.config()).unwrap_err().kind(), kind);
    }
    let after = contents(&folder);
    let same = |(name, bytes): &(String, Vec<u8>)| {
        // The time of the lock's file is the store's clock; its content means nothing.
        name == "larder.lock" || after.contains(&(name.clone(), bytes.clone()))
    };
    assert!(before.iter().all(same));
    assert_eq!(after.len(), before.len());
}

#[test]
fn f11_a_newer_store_is_refused_and_untouched() {
    refused(ErrorKind::Unsupported, "PRAGMA user_version = 2");
    refused(ErrorKind::Unsupported, "PRAGMA user_version = 2147483647");
}

#[test]
fn f11_another_programs_database_is_refused_and_untouched() {
    refused(ErrorKind::InvalidInput, "PRAGMA application_id = 7");
    refused(ErrorKind::InvalidInput, "PRAGMA application_id = 0");
}

#[test]
fn f11_a_folder_of_other_files_is_refused_and_untouched() {
    for name in ["notes.txt", "larder.db.bak", ".hidden", "larder"] {
        let folder = Folder::new();
        fs::create_dir(folder.path()).unwrap();
        fs::write(folder.path().join(name), "precious").unwrap();
        // A marker of another kind of cache does not make the folder ours.
        fs::write(folder.path().join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172").unwrap();
        let before = contents(&folder);
        let opened = DiskBackend::open(folder.config());
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(contents(&folder) == before, "{name}");
    }
}

#[test]
fn f11_garbage_under_our_names_without_a_marker_is_refused_and_kept() {
    for garbage in [&b"precious"[..], b"", &[7; 10_000]] {
        let folder = Folder::new();
        fs::create_dir(folder.path()).unwrap();
        fs::write(folder.path().join("larder.db"), garbage).unwrap();
        let opened = DiskBackend::open(folder.config());
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput, "{}", garbage.len());
        let found = fs::read(folder.path().join("larder.db")).unwrap();
        assert!(found == garbage, "{}", garbage.len());
    }
}

#[test]
fn f11_a_store_without_tables_becomes_one_with_them() {
    let folder = Folder::new();
    drop(Store::open(folder.config()).unwrap());
    fs::write(folder.path().join("larder.db"), "").unwrap();
    let store = Store::open(folder.config()).unwrap();
    assert!(store.put("key", 1, 100).is_done());
    assert_eq!(store.get("key").unwrap(), Some(1));
}

#[test]
fn f35_modes_are_private_whatever_the_mask() {
    for mask in ["0", "77", "777"] {
        let folder = Folder::new();
        let told = Child::start("mask", &[folder.text(), mask]).succeed();
        // The process's own umask is unchanged.
        assert_eq!(told[0], u32::from_str_radix(mask, 8).unwrap().to_string());
        assert!(told.len() >= 5, "{told:?}");
        assert!(told[1].starts_with("700 "), "{told:?}");
        assert!(told[2..].iter().all(|line| line.starts_with("600 ")), "{mask}: {told:?}");
    }
}

#[test]
fn f35_sixteen_that_create_at_once_share_one_store() {
    for _ in 0..10 {
        let folder = Folder::new();
        let stores = std::thread::scope(|scope| {
            let open = |number: u64| {
                let folder = &folder;
                scope.spawn(move || {
                    let config = folder.config().busy_timeout(Duration::from_secs(10));
                    let store = Store::open(config).unwrap();
                    assert!(store.put(&format!("key-{number}"), number, 100).is_done());
                    store
                })
            };
            let threads: Vec<_> = (0..16).map(open).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        for store in &stores {
            for number in 0..16 {
                assert_eq!(store.get(&format!("key-{number}")).unwrap(), Some(number));
            }
            assert_eq!(store.events(), []);
        }
        assert_eq!(folder.names("larder.new-"), [""; 0]);
    }
}

#[test]
fn f35_sixteen_processes_that_create_at_once_share_one_store() {
    let folder = Folder::new();
    let creators: Vec<_> = (0..16).map(|_| Child::start("create", &[folder.text()])).collect();
    for creator in creators {
        assert_eq!(creator.succeed(), ["go", "done"]);
    }
    assert_eq!(Store::open(folder.config()).unwrap().get("key").unwrap(), Some(1));
    assert_eq!(folder.names("larder.new-"), [""; 0]);
}

#[test]
fn f35_links_in_place_of_our_names_are_refused() {
    let names = [
        "larder.db",
        "larder.db-wal",
        "larder.db-shm",
        "larder.db-journal",
        "larder.lock",
        "CACHEDIR.TAG",
    ];
    for name in names {
        for is_dangling in [false, true] {
            let (folder, victims) = (Folder::new(), Folder::new());
            fs::create_dir(victims.path()).unwrap();
            fs::create_dir(folder.path()).unwrap();
            let victim = victims.path().join("victim");
            if !is_dangling {
                fs::write(&victim, "precious").unwrap();
            }
            symlink(&victim, folder.path().join(name)).unwrap();
            let opened = DiskBackend::open(folder.config());
            assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
            assert_eq!(fs::read(&victim).ok(), (!is_dangling).then(|| b"precious".to_vec()));
        }
    }
}

#[test]
fn f35_a_link_in_place_of_the_folder_is_refused() {
    let (folder, victim) = (Folder::new(), Folder::new());
    fs::create_dir(victim.path()).unwrap();
    symlink(victim.path(), folder.path()).unwrap();
    let opened = DiskBackend::open(folder.config());
    fs::remove_file(folder.path()).unwrap();
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(contents(&victim).is_empty());
}

#[test]
fn f35_a_folder_that_others_can_write_is_refused() {
    for mode in [0o770, 0o707, 0o777, 0o1777] {
        let folder = Folder::new();
        fs::create_dir(folder.path()).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        let opened = DiskBackend::open(folder.config());
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput, "{mode:o}");
        assert!(contents(&folder).is_empty());
    }
}

/// Runs in a process that may give files away: another user's folder and files are refused.
pub(crate) fn give_away(folder: &str) {
    let folder = Path::new(folder);
    drop(Store::open(DiskConfig::new(folder)).unwrap());
    for name in ["", "larder.db", "larder.lock", "CACHEDIR.TAG"] {
        let path = folder.join(name);
        let give = |owner| std::os::unix::fs::chown(&path, Some(owner), None);
        give(12_345).expect("this test has to give files to another user");
        let opened = DiskBackend::open(DiskConfig::new(folder));
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        give(0).unwrap();
    }
    DiskBackend::open(DiskConfig::new(folder)).unwrap();
    tell("refused");
}

#[test]
fn f35_what_belongs_to_somebody_else_is_refused() {
    let folder = Folder::new();
    assert_eq!(Child::start_apart("give away", &[folder.text()]).succeed(), ["refused"]);
}
