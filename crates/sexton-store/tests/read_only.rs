//! Stores that are read and not changed: whole ones, killed ones, and those that are damaged.
//!
//! Goal: not a byte of a directory changes, what is read is what opening for writing would read,
//! and whatever is damaged is described with its file. Method: copies of a store that was
//! killed, each damaged in one way, and a hash of every file before and after.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sexton_core::key::Key;
use sexton_core::{
    ActorId, Batch, Cursor, ErrorKind, Event, Sequence, Store, Timestamp, What, Write, codec, log,
};
use sexton_store::{EmbeddedStore, IndexKind, Inspection, Options, ReadOnlyStore, Sizes, inspect};

#[cfg(feature = "sled")]
const KINDS: &[IndexKind] = &[IndexKind::Redb, IndexKind::Sled];
#[cfg(not(feature = "sled"))]
const KINDS: &[IndexKind] = &[IndexKind::Redb];

/// Every file below a directory, with its content.
fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    if path.is_file() {
        return [(path.to_owned(), fs::read(path).expect("read"))].into();
    }
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).expect("read");
            found.insert(path, content);
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for (path, content) in files(from) {
        let place = to.join(path.strip_prefix(from).expect("below it"));
        fs::create_dir_all(place.parent().expect("a directory")).expect("made");
        fs::write(place, content).expect("written");
    }
}

fn options(index: IndexKind) -> Options {
    let sizes = Sizes { overlay_bytes: 8_000, journal_bytes: 16_000, segment_bytes: 8_192 };
    Options { index, sizes, ..Options::default() }
}

fn event(number: u64) -> Vec<u8> {
    let event = Event {
        actor: ActorId::new("a", "b").expect("a good name"),
        incarnation: 1,
        number,
        at: Timestamp::ZERO,
        what: What::Stalled { why: "so".to_owned() },
    };
    codec::seal(&event).expect("sealed")
}

/// Writes groups of batches behind those that are there.
fn write(store: &EmbeddedStore, groups: u64) {
    let (shard, fence) = store.claim().expect("claims")[3];
    for group in 0..groups {
        let number = fence.sequence.0 + group;
        let key = |count: u64| format!("key-{:04}", (number * 7 + count) % 500).into_bytes();
        let put = |count: u64| Write { key: key(count), value: Some(key(number).repeat(9)) };
        let writes = (0..5).map(put).collect();
        let (epoch, expected, at) = (fence.epoch, Sequence(number), Timestamp::ZERO);
        let (order, events) = (number, vec![event(number + 1)]);
        store.submit(Batch { shard, epoch, expected, at, order, writes, events }).expect("taken");
        store.flush().expect("flushes");
    }
}

/// A store as a killed process leaves it: index and journal, and in the latter more than one
/// segment that the former does not have.
fn killed(path: &Path, index: IndexKind) {
    let live = path.join("live");
    let store = EmbeddedStore::open(&live, &options(index)).expect("opens");
    write(&store, 150);
    store.close().expect("closes");
    drop(store);
    let large = Sizes { overlay_bytes: 1 << 20, journal_bytes: 1 << 20, segment_bytes: 8_192 };
    let options = Options { sizes: large, ..options(index) };
    let store = EmbeddedStore::open(&live, &options).expect("opens");
    write(&store, 60);
    copy(&live, &path.join("killed"));
    drop(store);
}

fn all(store: &impl Store) -> Vec<(Key, Vec<u8>)> {
    store.scan(b"", b"", usize::MAX).expect("readable")
}

/// Inspects a directory, and checks that nothing in it was changed by that.
fn look(path: &Path) -> Inspection {
    let before = files(path);
    let inspection = inspect(path).expect("it can be inspected");
    let opened = ReadOnlyStore::open(path);
    assert_eq!(opened.is_err(), !inspection.damage.is_empty() && !is_in_record(&inspection));
    if let Some(store) = &inspection.store {
        // Ends, in whatever it can read.
        drop(store.scan(b"", b"", usize::MAX));
        drop(log::read(store, Cursor::BEGINNING, 10_000));
    }
    drop((opened.map(drop), inspection.store.as_ref()));
    assert!(files(path) == before, "reading changed {}", path.display());
    inspection
}

/// Whether the damage is one that only shows when a record is read.
fn is_in_record(inspection: &Inspection) -> bool {
    let is_index = |it: &sexton_store::Damage| it.file.to_string_lossy().contains("index.");
    inspection.store.is_some() && inspection.damage.iter().all(is_index)
}

fn texts(inspection: &Inspection) -> Vec<String> {
    inspection.damage.iter().map(ToString::to_string).collect()
}

