//! A disk that fails at each call of a history in turn, and flushes that fail.
//!
//! A flush that failed leaves on the platter all, some or nothing of what it was about, and the
//! system shows it still or no more; a later flush succeeds without it. The store refuses
//! everything until it is opened again, and then has all that it ever acknowledged or showed.
//!
//! Seen to fail: with a store that acknowledges or goes on after a flush that failed, and without
//! the last frame written again when a journal is read back.

use std::io;

use sexton_core::{Cursor, Error, ErrorKind, Store};

use super::{Chance, Life, Records, Shard, SimDisk, Turn, check, check_cut, note, options};
use crate::embedded::ReadOnlyStore;
use crate::simdisk::{Cache, Platter, Trouble};

const EIO: Trouble = Trouble::Error(io::ErrorKind::Other);
const FULL: Trouble = Trouble::Error(io::ErrorKind::StorageFull);

/// A store from its making on: commits, reads, several segments and checkpoints, a trim.
fn run(disk: &SimDisk, history: &mut Vec<Turn>) -> (Option<Life>, Result<(), Error>) {
    let mut life = match Life::begin(disk, &options()) {
        Ok(life) => life,
        Err(error) => return (None, Err(error)),
    };
    let done = go_on(&mut life, disk, history);
    (Some(life), done)
}

fn go_on(life: &mut Life, disk: &SimDisk, history: &mut Vec<Turn>) -> Result<(), Error> {
    let mut chance = Chance::new(3);
    for round in 0..4 {
        for _ in 0..8 {
            life.submit(&mut chance, history)?;
        }
        life.flush(disk, history)?;
        life.do_jobs();
        life.records()?;
        if round == 2 {
            life.trim(disk, &mut chance, history)?;
        }
    }
    life.shared.check()?;
    life.close()?;
    // As at any other time: closing is no end.
    life.submit(&mut chance, history)?;
    life.flush(disk, history)
}

/// The error says which file.
fn assert_clear(error: &Error, case: &str) {
    let text = error.to_string();
    assert!(text.contains("/simulated"), "{case}: {text}");
    assert!(!text.contains('\n'), "{case}: {text}");
}

/// The store does nothing any more.
fn assert_silent(life: &mut Life, case: &str) {
    let batch = life.submit_turn(Shard::new(0), &(Vec::new(), Vec::new()));
    let refused = [
        batch.expect_err(case),
        life.shared.flush().map(drop).expect_err(case),
        life.shared.claim().map(drop).expect_err(case),
        life.shared.get(b"key-1").map(drop).expect_err(case),
        life.shared.scan(b"", b"", 1).map(drop).expect_err(case),
        life.shared.log().map(drop).expect_err(case),
        life.shared.trim_log(Cursor(1)).expect_err(case),
        life.shared.close().expect_err(case),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Closed, "{case}: {error}");
        assert_clear(&error, case);
    }
}

/// The power goes; and, on a copy: the process ends, the store is opened again and written to,
/// and then the power goes.
fn check_after(disk: &SimDisk, history: &[Turn], case: &str) {
    let (moment, mut chance) = (disk.moment(), Chance::new(5));
    for number in 0..3 {
        let after = moment.after_some_cut(&mut chance).to_disk();
        check_cut(&after, history, moment.note(), &format!("{case}, cut {number}"));
    }
    let disk = moment.to_disk();
    let mut life = Life::begin(&disk, &options()).unwrap_or_else(|it| panic!("{case}: {it}"));
    let kept = check(&life, history, moment.note(), case);
    let mut history = history[..kept].to_vec();
    // What it shows may be what the failed flush was about: from here on it has to stay.
    note(&disk, kept, life.shared.log().expect("readable").begin);
    let seen = disk.moment();
    let after = seen.after_cut(&[], |_| false).to_disk();
    check_cut(&after, &history, seen.note(), &format!("{case}, seen"));
    life.submit(&mut chance, &mut history).expect("taken");
    life.flush(&disk, &history).expect("flushed");
    life.do_jobs();
    let later = disk.moment();
    let after = later.after_cut(&[], |_| false).to_disk();
    check_cut(&after, &history, later.note(), &format!("{case}, later"));
}

/// How many changes and calls the history makes on a disk that does not fail.
fn well() -> (u64, u64) {
    let disk = SimDisk::new(1);
    let (life, done) = run(&disk, &mut Vec::new());
    done.expect("a disk that does not fail");
    let counts = (disk.changes(), disk.calls());
    drop(life);
    counts
}

/// Every flush of the history fails in turn, and leaves this behind.
fn fail_each_flush(platter: Platter, cache: Cache) {
    let mut n_failed = 0;
    for at in 1..=well().0 {
        let case = format!("change {at} fails, {platter:?} on the platter, cache {cache:?}");
        let (disk, mut history) = (SimDisk::new(at), Vec::new());
        disk.failed_flush_leaves(platter, cache);
        disk.fail(at, EIO);
        let (life, done) = run(&disk, &mut history);
        if !disk.has_failed_to_flush() {
            continue;
        }
        n_failed += 1;
        assert_clear(&done.expect_err(&case), &case);
        check_after(&disk, &history, &case);
        if let Some(mut life) = life {
            assert_silent(&mut life, &case);
        }
    }
    println!("{n_failed} flushes failed");
    assert!(n_failed > 30, "only {n_failed} flushes failed");
}

