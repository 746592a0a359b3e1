//! Goal: the shipped list is the generated one, and has one of everything.
//! Method: the list is read back with the reader of traces.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::*;
use crate::trace::{Entry, Row, Traces};

fn generated(seed: u64) -> String {
    let mut list = Vec::new();
    write(seed, &mut list).expect("a vector takes everything");
    String::from_utf8(list).expect("the list is ASCII")
}

fn rows(seed: u64) -> Vec<Row> {
    let directory = tempfile::tempdir().expect("a directory for a test's files");
    let path = directory.path().join("list.csv");
    fs::write(&path, generated(seed)).expect("a file in the test's own directory");
    let entries = Traces::open(&[path]).expect("a list with a header");
    entries
        .map(|entry| match entry.expect("no damage") {
            Entry::Row(row) => row,
            Entry::Refused(refused) => panic!("refused: {refused:?}"),
        })
        .collect()
}

#[test]
fn the_shipped_list_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/shipped.csv");
    let list = generated(SHIPPED_SEED);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &list).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == list, "UPDATE_EXPECT=1 writes it anew");
}

#[test]
fn every_event_of_every_kind_is_in_every_list() {
    for seed in [SHIPPED_SEED, 2, 3, 99] {
        let rows = rows(seed);
        assert!((300..500).contains(&rows.len()), "seed {seed}: {} rows", rows.len());
        let seen: BTreeSet<_> = rows.iter().map(|row| (row.kind, row.event)).collect();
        for &kind in TraceKind::ALL {
            for &event in TraceEvent::ALL {
                let is_seen = seen.contains(&(kind, event));
                assert_eq!(is_seen, event.belongs_to(kind), "seed {seed}: {kind} {event}");
            }
        }
        let classes: BTreeSet<_> = rows
            .iter()
            .filter(|row| row.event == TraceEvent::Failed && row.kind == TraceKind::Node)
            .filter_map(|row| row.info.word())
            .collect();
        assert!(["capacity", "quota", "region", "invalid"].iter().all(|it| classes.contains(it)));
    }
}

#[test]
fn at_one_instant_ends_come_before_starts_and_childrens_ends_first() {
    for seed in 1..20 {
        let rows = rows(seed);
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.event.is_end()) {
            let mut before = rows[..index].iter().rev().take_while(|it| it.at_ms == row.at_ms);
            if before.any(|it| !it.event.is_end() && it.id != row.id) {
                let has_begun = rows[..index]
                    .iter()
                    .any(|it| it.at_ms == row.at_ms && it.id == row.id && !it.event.is_end());
                assert!(has_begun, "seed {seed}: {row:?}");
            }
            let is_orphaned = rows[index + 1..].iter().any(|it| {
                it.at_ms == row.at_ms && it.event.is_end() && it.parent.as_ref() == Some(&row.id)
            });
            assert!(!is_orphaned, "seed {seed}: a child ends after {row:?}");
        }
    }
}

#[test]
fn every_life_is_one_that_the_format_allows() {
    for seed in 1..50 {
        let mut last: BTreeMap<String, TraceEvent> = BTreeMap::new();
        for row in rows(seed) {
            use TraceEvent as E;
            let before = last.insert(row.id.clone(), row.event);
            let is_allowed = matches!(
                (before, row.event),
                (None, E::Request | E::Create | E::Start)
                    | (Some(E::Request), E::Boot | E::Ready | E::Delete | E::Failed)
                    | (Some(E::Boot | E::Create | E::Reopened), E::Ready)
                    | (Some(E::Ready | E::Up), E::Down | E::Delete | E::Lost)
                    | (Some(E::Down), E::Up | E::Lost)
                    | (Some(E::Reopened), E::Delete)
                    | (Some(E::Create | E::Ready), E::Failed | E::Cancelled)
                    | (Some(E::Delete | E::Failed | E::Cancelled), E::Reopened)
                    | (Some(E::Start), E::Finish | E::Failed | E::Timeout | E::Lost)
            );
            assert!(is_allowed, "seed {seed}: after {before:?} comes {row:?}");
        }
    }
}

#[test]
fn every_list_has_sandboxes_of_every_sort() {
    for seed in [SHIPPED_SEED, 2, 3, 99] {
        let rows = rows(seed);
        let is_marked =
            |row: &&Row| row.event == TraceEvent::Create && !row.info.as_str().is_empty();
        let marked: Vec<&Row> = rows.iter().filter(is_marked).collect();
        assert!(marked.iter().all(|row| row.info.as_str().contains("sandbox")), "seed {seed}");
        let lives: Vec<Vec<TraceEvent>> = marked
            .iter()
            .map(|born| rows.iter().filter(|it| it.id == born.id).map(|it| it.event).collect())
            .collect();
        let ends = |life: &&Vec<TraceEvent>| life.last().is_some_and(|event| event.is_end());
        let comes_back = |life: &&Vec<TraceEvent>| life.contains(&TraceEvent::Reopened);
        let counts = [lives.iter().filter(ends).count(), lives.iter().filter(comes_back).count()];
        assert_eq!((lives.len(), counts), (6, [5, 2]), "seed {seed}");
    }
}

#[test]
fn another_seed_is_another_list_and_the_same_seed_the_same() {
    assert_eq!(generated(5), generated(5));
    assert_ne!(generated(5), generated(6));
}
