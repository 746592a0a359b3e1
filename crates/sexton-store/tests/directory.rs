//! What `EmbeddedStore::open` does with the directories that people give it.
//!
//! Goal: nothing of others is ever touched, and each refusal says in one line what is the matter.

use std::fs;
use std::path::Path;

use sexton_core::{Batch, ErrorKind, Sequence, Store, Timestamp, Write};
use sexton_store::{Create, EmbeddedStore, IndexKind, Options, ReadOnlyStore};

fn refusal(path: &Path, options: &Options) -> (ErrorKind, String) {
    let error = EmbeddedStore::open(path, options).expect_err("refused");
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(!message.contains('\n') && !message.ends_with('.'), "{message}");
    (error.kind(), message)
}

fn fill(path: &Path, options: &Options) {
    let store = EmbeddedStore::open(path, options).expect("opens");
    let (shard, fence) = store.claim().expect("claims")[0];
    let writes = vec![Write { key: b"key".to_vec(), value: Some(b"a value to find".to_vec()) }];
    let (at, expected) = (Timestamp::ZERO, fence.sequence);
    let batch =
        Batch { shard, epoch: fence.epoch, expected, at, order: 1, writes, events: Vec::new() };
    store.submit(batch).expect("taken");
    store.close().expect("closes");
}

#[test]
fn a_store_is_made_where_nothing_is_and_only_if_asked() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("deep").join("store");
    let never = Options { create: Create::Never, ..Options::default() };
    let (kind, message) = refusal(&path, &never);
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(message.starts_with("there is no store at "), "{message}");
    assert!(!path.exists() && !EmbeddedStore::exists(&path));
    fill(&path, &Options::default());
    assert!(EmbeddedStore::exists(&path));
    assert_eq!(EmbeddedStore::kind(&path).unwrap(), Some(IndexKind::Redb));
    let store = EmbeddedStore::open(&path, &never).unwrap();
    assert_eq!(store.get(b"key").unwrap(), Some(b"a value to find".to_vec()));
    assert_eq!(store.claim().unwrap()[0].1.sequence, Sequence(1));
}

#[test]
fn a_file_and_a_directory_of_others_are_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "mine").unwrap();
    let (kind, message) = refusal(&file, &Options::default());
    assert_eq!(kind, ErrorKind::Refused);
    assert!(message.contains("is a file"), "{message}");
    let (kind, message) = refusal(place.path(), &Options::default());
    assert_eq!(kind, ErrorKind::Refused);
    assert!(message.contains("is not empty and holds no store"), "{message}");
    let names: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was made");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_store_in_use_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    let open = EmbeddedStore::open(path, &Options::default()).unwrap();
    let (kind, message) = refusal(path, &Options::default());
    assert_eq!(kind, ErrorKind::Busy);
    assert!(message.ends_with("is in use by another process"), "{message}");
    drop(open);
    EmbeddedStore::open(path, &Options::default()).unwrap();
}

#[test]
fn a_store_on_another_index_is_refused() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path(), &Options::default());
    let sled = Options { index: IndexKind::Sled, ..Options::default() };
    let (kind, message) = refusal(place.path(), &sled);
    assert_eq!(kind, ErrorKind::Refused);
    assert!(message.ends_with("is a store on redb, and sled was asked for"), "{message}");
}

#[test]
fn a_store_of_another_version_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path(), &Options::default());
    let marker = place.path().join("sexton-store");
    let text = fs::read_to_string(&marker).unwrap();
    assert_eq!(text, "sexton store\nformat: 2\nindex: redb\nshards: 4096\n");
    for other in [1, 7] {
        fs::write(&marker, text.replace("format: 2", &format!("format: {other}"))).unwrap();
        let (kind, message) = refusal(place.path(), &Options::default());
        assert_eq!(kind, ErrorKind::Corrupt);
        let end = format!("has format {other}, and this version reads 2");
        assert!(message.ends_with(&end), "{message}");
    }
    fs::write(&marker, "nonsense").unwrap();
    let (kind, message) = refusal(place.path(), &Options::default());
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(message.contains("is not a store's marker"), "{message}");
}