#[test]
fn a_failed_flush_that_wrote_nothing_loses_nothing_that_was_acknowledged() {
    fail_each_flush(Platter::Nothing, Cache::Stays);
    fail_each_flush(Platter::Nothing, Cache::IsDropped);
}

#[test]
fn a_failed_flush_that_wrote_some_loses_nothing_that_was_acknowledged() {
    fail_each_flush(Platter::Some, Cache::Stays);
    fail_each_flush(Platter::Some, Cache::IsDropped);
}

#[test]
fn a_failed_flush_that_wrote_all_loses_nothing_that_was_acknowledged() {
    fail_each_flush(Platter::All, Cache::Stays);
}

/// Every call of the history meets the trouble in turn.
fn fail_each_call(trouble: Trouble) {
    for at in 1..=well().1 {
        let case = format!("call {at} meets {trouble:?}");
        let (disk, mut history) = (SimDisk::new(at), Vec::new());
        disk.fail_call(at, trouble);
        let (life, done) = run(&disk, &mut history);
        assert!(disk.has_failed(), "{case}: it was not made");
        let error = done.expect_err(&case);
        assert_clear(&error, &case);
        let is_full = trouble == FULL;
        assert!(!is_full || error.to_string().contains("disk is full"), "{case}: {error}");
        check_after(&disk, &history, &case);
        drop(life);
    }
}

#[test]
fn an_error_of_any_call_is_told_with_its_file_and_loses_nothing() {
    fail_each_call(EIO);
}

#[test]
fn a_disk_that_is_full_at_any_call_is_told_with_its_file_and_loses_nothing() {
    fail_each_call(FULL);
}

#[test]
fn a_disk_that_stays_full_is_told_until_there_is_room_and_loses_nothing() {
    for at in 1..=well().0 {
        let case = format!("full from change {at} on");
        let (disk, mut history) = (SimDisk::new(at), Vec::new());
        disk.fail_from(at, io::ErrorKind::StorageFull);
        let (life, done) = run(&disk, &mut history);
        let error = done.expect_err(&case).to_string();
        assert!(error.contains("disk is full") && error.contains("/simulated"), "{case}: {error}");
        check_after(&disk, &history, &case);
        drop(life);
        let again = Life::begin(&disk, &options()).map(drop).expect_err(&case).to_string();
        assert!(again.contains("disk is full") && again.contains("/simulated"), "{case}: {again}");
        disk.heal();
        let life = Life::begin(&disk, &options()).unwrap_or_else(|it| panic!("{case}: {it}"));
        check(&life, &history, disk.moment().note(), &case);
    }
}

#[test]
fn reads_and_writes_that_are_short_or_interrupted_change_nothing() {
    for trouble in [Trouble::Short, Trouble::Interrupted] {
        for at in 1..=well().1 {
            let case = format!("call {at} meets {trouble:?}");
            let (disk, mut history) = (SimDisk::new(at), Vec::new());
            disk.fail_call(at, trouble);
            let (life, done) = run(&disk, &mut history);
            done.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(disk.has_failed(), "{case}: it was not made");
            let kept = check(&life.expect("opened"), &history, disk.moment().note(), &case);
            assert_eq!(kept, history.len(), "{case}");
        }
    }
}

#[test]
fn what_only_reads_tells_an_error_of_any_call_with_its_file() {
    let (disk, mut history) = (SimDisk::new(1), Vec::new());
    let (life, done) = run(&disk, &mut history);
    done.expect("a disk that does not fail");
    // With the store, because that makes calls of its own when it is dropped.
    let read = |disk: &SimDisk| {
        let store = ReadOnlyStore::open_in(disk)?;
        let found = store.scan(b"", b"", usize::MAX)?;
        Ok::<(Records, u64, ReadOnlyStore), Error>((
            found.into_iter().collect(),
            disk.calls(),
            store,
        ))
    };
    let expected = life.expect("opened").records().expect("readable");
    let whole = disk.after_kill();
    let (found, n_calls, _) = read(&whole).expect("readable");
    assert!(found == expected && n_calls > 20, "only {n_calls} calls");
    for at in 1..=n_calls {
        for trouble in [EIO, Trouble::Short, Trouble::Interrupted] {
            let case = format!("call {at} meets {trouble:?}");
            let disk = disk.after_kill();
            disk.fail_call(at, trouble);
            match read(&disk) {
                Ok((found, ..)) => assert!(found == expected && trouble != EIO, "{case}"),
                Err(error) => assert_clear(&error, &case),
            }
        }
    }
}
