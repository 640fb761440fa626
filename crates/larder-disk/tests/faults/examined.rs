//! The findings and repairs of an examination, on a store that is in use.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use larder_core::ErrorKind;
use larder_disk::{DiskConfig, Examine, Problem, Report, examine};

use crate::child::Child;
use crate::store::{Files, Folder, Store};

fn look(folder: &Folder) -> Report {
    examine(&folder.config(), Examine::Look).unwrap()
}

fn repair(folder: &Folder) -> Report {
    examine(&folder.config(), Examine::Repair).unwrap()
}

fn filled() -> Folder {
    let folder = Folder::quick();
    let store = Store::open(folder.config()).unwrap();
    for number in 0..500 {
        assert!(store.put(&format!("key-{number}"), 1, 200).is_done());
    }
    folder
}

/// Spoils one value, wherever it is in the file.
fn spoil_value(folder: &Folder, number: u64) {
    let mut files = Files::of(folder);
    let value = format!("key-{number}|1|200|").into_bytes();
    let database = files.database();
    let places = 0..database.len() - value.len();
    // A page that was split keeps a copy of the records that moved.
    for place in places.filter(|place| database[*place..].starts_with(&value)).collect::<Vec<_>>() {
        database[place + value.len() + 60] ^= 1;
    }
    files.put_into(folder);
}

#[test]
fn a_store_that_is_well_has_no_findings_while_it_is_used() {
    let folder = Folder::quick();
    let mut holder = Child::start("hold", &[folder.text()]);
    assert_eq!(holder.hear().unwrap(), "full");
    for report in [look(&folder), repair(&folder)] {
        assert_eq!(report.findings, []);
        assert!(report.is_well());
        assert_eq!(report.schema, Some(1));
        assert_eq!(report.usage.unwrap().records, 200);
        assert!(report.set_aside.is_empty());
    }
    holder.kill();
    assert_eq!(Store::open(folder.config()).unwrap().get("log-199").unwrap(), Some(1));
}

#[test]
fn where_nothing_is_nothing_is_made() {
    let folder = Folder::quick();
    assert_eq!(look(&folder), Report::default());
    assert_eq!(repair(&folder), Report::default());
    assert!(!folder.path().exists());
}

#[test]
fn a_folder_of_other_files_is_refused_and_untouched() {
    let folder = Folder::quick();
    fs::create_dir(folder.path()).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("notes"), "precious").unwrap();
    let error = examine(&folder.config(), Examine::Repair).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(folder.names(""), ["notes"]);
}

#[test]
fn rights_of_others_are_found_and_taken_away() {
    let folder = filled();
    let database = folder.path().join("larder.db");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o775)).unwrap();
    fs::set_permissions(&database, Permissions::from_mode(0o644)).unwrap();
    let found = look(&folder);
    let modes: Vec<_> = found.findings.iter().map(|finding| &finding.problem).collect();
    let open = |path: &std::path::Path, mode| Problem::Open { path: path.to_owned(), mode };
    assert_eq!(modes, [&open(folder.path(), 0o775), &open(&database, 0o644)]);
    assert!(!found.is_well());
    assert!(repair(&folder).is_well());
    assert_eq!(look(&folder).findings, []);
    assert_eq!(Store::open(folder.config()).unwrap().get("key-1").unwrap(), Some(1));
}

#[test]
fn unfinished_databases_are_found_and_removed() {
    let folder = filled();
    fs::write(folder.path().join("larder.new-1-1"), "begun").unwrap();
    fs::set_permissions(folder.path().join("larder.new-1-1"), Permissions::from_mode(0o600))
        .unwrap();
    assert_eq!(look(&folder).findings[0].problem, Problem::Unfinished { files: 1 });
    assert_eq!(folder.names("larder.new-").len(), 1);
    assert!(repair(&folder).is_well());
    assert_eq!(folder.names("larder.new-").len(), 0);
}

#[test]
fn damaged_records_are_found_and_dropped() {
    let folder = filled();
    spoil_value(&folder, 7);
    spoil_value(&folder, 300);
    let found = look(&folder);
    assert_eq!(found.findings[0].problem, Problem::DamagedRecords { records: 2 });
    assert_eq!(found.usage.unwrap().records, 500);
    let mended = repair(&folder);
    assert!(mended.is_well());
    assert_eq!(mended.usage.unwrap().records, 498);
    assert_eq!(look(&folder).findings, []);
    let store = Store::open(folder.config()).unwrap();
    assert_eq!(store.get("key-7").unwrap(), None);
    assert_eq!(store.get("key-8").unwrap(), Some(1));
    assert_eq!(store.events(), []);
}

#[test]
fn a_damaged_database_is_found_and_replaced() {
    let folder = filled();
    let mut files = Files::of(&folder);
    files.database()[4_096 * 3..4_096 * 4].fill(7);
    files.put_into(&folder);
    let before = Files::of(&folder).0;
    let found = look(&folder);
    assert!(matches!(found.findings[0].problem, Problem::DamagedDatabase { .. }), "{found:?}");
    assert!(Files::of(&folder).0["larder.db"] == before["larder.db"]);
    let mended = repair(&folder);
    assert!(matches!(mended.findings[0].problem, Problem::DamagedDatabase { .. }), "{mended:?}");
    assert!(mended.is_well());
    assert_eq!(mended.set_aside.len(), 1);
    assert_eq!(mended.usage.unwrap().records, 0);
    assert_eq!(look(&folder).findings, []);
    assert_eq!(Store::open(folder.config()).unwrap().get("key-1").unwrap(), None);
}

#[test]
fn a_newer_store_is_refused_and_untouched() {
    let folder = filled();
    let database = rusqlite::Connection::open(folder.path().join("larder.db")).unwrap();
    database.execute_batch("PRAGMA user_version = 9").unwrap();
    drop(database);
    for how in [Examine::Look, Examine::Repair] {
        let error = examine(&DiskConfig::new(folder.path()), how).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
