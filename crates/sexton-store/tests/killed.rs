//! A writer that is really killed, again and again.
//!
//! Goal: what it acknowledged over a pipe is there when the store is opened again, and nothing
//! but a prefix of what it wrote. Method: this binary starts itself as the writer, reads some
//! acknowledgements, and kills it in the middle of its work.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use sexton_core::{
    ActorId, Batch, Cursor, Event, Sequence, Store, Timestamp, What, Write, codec, log,
};
use sexton_store::{Check, EmbeddedStore, IndexKind, Options, Sizes};

const ROUNDS: u64 = 12;

fn options(index: IndexKind) -> Options {
    let sizes = Sizes { overlay_bytes: 200_000, journal_bytes: 300_000, segment_bytes: 65_536 };
    Options { index, sizes, ..Options::default() }
}

/// The writer, if this binary was started as one.
#[test]
fn writer() {
    let mut arguments = std::env::args().skip_while(|it| it != "--writer").skip(1);
    if let (Some(path), Some(kind)) = (arguments.next(), arguments.next()) {
        write_for_ever(&path, IndexKind::from_name(&kind).unwrap());
    }
}

/// Batch n puts n under several keys, so that a torn batch would show.
fn write_for_ever(path: &str, kind: IndexKind) -> ! {
    let store = EmbeddedStore::open(path, &options(kind)).expect("opens");
    let (shard, mut fence) = store.claim().expect("claims")[5];
    let mut out = std::io::stdout();
    loop {
        for _ in 0..=fence.sequence.0 % 7 {
            let number = fence.sequence.0 + 1;
            let value = Some(number.to_be_bytes().repeat(20));
            let keys = [format!("a{}", number % 1_000), "last".to_owned(), format!("z{number}")];
            let put = |key: String| Write { key: key.into_bytes(), value: value.clone() };
            let mut writes = keys.map(put).to_vec();
            let old = format!("z{}", number.saturating_sub(3_000));
            writes.push(Write { key: old.into_bytes(), value: None });
            let (epoch, expected) = (fence.epoch, fence.sequence);
            let at = Timestamp::ZERO;
            let events = vec![event(number); usize::try_from(number % 3).expect("small")];
            let batch = Batch { shard, epoch, expected, at, order: number, writes, events };
            store.submit(batch).expect("taken");
            fence.sequence = Sequence(number);
        }
        store.flush().expect("flushes");
        writeln!(out, "acknowledged {}", fence.sequence.0).expect("somebody reads");
        out.flush().expect("somebody reads");
    }
}

/// An event that says its batch.
fn event(number: u64) -> Vec<u8> {
    let event = Event {
        actor: ActorId::new("writer", "w").expect("a good name"),
        incarnation: 1,
        number,
        at: Timestamp::ZERO,
        what: What::Stalled { why: String::new() },
    };
    codec::seal(&event).expect("an event can be sealed")
}

/// Lets a writer write until it has acknowledged so many lines, and kills it.
fn write_and_kill(path: &Path, kind: IndexKind, lines: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("works"))
        .args(["--exact", "writer", "--nocapture", "--", "--writer"])
        .arg(path)
        .arg(kind.name())
        .stdout(Stdio::piped())
        .spawn()
        .expect("works");
    let mut acknowledged = 0;
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().expect("works")).lines() {
        let Ok(line) = line else { break };
        if let Some(number) = line.strip_prefix("acknowledged ") {
            acknowledged = number.parse().expect("works");
            seen += 1;
            if seen == lines {
                child.kill().expect("works");
            }
        }
    }
    child.wait().expect("works");
    assert!(seen >= lines, "the writer ended by itself after {seen} lines");
    acknowledged
}

fn check(index: IndexKind) {
    let place = tempfile::tempdir().expect("works");
    for round in 0..ROUNDS {
        let acknowledged = write_and_kill(place.path(), index, 20 + round * 37 % 200);
        let check = if round % 2 == 0 { Check::Quick } else { Check::Whole };
        let options = Options { check, ..options(index) };
        let store = EmbeddedStore::open(place.path(), &options).expect("works");
        let last = store.claim().expect("works")[5].1.sequence.0;
        assert!(last >= acknowledged, "round {round}: {last} kept, {acknowledged} acknowledged");
        let value = |number: u64| Some(number.to_be_bytes().repeat(20));
        assert_eq!(store.get(b"last").expect("works"), value(last), "round {round}");
        for number in 1..=last {
            let expected = if number + 3_000 <= last { None } else { value(number) };
            let found = store.get(format!("z{number}").as_bytes()).expect("works");
            assert_eq!(found, expected, "round {round}: z{number} of {last}");
        }
        assert_eq!(store.get(format!("z{}", last + 1).as_bytes()).expect("works"), None);
        let begin = store.log().expect("works").begin;
        let events = log::read(&store, begin, usize::MAX).expect("works");
        let expected = (1..=last).flat_map(|it| (0..it % 3).map(move |_| it));
        let expected = expected.skip(usize::try_from(begin.0).expect("small"));
        assert!(events.iter().map(|(_, event)| event.number).eq(expected), "round {round}");
        // Half of it goes, so that rounds go on behind a log that was trimmed.
        let middle = begin.0 + (store.log().expect("works").end.0 - begin.0) / 2;
        store.trim_log(Cursor(middle)).expect("works");
    }
}

#[test]
fn a_killed_writer_on_redb_loses_nothing_that_it_acknowledged() {
    check(IndexKind::Redb);
}

#[cfg(feature = "sled")]
#[test]
fn a_killed_writer_on_sled_loses_nothing_that_it_acknowledged() {
    check(IndexKind::Sled);
}
