//! What a store holds, looked at without running anything and without changing a byte.
//!
//! ```text
//! DIR --> source (opened for reading) --> scan (records) --> an answer --> table or JSON
//! ```
//!
//! Every question is answered by a value that can be written as JSON; tables are made of the
//! same value. What cannot be read is listed with its place and its reason, beside what can: in one
//! place, [`tell`], for every answer.

mod source;
mod scan;
mod table;
mod actors;
mod alarms;
mod debts;
mod events;
mod tree;
mod show;
mod story;
mod summary;
mod verify;
mod unanswered;

use std::io::{self, Write};

use serde::Serialize;
use sexton::{ActorId, Error, ErrorKind, Timestamp};

use crate::args::{InspectArgs, Question};

use self::source::Source;
use self::table::Page;
use self::unanswered::Unanswered;

/// The longest index that is checked as a whole for every question: what only that finds is a
/// bit turned over on the way to a record, which then seems not to be there. Chosen: it takes below
/// half a second. A longer one is checked for `verify` and `plan-destroy`.
const CHECKED_BYTES_MAX: u64 = 64 * 1_024 * 1_024;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] Error),
    /// The answer cannot be written.
    #[error("the answer cannot be written")]
    Output(#[from] io::Error),
    /// Nothing of the store can be read.
    #[error("nothing of {store} can be read")]
    Unreadable {
        /// Where.
        store: String,
        /// What is damaged.
        damage: Vec<Damaged>,
    },
    /// A life was asked for where a name is.
    #[error("{id} is one life of {name}: ask for {name}")]
    Life {
        /// What.
        id: ActorId,
        /// What to ask for.
        name: ActorId,
    },
    /// What was asked for is not there.
    #[error("{id} is not in {store}: it was never created there")]
    Nothing {
        /// What.
        id: ActorId,
        /// Where.
        store: String,
    },
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// Where it lies: a table and a key, or a file.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// What a question is answered with.
trait Answer: Serialize {
    /// Writes it for people.
    fn show(&self, page: &mut Page<'_>) -> io::Result<()>;

    /// What it cannot read, beside what is known to be damaged in the store.
    fn damaged(&self) -> &[Damaged] {
        &[]
    }

    /// Whether nothing else is wrong with what was looked at.
    fn is_clean(&self) -> bool {
        true
    }
}

/// An answer as programs read it.
#[derive(Serialize)]
struct Told<'a, A> {
    #[serde(flatten)]
    answer: &'a A,
    /// What cannot be read; with any, the answer is of what can be.
    damaged: &'a [Damaged],
    /// What may be damage, and may be what a crash leaves behind.
    notes: &'a [String],
}

/// What holds for all answers about a store.
#[derive(Default)]
struct Known<'a> {
    damage: &'a [Damaged],
    notes: &'a [String],
    now: Timestamp,
}

/// Where an answer goes, and in which form.
struct Teller<'a> {
    out: &'a mut dyn Write,
    is_json: bool,
    colour: Colour,
}

/// Whether an answer for people is coloured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Yes,
    No,
}

/// Answers a question about a store; returns whether nothing is wrong with it.
///
/// A question reads what it needs. Where that is damaged, everything is looked at, and the question is
/// answered of what can be read.
///
/// # Errors
///
/// [`InspectError`] if there is no such store, it is in use, or the answer cannot be written.
pub fn run(args: &InspectArgs, out: &mut dyn Write, colour: bool) -> Result<bool, InspectError> {
    let colour = if colour { Colour::Yes } else { Colour::No };
    let teller = &mut Teller { out, is_json: args.json, colour };
    run_checking(args, teller, CHECKED_BYTES_MAX)
}

/// As [`run`], with an index that is not longer than this looked at as a whole.
fn run_checking(
    args: &InspectArgs,
    teller: &mut Teller<'_>,
    checked_bytes_max: u64,
) -> Result<bool, InspectError> {
    let opened = match &args.question {
        // What somebody may act upon is not told before everything was looked at.
        Some(Question::Verify | Question::PlanDestroy { .. }) => Source::survey(&args.store),
        None | Some(_) => Source::open(&args.store, checked_bytes_max),
    };
    let answered = opened.and_then(|source| answer(&source, args, teller));
    match answered {
        Err(InspectError::Store(error)) if error.kind() == ErrorKind::Corrupt => {}
        answered => return teller.or_unreadable(answered),
    }
    let answered = Source::survey(&args.store).and_then(|source| {
        answer(&source, args, teller).or_else(|error| teller.or_unanswered(&source, error))
    });
    teller.or_unreadable(answered)
}

fn answer(
    source: &Source,
    args: &InspectArgs,
    teller: &mut Teller<'_>,
) -> Result<bool, InspectError> {
    let answered = match &args.question {
        None => teller.tell(source, &summary::summary(source)?),
        Some(question) => ask(source, question, teller),
    };
    match answered {
        Err(error) if source.is_damaged() => teller.or_unanswered(source, error),
        answered => answered,
    }
}

