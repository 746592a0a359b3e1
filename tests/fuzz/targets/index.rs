//! The other files of a store: the index, its checkpoint, its records, and the marker.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use redb::{Database, TableDefinition};
use sexton::{Batch, ErrorKind, Sequence, Store, Timestamp, Write};
use sexton_store::{
    Check, Create, EmbeddedStore, IndexKind, Options, ReadOnlyStore, Sizes, inspect,
};
use tempfile::TempDir;

use crate::input::{Input, says_why, sealed};

/// Records of the store whose files are changed.
const KEYS: u32 = 60;
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const CHECKPOINT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("checkpoint");

/// Changes a file of a store as the bytes say, and reads the store.
pub fn index(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let place = tempfile::tempdir().expect("a place");
    let what = input.byte();
    match what % 16 {
        // sled takes a hundred times as long to open.
        6 if what == 6 => bent(&place, IndexKind::Sled, "index.sled/db", input),
        0..=6 => bent(&place, IndexKind::Redb, "index.redb", input),
        7..=9 => marker(&place, input.rest()),
        10..=12 => forged(&place, |file| put_checkpoint(file, input.rest())),
        _ => forged(&place, |file| put_records(file, input)),
    }
}

fn value(number: u32) -> Vec<u8> {
    format!("value-{number}-").repeat(9).into_bytes()
}

fn key(number: u32) -> Vec<u8> {
    format!("key-{number:03}").into_bytes()
}

fn options(index: IndexKind, check: Check) -> Options {
    let sizes = Sizes { overlay_bytes: 4_000, journal_bytes: 6_000, segment_bytes: 4_096 };
    Options { index, check, sizes, create: Create::Never }
}

/// A closed store that is made once, to be copied.
fn whole(kind: IndexKind) -> &'static Path {
    static MADE: [OnceLock<TempDir>; 2] = [OnceLock::new(), OnceLock::new()];
    let place = MADE[usize::from(kind == IndexKind::Sled)].get_or_init(|| {
        let place = tempfile::tempdir().expect("a place");
        let options = Options { create: Create::IfMissing, ..options(kind, Check::Quick) };
        let store = EmbeddedStore::open(place.path().join("store"), &options).expect("opens");
        let (shard, fence) = store.claim().expect("claims")[0];
        for number in 0..KEYS {
            let writes = vec![Write { key: key(number), value: Some(value(number)) }];
            let expected = Sequence(fence.sequence.0 + u64::from(number));
            let (at, epoch, order) = (Timestamp::ZERO, fence.epoch, u64::from(number));
            let batch = Batch { shard, epoch, expected, at, order, writes, events: Vec::new() };
            store.submit(batch).expect("taken");
        }
        store.close().expect("closes");
        place
    });
    place.path()
}

fn copied(place: &TempDir, kind: IndexKind) -> PathBuf {
    copy(whole(kind), place.path());
    place.path().join("store")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let place = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &place);
        } else {
            fs::copy(&path, place).expect("copied");
        }
    }
}

/// Some bytes of a file changed: an error, or the value that was put.
fn bent(place: &TempDir, kind: IndexKind, file: &str, mut input: Input<'_>) -> bool {
    let path = copied(place, kind);
    let mut bytes = fs::read(path.join(file)).expect("there");
    // What is not zeros: all the rest of the file means nothing.
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let check = input.pick(&[Check::Quick, Check::Whole]);
    while !input.is_empty() {
        let which = usize::from(input.short()) * 7 + usize::from(input.byte());
        bytes[used[which % used.len()]] ^= input.byte();
    }
    fs::write(path.join(file), &bytes).expect("written");
    reads(&path, &options(kind, check))
}

