//! What a store holds, looked at without running anything and without changing a byte.
//!
//! ```text
//! DIR --> source (opened for reading) --> scan (records) --> an answer --> table or JSON
//! ```
//!
//! Every question is answered by a value that can be written as JSON; tables are made of the
//! same value. What cannot be read is listed with its place and its reason, beside what can.

mod source;
mod scan;
mod table;
mod actors;
mod alarms;
mod debts;
mod events;
mod tree;
mod show;
mod summary;
mod verify;

use std::io::{self, Write};

use serde::Serialize;
use sexton::{ActorId, Error};

use crate::args::{InspectArgs, Question};

use self::source::Source;
use self::table::Page;

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
    #[error("nothing of {store} can be read: {}", damage.join("; "))]
    Unreadable {
        /// Where.
        store: String,
        /// What is damaged.
        damage: Vec<String>,
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

    /// Whether nothing is wrong with what was looked at.
    fn is_clean(&self) -> bool {
        true
    }
}

/// Answers a question about a store; returns whether nothing is wrong with it.
///
/// # Errors
///
/// [`InspectError`] if there is no such store, it is in use, or the answer cannot be written.
pub fn run(args: &InspectArgs, out: &mut dyn Write, colour: bool) -> Result<bool, InspectError> {
    let source = match &args.question {
        Some(Question::Verify) => Source::survey(&args.store)?,
        None | Some(_) => Source::open(&args.store)?,
    };
    let asked = (&source, args.json, colour);
    match &args.question {
        None => tell(asked, out, &summary::summary(&source)?),
        Some(Question::Actors(of)) => tell(asked, out, &actors::actors(&source, of)?),
        Some(Question::Stalled) => tell(asked, out, &actors::stalled(&source)?),
        Some(Question::Tombstones { limit }) => {
            tell(asked, out, &actors::tombstones(&source, *limit)?)
        }
        Some(Question::Alarms { next }) => tell(asked, out, &alarms::alarms(&source, *next)?),
        Some(Question::Debts { of }) => tell(asked, out, &debts::debts(&source, of.as_ref())?),
        Some(Question::Events(of)) => tell(asked, out, &events::events(&source, of)?),
        Some(Question::Show { id }) => tell(asked, out, &show::show(&source, id)?),
        Some(Question::Explain { id }) => tell(asked, out, &show::explain(&source, id)?),
        Some(Question::Tree { id }) => tell(asked, out, &tree::tree(&source, id)?),
        Some(Question::PlanDestroy { id }) => tell(asked, out, &show::plan(&source, id)?),
        Some(Question::Verify) => tell(asked, out, &verify::verify(&source)?),
    }
}

fn tell(
    asked: (&Source, bool, bool),
    out: &mut dyn Write,
    answer: &impl Answer,
) -> Result<bool, InspectError> {
    let (source, is_json, colour) = asked;
    if is_json {
        serde_json::to_writer_pretty(&mut *out, answer).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let mut page = Page::new(out, colour, source.now());
        answer.show(&mut page)?;
    }
    Ok(answer.is_clean())
}

fn as_count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
