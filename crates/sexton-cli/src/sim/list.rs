//! A list of steps as a file: what is left of a seed that broke a promise, played again for ever.
//!
//! ```text
//! # anything may stand in lines that begin so
//! scenario fleet
//! seed 17
//! engines 2
//! ask 1611393368832503647
//! crash 3
//! ```
//!
//! The seed is that of the world outside: the simulated cloud's delays and failures.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sexton_sim::Step;

use crate::args::ScenarioName;

/// A list that can be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) scenario: ScenarioName,
    pub(super) seed: u64,
    pub(super) engines: u16,
    pub(super) steps: Vec<Step>,
}

/// Why a file is no list of steps.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("{}, line {line}: {why}", path.display())]
    Line {
        /// Of which file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
        /// Why.
        why: String,
    },
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "scenario {}", self.scenario.name())?;
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "engines {}", self.engines)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl FromStr for List {
    type Err = (usize, String);

    fn from_str(text: &str) -> Result<Self, (usize, String)> {
        let (mut scenario, mut seed, mut engines) = (None, None, None);
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let at = |why: String| (index + 1, why);
            let number =
                |text: &str| text.parse::<u64>().map_err(|error| at(format!("`{text}`: {error}")));
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["scenario", name] => {
                    let named = <ScenarioName as clap::ValueEnum>::from_str(name, false);
                    scenario = Some(named.map_err(|why| at(format!("no scenario: {why}")))?);
                }
                ["seed", n] => seed = Some(number(n)?),
                ["engines", n] => {
                    let n = number(n)?;
                    let few = u16::try_from(n).ok().filter(|n| (1..=3).contains(n));
                    engines =
                        Some(few.ok_or_else(|| at(format!("{n} engines: 1 to 3 can be had")))?);
                }
                _ => steps.push(line.parse::<Step>().map_err(|error| at(error.to_string()))?),
            }
        }
        let missing = |what: &str| (text.lines().count().max(1), format!("until the end, {what}"));
        if steps.is_empty() {
            return Err(missing("there is no step"));
        }
        Ok(Self {
            scenario: scenario.ok_or_else(|| missing("no line names its scenario"))?,
            seed: seed.ok_or_else(|| missing("no line names its seed"))?,
            engines: engines.ok_or_else(|| missing("no line names its engines"))?,
            steps,
        })
    }
}

impl List {
    /// How many steps.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, ListError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ListError::File { path: path.to_owned(), source })?;
        text.parse().map_err(|(line, why)| ListError::Line { path: path.to_owned(), line, why })
    }

    /// Whether a file could be written there, so that nobody hears after an hour that it cannot.
    pub(super) fn check_place(path: &Path) -> Result<(), ListError> {
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
        let error = match fs::metadata(parent.unwrap_or(Path::new("."))) {
            Ok(_) if path.is_dir() => io::ErrorKind::IsADirectory.into(),
            Ok(it) if !it.is_dir() => io::ErrorKind::NotADirectory.into(),
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        Err(ListError::File { path: path.to_owned(), source: error })
    }

    /// Writes a file, with what it shows in its first line.
    pub(super) fn write(&self, path: &Path, shows: &str) -> Result<(), ListError> {
        fs::write(path, format!("# {shows}\n{self}"))
            .map_err(|source| ListError::File { path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_can_be_written_and_read() {
        let steps = ["ask 7", "begin 3 late 90", "crash 2"];
        let steps = steps.iter().map(|step| step.parse().expect("a step")).collect();
        let list = List { scenario: ScenarioName::Fleet, seed: 17, engines: 3, steps };
        assert_eq!(format!("# why\n\n{list}").parse(), Ok(list));
    }

    #[test]
    fn a_line_that_is_no_step_is_named() {
        let read = |text: &str| text.parse::<List>().expect_err("not a list");
        assert_eq!(
            read("scenario probes\ncrash soon"),
            (2, "`crash soon` is no step of a simulation".to_owned())
        );
        assert_eq!(read("scenario nobody"), (1, "no scenario: invalid variant: nobody".to_owned()));
        assert_eq!(
            read("scenario probes\nengines 9"),
            (2, "9 engines: 1 to 3 can be had".to_owned())
        );
        assert_eq!(
            read("scenario probes\nseed x"),
            (2, "`x`: invalid digit found in string".to_owned())
        );
        assert_eq!(read("crash 1"), (1, "until the end, no line names its scenario".to_owned()));
        assert_eq!(
            read("scenario probes\nseed 1\nengines 1\n"),
            (3, "until the end, there is no step".to_owned())
        );
        assert_eq!(
            read("scenario probes\nseed 1\ncrash 1"),
            (3, "until the end, no line names its engines".to_owned())
        );
    }
}