#[test]
fn a_store_whose_making_was_cut_short_is_made_anew() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path(), &Options::default());
    let marker = place.path().join("sexton-store");
    fs::rename(&marker, place.path().join("sexton-store.new")).unwrap();
    assert!(!EmbeddedStore::exists(place.path()));
    let store = EmbeddedStore::open(place.path(), &Options::default()).unwrap();
    assert_eq!(store.get(b"key").unwrap(), None);
    drop(store);
    // Without either marker it is somebody else's.
    fs::remove_file(marker).unwrap();
    assert_eq!(refusal(place.path(), &Options::default()).0, ErrorKind::Refused);
}

#[test]
fn an_index_that_is_gone_is_told_and_never_made_anew() {
    for index in [IndexKind::Redb, IndexKind::Sled] {
        let place = tempfile::tempdir().unwrap();
        let options = Options { index, ..Options::default() };
        fill(place.path(), &options);
        let path = place.path().join(format!("index.{}", index.name()));
        let moved = place.path().join("elsewhere");
        fs::rename(&path, moved).unwrap();
        let (kind, message) = refusal(place.path(), &options);
        assert_eq!(kind, ErrorKind::Corrupt);
        assert!(message.contains("missing"), "{message}");
        assert!(!path.exists());
    }
}

#[cfg(feature = "sled")]
#[test]
fn a_sled_index_that_comes_back_empty_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let options = Options { index: IndexKind::Sled, ..Options::default() };
    fill(place.path(), &options);
    let path = place.path().join("index.sled");
    fs::write(path.join("db"), b"").unwrap();
    for entry in fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("snap") {
            fs::remove_file(path).unwrap();
        }
    }
    let (kind, message) = refusal(place.path(), &options);
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(message.contains("restore a backup"), "{message}");
}

/// A writer that was killed while sled wrote a snapshot; found by `tests/killed.rs`.
#[cfg(feature = "sled")]
#[test]
fn a_snapshot_that_sled_was_writing_when_it_was_killed_is_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let options = Options { index: IndexKind::Sled, ..Options::default() };
    fill(place.path(), &options);
    let half = place.path().join("index.sled/snap.FFFFFFFFFFFF0000.generating");
    for content in [&b""[..], b"half of a snapshot"] {
        fs::write(&half, content).unwrap();
        let read = ReadOnlyStore::open(place.path()).unwrap();
        assert_eq!(read.get(b"key").unwrap(), Some(b"a value to find".to_vec()));
        drop(read);
        assert!(half.exists(), "what only reads changes nothing");
        let store = EmbeddedStore::open(place.path(), &options).unwrap();
        assert_eq!(store.get(b"key").unwrap(), Some(b"a value to find".to_vec()));
        assert!(!half.exists());
    }
}

#[test]
fn a_flipped_bit_in_a_record_of_the_index_is_told() {
    let place = tempfile::tempdir().unwrap();
    fill(place.path(), &Options::default());
    let path = place.path().join("index.redb");
    let mut bytes = fs::read(&path).unwrap();
    let value = b"a value to find";
    let places: Vec<_> =
        bytes.windows(value.len()).enumerate().filter(|(_, it)| it == value).collect();
    let places: Vec<_> = places.into_iter().map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    let store = EmbeddedStore::open(place.path(), &Options::default()).unwrap();
    for error in [store.get(b"key").unwrap_err(), store.scan(b"", b"", 9).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().starts_with("the record key in "), "{error}");
    }
}

#[test]
fn a_damaged_journal_is_told_with_its_path() {
    let place = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        fill(place.path(), &Options::default());
    }
    let path = place.path().join("journal/journal-0000000002");
    let mut bytes = fs::read(&path).unwrap();
    bytes[70] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (kind, message) = refusal(place.path(), &Options::default());
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(message.contains("journal-0000000002 is damaged at byte 64"), "{message}");
}
