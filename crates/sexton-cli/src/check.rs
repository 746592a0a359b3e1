//! The coverage check of the fleet: text, JSON, and the diagram of each lifecycle.

mod svg;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sexton::coverage::{Coverage, Finding};
use sexton_fleet::coverage::all;
use sexton_fleet::policy::{Policy, PolicyError};

use crate::args::CheckArgs;
use crate::figures::counted;

/// Why a check has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The environment's settings cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// There is no such kind.
    #[error("there is no kind `{kind}`: the fleet has {known}")]
    Kind {
        /// The kind.
        kind: String,
        /// Those that there are.
        known: String,
    },
    /// A diagram cannot be written.
    #[error("{} cannot be written", file.display())]
    Diagram {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answer cannot be written.
    #[error("the answer cannot be written")]
    Output(#[from] io::Error),
}

/// Checks the kinds that were asked for, or all; returns whether every one is covered.
///
/// # Errors
///
/// [`CheckError`] for a kind that is not there, and if something cannot be written.
pub fn run(
    args: &CheckArgs,
    policy_of: impl Fn(&str) -> Option<String>,
    out: &mut dyn Write,
    colour: bool,
) -> Result<bool, CheckError> {
    let policy = Policy::from_env(policy_of)?;
    let checks = all(&policy);
    let known: Vec<&str> = checks.iter().map(|check| check.kind()).collect();
    if let Some(kind) = args.kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
        return Err(CheckError::Kind { kind: kind.clone(), known: known.join(", ") });
    }
    let is_asked = |kind: &str| args.kinds.is_empty() || args.kinds.iter().any(|it| it == kind);
    let asked = checks.iter().filter(|check| is_asked(check.kind()));
    let found: Vec<Coverage> = asked.map(|check| check.run()).collect();
    if let Some(directory) = &args.diagram {
        draw(directory, &found)?;
        if args.kinds.is_empty() {
            // The page is of all of them.
            write(directory.join("README.md"), &page(&found))?;
        }
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &found).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        tell(&found, out, colour)?;
    }
    Ok(found.iter().all(Coverage::is_covered))
}

fn tell(found: &[Coverage], out: &mut dyn Write, colour: bool) -> io::Result<()> {
    let painted = |code: &str, text: &str| {
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    };
    for it in found {
        let verdict = if it.is_covered() {
            painted("1;32", "covered")
        } else {
            painted("1;31", "NOT COVERED")
        };
        let states = counted(count(it.states), "state", "states");
        let moves = counted(count(it.edges.len()), "move", "moves");
        writeln!(out, "{:<16} {verdict}  {states}, {moves}", it.kind)?;
        for finding in &it.findings {
            let code = if finding.is_error { "31" } else { "33" };
            for (index, line) in text(finding).lines().enumerate() {
                let line = if index == 0 { painted(code, line) } else { line.to_owned() };
                writeln!(out, "    {line}")?;
            }
        }
        for left in &it.left {
            writeln!(out, "    {} `{}`: {}", painted("2", "left:"), left.status, left.why)?;
        }
    }
    let n_bare = found.iter().filter(|it| !it.is_covered()).count();
    let kinds = counted(count(found.len()), "kind", "kinds");
    if n_bare == 0 {
        let n_left = count(found.iter().map(|it| it.left.len()).sum());
        let but = match n_left {
            0 => String::new(),
            n => format!(", but for what is left to others ({})", counted(n, "place", "places")),
        };
        let line = format!("{kinds}: nothing can be held for ever{but}");
        return writeln!(out, "{}", painted("1;32", &line));
    }
    writeln!(out, "{}", painted("1;31", &format!("{n_bare} of {kinds} not covered")))
}

fn text(finding: &Finding) -> String {
    finding.to_string()
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Writes `KIND.svg` and `KIND.mmd` for each kind.
fn draw(directory: &Path, found: &[Coverage]) -> Result<(), CheckError> {
    fs::create_dir_all(directory)
        .map_err(|source| CheckError::Diagram { file: directory.to_owned(), source })?;
    for it in found {
        let kind = &it.kind;
        write(directory.join(format!("{kind}.mmd")), &it.mermaid())?;
        write(directory.join(format!("{kind}.svg")), &svg::svg(it))?;
    }
    Ok(())
}

/// The page with all diagrams.
fn page(found: &[Coverage]) -> String {
    let mut page = String::from(PAGE);
    for it in found {
        let (kind, mermaid) = (&it.kind, it.mermaid());
        let section =
            ["\n## ", kind, "\n\n[as SVG](", kind, ".svg)\n\n```mermaid\n", &mermaid, "```\n"];
        page.extend(section);
    }
    page
}

fn write(file: PathBuf, text: &str) -> Result<(), CheckError> {
    fs::write(&file, text).map_err(|source| CheckError::Diagram { file, source })
}

/// What the page of diagrams begins with.
const PAGE: &str = "\
# Lifecycles: what leads where?

The lifecycle of every actor of the fleet, as the coverage check found it by running the actors' own handlers: each arrow
carries what causes it. A thick border holds something in the outside world, a dashed one is terminal. Moves that do not
change the status are left out, and so is what follows once a destruction is committed.

These pages are written by `sexton check --diagram docs/lifecycles`, and a test holds them to what the program says now.
";