fn ask(
    source: &Source,
    question: &Question,
    teller: &mut Teller<'_>,
) -> Result<bool, InspectError> {
    match question {
        Question::Actors(of) => teller.tell(source, &actors::actors(source, of)?),
        Question::Stalled => teller.tell(source, &actors::stalled(source)?),
        Question::Tombstones { limit } => teller.tell(source, &actors::tombstones(source, *limit)?),
        Question::Alarms { next } => teller.tell(source, &alarms::alarms(source, *next)?),
        Question::Debts { of } => teller.tell(source, &debts::debts(source, of.as_ref())?),
        Question::Events(of) => teller.tell(source, &events::events(source, of)?),
        Question::Show { id } => teller.tell(source, &show::show(source, id)?),
        Question::Explain { id } => teller.tell(source, &show::explain(source, id)?),
        Question::Tree { id } => teller.tell(source, &tree::tree(source, id)?),
        Question::PlanDestroy { id } => teller.tell(source, &show::plan(source, id)?),
        Question::Verify => teller.tell(source, &verify::verify(source)?),
    }
}

impl Teller<'_> {
    fn tell(&mut self, source: &Source, answer: &impl Answer) -> Result<bool, InspectError> {
        let known = Known { damage: source.damage(), notes: source.notes(), now: source.now() };
        Ok(tell(self, &known, answer)?)
    }

    /// Of a damaged store, that a question has no answer is an answer as well.
    fn or_unanswered(
        &mut self,
        source: &Source,
        error: InspectError,
    ) -> Result<bool, InspectError> {
        let unanswered = match error {
            InspectError::Nothing { id, store } => Unanswered::missing(&id, &store),
            InspectError::Store(error) => Unanswered::because(&error),
            error @ (InspectError::Output(_)
            | InspectError::Life { .. }
            | InspectError::Unreadable { .. }) => return Err(error),
        };
        self.tell(source, &unanswered)
    }

    /// That nothing of a store can be read is an answer as well.
    fn or_unreadable(
        &mut self,
        answered: Result<bool, InspectError>,
    ) -> Result<bool, InspectError> {
        match answered {
            Err(InspectError::Unreadable { store, damage }) => {
                let known = Known { damage: &damage, ..Known::default() };
                Ok(tell(self, &known, &Unanswered::nothing(&store))?)
            }
            answered => answered,
        }
    }
}

/// The one place where an answer is told, and with it what is damaged and what is noted.
fn tell(teller: &mut Teller<'_>, known: &Known<'_>, answer: &impl Answer) -> io::Result<bool> {
    let mut damaged = known.damage.to_vec();
    let own = answer.damaged().iter().filter(|it| !known.damage.contains(it));
    damaged.extend(own.cloned());
    if teller.is_json {
        let told = Told { answer, damaged: &damaged, notes: known.notes };
        serde_json::to_writer_pretty(&mut *teller.out, &told).map_err(io::Error::from)?;
        writeln!(teller.out)?;
    } else {
        let mut page = Page::new(teller.out, teller.colour, known.now);
        page.is_of_damaged(!damaged.is_empty());
        answer.show(&mut page)?;
        page.damaged(&damaged)?;
        for note in known.notes {
            page.line(&format!("note: {note}"))?;
        }
    }
    Ok(answer.is_clean() && damaged.is_empty())
}

fn as_count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::Parser;
    use sexton::{Batch, Event, Store, What, codec};
    use sexton_store::{EmbeddedStore, Options};

    use super::*;
    use crate::args::{Args, Command};

    /// A store with events in its index.
    fn store(path: &Path) {
        let store = EmbeddedStore::open(path, &Options::default()).unwrap();
        let (shard, fence) = store.claim().unwrap()[0];
        let event = |number: u64| {
            let (actor, what) = (ActorId::new("a", "b"), What::Stalled { why: "so".repeat(40) });
            let (actor, at) = (actor.unwrap(), Timestamp::ZERO);
            codec::seal(&Event { actor, incarnation: 1, number, at, what }).unwrap()
        };
        let (epoch, expected, at) = (fence.epoch, fence.sequence, fence.at);
        let (writes, events) = (Vec::new(), (1..=9).map(event).collect());
        store.submit(Batch { shard, epoch, expected, at, order: 1, writes, events }).unwrap();
        store.close().unwrap();
    }

    #[test]
    fn an_index_that_is_not_looked_at_as_a_whole_is_once_a_question_meets_damage() {
        let place = tempfile::tempdir().unwrap();
        store(place.path());
        let path = place.path().display().to_string();
        let ask = |question: &[&str], checked_bytes_max| {
            let line = [&["sexton", "inspect", &path], question].concat();
            let Command::Inspect(args) = Args::try_parse_from(line).unwrap().command else {
                panic!("not a question")
            };
            let out = &mut Vec::new();
            let teller = &mut Teller { out, is_json: false, colour: Colour::No };
            let is_clean = run_checking(&args, teller, checked_bytes_max).unwrap();
            (is_clean, String::from_utf8(out.clone()).unwrap())
        };
        assert_eq!(ask(&["events"], 0), ask(&["events"], u64::MAX));
        let index = place.path().join("index.redb");
        let mut bytes = fs::read(&index).unwrap();
        let at = bytes.windows(80).rposition(|it| it == "so".repeat(40).as_bytes()).unwrap();
        bytes[at] ^= 1;
        fs::write(&index, bytes).unwrap();
        let (is_clean, text) = ask(&["events"], 0);
        assert!(!is_clean && text.contains("of the log, in "), "{text}");
        assert_eq!(text, ask(&["events"], u64::MAX).1);
        // One that does not read it does not meet it.
        assert!(ask(&["alarms"], 0).0 && !ask(&["alarms"], u64::MAX).0);
    }
}