#[test]
fn a_killed_store_is_read_as_it_would_be_opened_and_not_changed() {
    for &index in KINDS {
        let place = tempfile::tempdir().unwrap();
        killed(place.path(), index);
        let path = place.path().join("killed");
        let inspection = look(&path);
        assert_eq!(texts(&inspection), Vec::<String>::new());
        let figures = inspection.figures.as_ref().unwrap();
        assert!(figures.checkpoint < figures.reached && figures.records > 400);
        assert_eq!((figures.index, figures.log.end), (index, Cursor(210)));
        let before = files(&path);
        let store = ReadOnlyStore::open(&path).unwrap();
        let second = ReadOnlyStore::open(&path).unwrap();
        let (read, events) = (all(&store), log::read(&store, Cursor(3), 999).unwrap());
        assert_eq!((events.len(), store.position()), (207, figures.reached));
        let fence = store.fences()[3].1;
        assert!(all(&second) == read);
        let error = EmbeddedStore::open(&path, &options(index)).expect_err("a reader has it open");
        assert_eq!(error.kind(), ErrorKind::Busy);
        drop((store, second, inspection));
        assert!(files(&path) == before);
        let store = EmbeddedStore::open(&path, &options(index)).unwrap();
        assert!(all(&store) == read && store.claim().unwrap()[3].1.sequence == fence.sequence);
        for error in [ReadOnlyStore::open(&path).unwrap_err(), inspect(&path).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(error.to_string().ends_with("is in use by another process"), "{error}");
        }
    }
}

#[test]
fn what_only_reads_refuses_to_write() {
    let place = tempfile::tempdir().unwrap();
    killed(place.path(), IndexKind::Redb);
    let store = ReadOnlyStore::open(place.path().join("killed")).unwrap();
    let (shard, fence) = store.fences()[0];
    let (expected, epoch, at) = (fence.sequence, fence.epoch, Timestamp::ZERO);
    let (writes, events) = (Vec::new(), Vec::new());
    let batch = Batch { shard, epoch, expected, at, order: 1, writes, events };
    let refused = [
        store.claim().map(drop).unwrap_err(),
        store.submit(batch).map(drop).unwrap_err(),
        store.trim_log(Cursor(1)).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().ends_with("is open for reading only"), "{error}");
    }
    assert_eq!(store.flush().unwrap(), store.position());
    store.close().unwrap();
}

#[test]
fn a_place_without_a_store_is_told_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    for path in [place.path().to_owned(), place.path().join("missing")] {
        assert_eq!(inspect(&path).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(ReadOnlyStore::open(&path).unwrap_err().kind(), ErrorKind::NotFound);
    }
    fs::write(place.path().join("sexton-store.new"), "").expect("works");
    assert_eq!(inspect(place.path()).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(files(place.path()).len(), 1);
}

/// Does something to a copy, and returns what is found then.
fn damaged(whole: &Path, change: impl FnOnce(&Path)) -> Inspection {
    let place = tempfile::tempdir().expect("works");
    copy(whole, place.path());
    change(place.path());
    look(place.path())
}

/// Changes a file in some way.
fn bend(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("works");
    change(&mut bytes);
    fs::write(path, bytes).expect("works");
}

/// What is done to the bytes of a file.
type Change = fn(&mut Vec<u8>);

fn journals(path: &Path) -> Vec<PathBuf> {
    let names = files(&path.join("journal")).into_keys();
    names.filter(|it| it.to_string_lossy().contains("journal-")).collect()
}

#[test]
fn every_damage_of_a_journal_is_described_with_what_can_still_be_read() {
    for &index in KINDS {
        let place = tempfile::tempdir().unwrap();
        killed(place.path(), index);
        let whole = place.path().join("killed");
        let reached = inspect(&whole).unwrap().figures.unwrap().reached;
        let n_live = journals(&whole).len();
        assert!(n_live > 3, "{n_live} segments");
        let middle = |path: &Path| journals(path)[n_live - 2].clone();
        let name = middle(&whole).file_name().unwrap().to_string_lossy().into_owned();
        let cases: [(&str, Change); 6] = [
            ("its frames end with", |bytes| bytes[100] ^= 1),
            ("its head does not check", |bytes| bytes[20] ^= 1),
            ("its frames end with", |bytes| bytes.truncate(3_000)),
            ("it ends within its head", |bytes| bytes.truncate(10)),
            ("it ends within its head", Vec::clear),
            ("its head does not check", |bytes| bytes.fill(0)),
        ];
        for (expected, change) in cases {
            let found = damaged(&whole, |path| bend(&middle(path), change));
            let texts = texts(&found);
            let is_told = |it: &String| it.contains(&name) && it.contains(expected);
            assert!(texts.iter().any(is_told), "{expected}: {texts:?}");
            assert!(found.damage.iter().any(|it| it.place.is_some()), "{texts:?}");
            let figures = found.figures.unwrap();
            assert!(figures.reached < reached && figures.reached >= figures.checkpoint);
            let store = found.store.unwrap();
            let last = figures.log.end;
            let events = log::read(&store, Cursor::BEGINNING, 999).unwrap();
            assert_eq!(events.last().map(|(cursor, _)| *cursor), Some(last));
        }
        let found = damaged(&whole, |path| fs::remove_file(middle(path)).unwrap());
        assert!(texts(&found)[0].ends_with(&format!("{name} is missing")), "{:?}", found.damage);
        // The segments that a stray number leaves out are one damage, not as many.
        let found = damaged(&whole, |path| {
            let stray = path.join("journal").join(format!("journal-{}", u64::MAX));
            fs::copy(middle(path), stray).unwrap();
        });
        let told = format!("more up to journal-{}", u64::MAX - 1);
        assert_eq!(texts(&found).iter().filter(|it| it.ends_with(&told)).count(), 1);
        assert_eq!(found.damage.len(), 2, "{:?}", found.damage);
        let found = damaged(&whole, |path| fs::remove_dir_all(path.join("journal")).unwrap());
        assert_eq!(found.figures.unwrap().checkpoint, found.store.unwrap().position());
        let found = damaged(&whole, |path| {
            bend(&journals(path)[n_live - 1], |bytes| bytes[70] ^= 1);
        });
        assert!(texts(&found)[0].contains("byte 64: no frame checks there"), "{:?}", found.damage);
    }
}

#[test]
fn a_damaged_marker_or_an_index_that_is_gone_is_described() {
    for &index in KINDS {
        let place = tempfile::tempdir().unwrap();
        killed(place.path(), index);
        let whole = place.path().join("killed");
        let marker = |text: &'static str| {
            damaged(&whole, move |path| fs::write(path.join("sexton-store"), text).unwrap())
        };
        let cases = [
            ("", "is not a store's marker"),
            ("nonsense", "is not a store's marker"),
            ("sexton store\nformat: 1\nindex: redb\nshards: 4096\n", "has format 1, and"),
            ("sexton store\nformat: 9\nindex: redb\nshards: 4096\n", "has format 9, and"),
            ("sexton store\nformat: 2\nindex: other\nshards: 4096\n", "no index is called"),
        ];
        for (text, expected) in cases {
            let found = marker(text);
            assert!(texts(&found)[0].contains(expected), "{:?}", found.damage);
            assert!(found.store.is_none() && found.damage[0].file.ends_with("sexton-store"));
        }
        let found = damaged(&whole, |path| fs::remove_file(path.join("sexton-store")).unwrap());
        assert!(texts(&found)[0].ends_with("sexton-store is missing"), "{:?}", found.damage);
        let file = format!("index.{}", index.name());
        let found = damaged(&whole, |path| fs::rename(path.join(&file), path.join("x")).unwrap());
        assert!(texts(&found)[0].contains("is missing") && found.store.is_none());
        let found = damaged(&whole, |path| {
            for path in files(&path.join(&file)).into_keys() {
                fs::write(path, b"").unwrap();
            }
        });
        assert!(found.store.is_none() && found.damage[0].file.ends_with(&file));
    }
}

