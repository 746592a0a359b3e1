//! The audit on disk: every record, every link both ways, every alarm against its actor.

use std::io;

use serde::Serialize;
use sexton::{Error, audit};

use super::source::Source;
use super::table::Page;
use super::{Answer, Damaged, scan};

/// The most broken promises that are listed.
const BROKEN_MAX: usize = 1_000;

/// A promise that the records do not keep.
#[derive(Debug, Serialize)]
struct Broken {
    promise: &'static str,
    id: String,
    why: String,
}

/// What the audit found.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    /// Records that were read.
    records: u64,
    broken: Vec<Broken>,
    #[serde(skip)]
    damaged: Vec<Damaged>,
    /// Why promises could not be checked, if they could not.
    unchecked: Option<String>,
    #[serde(skip)]
    is_sound: Sound,
}

/// Whether a store is as it was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    Yes,
    /// Something was noted that may be damage.
    Perhaps,
    No,
}

impl Answer for Verified {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        let read = crate::figures::counted(self.records, "record", "records");
        match self.is_sound {
            Sound::Yes => page.verdict(true, &format!("sound: {read}, every promise is kept"))?,
            Sound::Perhaps => {
                let what =
                    format!("sound but for what is noted: {read}, and they keep every promise");
                page.line(&what)?;
            }
            Sound::No => page.line(&format!("{read} can be read"))?,
        }
        if !self.broken.is_empty() {
            let count = super::as_count(self.broken.len());
            let count = crate::figures::counted(count, "broken promise", "broken promises");
            page.verdict(false, &format!("{count}:"))?;
        }
        for it in &self.broken {
            page.line(&format!("  {} at {}: {}", it.promise, it.id, it.why))?;
        }
        match &self.unchecked {
            Some(why) => page.line(&format!("not every promise could be checked: {why}")),
            None => Ok(()),
        }
    }

    fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    fn is_clean(&self) -> bool {
        self.is_sound != Sound::No
    }
}

/// Reads every record, then checks each against every other that it must agree with.
pub(super) fn verify(source: &Source) -> Result<Verified, Error> {
    let mut damaged = Vec::new();
    let mut records = 0;
    scan::everything(source.store(), &mut damaged, || records += 1)?;
    let (broken, unchecked) = match audit::audit(source.store(), source.kinds(), BROKEN_MAX) {
        Ok(broken) => (broken, None),
        Err(error) => (Vec::new(), Some(sexton::chain(&error))),
    };
    let broken = broken.into_iter().map(|it| Broken {
        promise: it.promise,
        id: it.id.to_string(),
        why: it.why,
    });
    let broken: Vec<Broken> = broken.collect();
    let is_whole = damaged.is_empty() && !source.is_damaged();
    let is_sound = match source.notes().is_empty() {
        _ if !is_whole || !broken.is_empty() || unchecked.is_some() => Sound::No,
        true => Sound::Yes,
        false => Sound::Perhaps,
    };
    Ok(Verified { records, broken, damaged, unchecked, is_sound })
}