/// Opens it in every way; whatever is read is what was put.
fn reads(path: &Path, options: &Options) -> bool {
    let look = |store: &dyn Store, is_checked: bool| {
        for number in 0..KEYS {
            match store.get(&key(number)) {
                Ok(Some(found)) => assert_eq!(found, value(number)),
                Ok(None) => assert!(!is_checked, "key {number} is missing, in silence"),
                Err(error) => says_why(&error),
            }
        }
        for (at, found) in store.scan(b"", b"", 1_000).unwrap_or_default() {
            let of = (0..KEYS).find(|number| key(*number) == at).expect("a key that was put");
            assert_eq!(found, value(of));
        }
    };
    let inspected = inspect(path).expect("there is a store");
    if let Some(store) = &inspected.store {
        look(store, inspected.damage.is_empty());
    }
    let is_whole = inspected.damage.is_empty();
    drop(inspected);
    let is_read = match ReadOnlyStore::open(path) {
        Ok(store) => {
            look(&store, false);
            true
        }
        Err(error) => refused(&error),
    };
    assert!(is_read || !is_whole, "nothing is damaged, and it does not open");
    match EmbeddedStore::open(path, options) {
        Ok(store) => {
            look(&store, options.check == Check::Whole);
            true
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &sexton::Error) -> bool {
    says_why(error);
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    false
}

/// Any text as the file that makes a directory a store.
fn marker(place: &TempDir, text: &[u8]) -> bool {
    let path = place.path().join("store");
    fs::create_dir_all(path.join("journal")).expect("a place");
    fs::write(path.join("sexton-store"), text).expect("a place");
    let kind = EmbeddedStore::kind(&path);
    let opened = EmbeddedStore::open(&path, &options(IndexKind::Redb, Check::Quick));
    let error = opened.expect_err("there is no index");
    says_why(&error);
    assert!(error.to_string().contains("store"), "{error} does not name it");
    let inspected = inspect(&path).expect("there is something");
    assert!(!inspected.damage.is_empty());
    match kind {
        Ok(kind) => {
            let name = kind.expect("it has its marker").name();
            assert!(std::str::from_utf8(text).is_ok_and(|text| text.contains(name)));
            true
        }
        Err(error) => {
            says_why(&error);
            false
        }
    }
}

/// A store whose index somebody else wrote into: whatever it says, nothing panics.
fn forged(place: &TempDir, write: impl FnOnce(&Path)) -> bool {
    let path = copied(place, IndexKind::Redb);
    write(&path.join("index.redb"));
    drop(inspect(&path).expect("there is a store"));
    let is_read = match ReadOnlyStore::open(&path) {
        Ok(store) => {
            drop(store.scan(b"", b"", 1_000));
            drop(store.log());
            true
        }
        Err(error) => refused(&error),
    };
    match EmbeddedStore::open(&path, &options(IndexKind::Redb, Check::Quick)) {
        Ok(store) => {
            drop(store.scan(b"", b"", 1_000));
            let bounds = store.log().expect("readable");
            assert!(is_read && bounds.begin <= bounds.end);
        }
        Err(error) => assert!(!refused(&error) && !is_read, "{error}"),
    }
    is_read
}

fn put_checkpoint(file: &Path, body: &[u8]) {
    let base = Database::open(file).expect("whole");
    let writing = base.begin_write().expect("open");
    let mut table = writing.open_table(CHECKPOINT).expect("there");
    table.insert("latest", sealed(body).as_slice()).expect("open");
    drop(table);
    writing.commit().expect("a disk");
}

fn put_records(file: &Path, mut input: Input<'_>) {
    let base = Database::open(file).expect("whole");
    let writing = base.begin_write().expect("open");
    let mut table = writing.open_table(RECORDS).expect("there");
    while !input.is_empty() {
        let (is_right, key, value) = (input.byte().is_multiple_of(2), input.piece(), input.piece());
        let sum = crc32fast::hash(&[key, value].concat());
        let record = [sum.to_le_bytes().as_slice(), value].concat();
        let record = if is_right { record.as_slice() } else { value };
        table.insert(key, record).expect("open");
    }
    drop(table);
    writing.commit().expect("a disk");
}