#[test]
fn bits_turned_over_in_an_index_are_described_and_never_a_panic() {
    for &index in KINDS {
        let place = tempfile::tempdir().unwrap();
        killed(place.path(), index);
        let whole = place.path().join("killed");
        let records = all(&ReadOnlyStore::open(&whole).unwrap());
        let records: BTreeMap<_, _> = records.into_iter().collect();
        let file = if index == IndexKind::Redb { "index.redb" } else { "index.sled/db" };
        let (mut seed, mut n_described) = (7_u64, 0);
        for round in 0..25 {
            let found = damaged(&whole, |path| {
                bend(&path.join(file), |bytes| {
                    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
                    for _ in 0..=round % 3 {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let at = usize::try_from(seed >> 33).unwrap() % used.len();
                        bytes[used[at]] ^= 1 << (round % 8);
                    }
                });
            });
            n_described += u32::from(!found.damage.is_empty());
            let store = found.store.as_ref();
            for (key, value) in
                store.and_then(|it| it.scan(b"", b"", 9_999).ok()).unwrap_or_default()
            {
                let is_older = !found.damage.is_empty() && records.contains_key(&key);
                assert!(records.get(&key) == Some(&value) || is_older, "round {round}");
            }
        }
        // Where bits are in use differs from run to run.
        assert!(n_described > 2, "only {n_described} were described");
    }
}

#[test]
fn a_record_of_the_index_that_is_damaged_is_described_and_the_others_are_read() {
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(place.path(), &options(IndexKind::Redb)).unwrap();
    write(&store, 40);
    store.close().unwrap();
    drop(store);
    let path = place.path().join("index.redb");
    let mut bytes = fs::read(&path).unwrap();
    let value = b"key-0160".repeat(9);
    let places = bytes.windows(value.len()).enumerate().filter(|(_, it)| *it == value);
    let places: Vec<_> = places.map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 20] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    let found = look(place.path());
    let texts = texts(&found);
    assert!(texts.iter().any(|it| it.contains("the record key-01")), "{texts:?}");
    let store = found.store.unwrap();
    assert_eq!(log::read(&store, Cursor::BEGINNING, 99).unwrap().len(), 40);
}
