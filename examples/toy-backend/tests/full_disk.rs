//! A disk without room: a device that refuses every byte stands in for it.

#![cfg(target_os = "linux")]

use std::fs;

use bytes::Bytes;
use larder::SystemClock;
use larder_core::{
    Backend as _, Class, Delete, ErrorKind, Expect, Key, NEVER, Namespace, Outcome, Record, Times,
    Write,
};

mod support;

use support::Folder;

#[tokio::test]
async fn on_a_full_disk_nothing_is_written_and_a_delete_works() {
    let folder = Folder::new();
    let cabinet = folder.cabinet(SystemClock);
    let namespace = Namespace::new("full").unwrap();
    let keys: Vec<_> = (0..200)
        .map(|number: u32| Key::new(&namespace, Class::Entry, number.to_string().as_bytes()))
        .collect();
    let write = |key: &Key| {
        let record = Record::value(Bytes::from_static(b"soup"), Times::new(NEVER, NEVER));
        [Write { key: key.clone(), record, expect: Expect::Any }]
    };
    for key in &keys {
        assert!(cabinet.write(&write(key)).await.iter().all(Outcome::is_done));
    }
    // Drafts that are written from now on find no room.
    for number in 0..64 {
        let draft = folder.0.join(format!("{number:02x}.draft"));
        let _ = fs::remove_file(&draft);
        std::os::unix::fs::symlink("/dev/full", draft).unwrap();
    }
    let refused = cabinet.write(&write(&keys[0])).await;
    assert!(matches!(&refused[..], [Outcome::Failed(error)] if error.kind() == ErrorKind::NoSpace));
    assert!(cabinet.read_one(&keys[0]).await.unwrap().is_some());
    let delete = Delete { key: keys[0].clone(), expect: Expect::Any };
    assert!(cabinet.delete(&[delete]).await.iter().all(Outcome::is_done));
    assert!(cabinet.read_one(&keys[0]).await.unwrap().is_none());
}
