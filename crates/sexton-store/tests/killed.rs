//! A writer that is really killed, again and again.
//!
//! Goal: what it acknowledged over a pipe is there when the store is opened again, and nothing
//! but a prefix of what it wrote. Method: this binary starts itself as the writer, and kills it by
//! its process id: after some acknowledgements, while it opens a store that it was killed in
//! before, or while it makes one. The sizes are such that a checkpoint is nearly always on its way.
//!
//! A kill says nothing about flushes, because the system's caches outlive it. It is for what the
//! simulated power cuts do not have: real files, locks and threads.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::park_timeout;
use std::time::Duration;

use sexton_core::{
    ActorId, Batch, Cursor, Event, Sequence, Store, Timestamp, What, Write, codec, log,
};
use sexton_store::{Check, EmbeddedStore, IndexKind, Options, Sizes};

/// Kills after some acknowledgements, each followed by a kill of the next opening.
const ROUNDS: u64 = 12;
/// Kills of a store that is being made.
const MAKINGS: u64 = 16;
/// How much later each kill of an opening comes than the one before.
const LATER: Duration = Duration::from_micros(700);

fn options(index: IndexKind) -> Options {
    let sizes = Sizes { overlay_bytes: 100_000, journal_bytes: 300_000, segment_bytes: 65_536 };
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
    let mut out = std::io::stdout();
    let mut say = |line: String| {
        writeln!(out, "{line}").expect("somebody reads");
        out.flush().expect("somebody reads");
    };
    say("opening".to_owned());
    let store = EmbeddedStore::open(path, &options(kind)).expect("opens");
    say("open".to_owned());
    let (shard, mut fence) = store.claim().expect("claims")[5];
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
        say(format!("acknowledged {}", fence.sequence.0));
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

/// When a writer is killed.
#[derive(Clone, Copy, Debug)]
enum When {
    /// When it has acknowledged so many groups.
    Acknowledged(u64),
    /// So long after it began to open the store.
    Opening(Duration),
}

/// What a writer said before it was killed.
#[derive(Debug, Default)]
struct Said {
    is_open: bool,
    groups: u64,
    /// The last batch that it acknowledged.
    acknowledged: u64,
}

/// Starts a writer, kills it by its id, and waits for its end.
fn write_and_kill(path: &Path, kind: IndexKind, when: When) -> Said {
    let mut child = Command::new(std::env::current_exe().expect("works"))
        .args(["--exact", "writer", "--nocapture", "--", "--writer"])
        .arg(path)
        .arg(kind.name())
        .stdout(Stdio::piped())
        .spawn()
        .expect("works");
    let mut said = Said::default();
    for line in BufReader::new(child.stdout.take().expect("works")).lines() {
        let Ok(line) = line else { break };
        match when {
            When::Opening(delay) if line == "opening" => {
                // Nobody wakes this thread before.
                park_timeout(delay);
                child.kill().expect("works");
            }
            When::Opening(_) | When::Acknowledged(_) => {}
        }
        said.is_open |= line == "open";
        if let Some(number) = line.strip_prefix("acknowledged ") {
            said.acknowledged = number.parse().expect("works");
            said.groups += 1;
            if matches!(when, When::Acknowledged(groups) if groups == said.groups) {
                child.kill().expect("works");
            }
        }
    }
    let status = child.wait().expect("works");
    assert_eq!(status.signal(), Some(9), "the writer ended by itself: {when:?}, {said:?}");
    said
}

/// Opens the store and looks at everything in it; where it stands, and its number of events.
fn look(path: &Path, options: &Options, acknowledged: u64, case: &str) -> (EmbeddedStore, u64) {
    let store = EmbeddedStore::open(path, options).expect(case);
    let last = store.claim().expect("works")[5].1.sequence.0;
    assert!(last >= acknowledged, "{case}: {last} kept, {acknowledged} acknowledged");
    let value = |number: u64| (number > 0).then(|| number.to_be_bytes().repeat(20));
    assert_eq!(store.get(b"last").expect("works"), value(last), "{case}");
    for number in 1..=last {
        let expected = if number + 3_000 <= last { None } else { value(number) };
        let found = store.get(format!("z{number}").as_bytes()).expect("works");
        assert_eq!(found, expected, "{case}: z{number} of {last}");
    }
    assert_eq!(store.get(format!("z{}", last + 1).as_bytes()).expect("works"), None);
    let begin = store.log().expect("works").begin;
    let events = log::read(&store, begin, usize::MAX).expect("works");
    let expected = (1..=last).flat_map(|it| (0..it % 3).map(move |_| it));
    let expected = expected.skip(usize::try_from(begin.0).expect("small"));
    assert!(events.iter().map(|(_, event)| event.number).eq(expected), "{case}");
    (store, last)
}

fn check(index: IndexKind) -> String {
    let place = tempfile::tempdir().expect("works");
    let (mut acknowledged, mut n_openings, mut n_groups) = (0, 0, 0);
    for round in 0..ROUNDS {
        let case = format!("round {round}");
        let said = write_and_kill(place.path(), index, When::Acknowledged(20 + round * 37 % 200));
        acknowledged = said.acknowledged.max(acknowledged);
        n_groups += said.groups;
        // What was left is being read back when the next one is killed.
        let delay = LATER * u32::try_from(round).expect("small");
        let said = write_and_kill(place.path(), index, When::Opening(delay));
        acknowledged = said.acknowledged.max(acknowledged);
        n_openings += u32::from(!said.is_open);
        let check = if round % 2 == 0 { Check::Quick } else { Check::Whole };
        let options = Options { check, ..options(index) };
        let (store, _) = look(place.path(), &options, acknowledged, &case);
        // Half of it goes, so that rounds go on behind a log that was trimmed.
        let bounds = store.log().expect("works");
        let middle = bounds.begin.0 + (bounds.end.0 - bounds.begin.0) / 2;
        store.trim_log(Cursor(middle)).expect("works");
    }
    assert!(n_openings > 0, "none was killed while it opened");
    let kills = 2 * ROUNDS;
    format!("{kills} kills, {n_openings} of them while it opened, behind {n_groups} groups")
}

/// Kills writers that make their store.
fn check_making(index: IndexKind) -> String {
    let place = tempfile::tempdir().expect("works");
    let mut n_unmade = 0;
    for round in 0..MAKINGS {
        let path = place.path().join(format!("store-{round}"));
        let delay = LATER * u32::try_from(round).expect("small");
        let mut said = write_and_kill(&path, index, When::Opening(delay));
        n_unmade += u32::from(!said.is_open);
        if round % 2 == 0 && said.acknowledged == 0 {
            // And once more over what is left of that.
            said = write_and_kill(&path, index, When::Opening(delay));
        }
        let (store, last) =
            look(&path, &options(index), said.acknowledged, &format!("making {round}"));
        drop(store);
        // It is a store like any other from here on.
        let said = write_and_kill(&path, index, When::Acknowledged(3));
        assert!(said.acknowledged > last, "making {round}");
        look(&path, &options(index), said.acknowledged, &format!("making {round}, used"));
    }
    assert!(n_unmade > 0, "none was killed while it was made");
    format!("{MAKINGS} stores, {n_unmade} of them killed before they were made")
}

#[test]
fn a_killed_writer_on_redb_loses_nothing_that_it_acknowledged() {
    println!("{}", check(IndexKind::Redb));
}

#[test]
fn a_store_on_redb_that_is_killed_while_it_is_made_is_made_anew() {
    println!("{}", check_making(IndexKind::Redb));
}

#[cfg(feature = "sled")]
#[test]
fn a_store_on_sled_that_is_killed_while_it_is_made_is_made_anew() {
    println!("{}", check_making(IndexKind::Sled));
}

#[cfg(feature = "sled")]
#[test]
fn a_killed_writer_on_sled_loses_nothing_that_it_acknowledged() {
    println!("{}", check(IndexKind::Sled));
}
