//! Logs for a program that has no subscriber of its own.
//!
//! No library of this workspace installs one: that is the program's to decide. Lines go to standard
//! error, since standard output is the program's; which ones is said by `SEXTON_LOG`, and where that is
//! not there by `RUST_LOG`, in the words of
//! [`EnvFilter`]: `warn,sexton=debug`.
#![expect(clippy::disallowed_methods, reason = "which lines are wanted is read from here")]

use std::env;
use std::io;

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged where nobody says otherwise: what operators look for, and no turn.
pub const DEFAULT: &str = "info";
/// Where it is said, the first before the second.
pub const VARIABLES: [&str; 2] = ["SEXTON_LOG", "RUST_LOG"];

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line, for what collects logs.
    Json,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogsError {
    /// What the variable says is no filter.
    #[error("{variable} is not a filter of log lines")]
    Filter {
        /// Which of [`VARIABLES`].
        variable: &'static str,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The program has a subscriber already.
    #[error("there is a subscriber already")]
    Installed(#[source] tracing_subscriber::util::TryInitError),
}

/// Installs a subscriber that writes lines, for the rest of the program.
///
/// # Errors
///
/// [`LogsError`]: nothing was installed.
///
/// # Example
///
/// ```
/// use sexton_telemetry::logs::{self, Format};
///
/// logs::install(Format::Json).expect("the first");
/// assert!(logs::install(Format::Human).is_err());
/// ```
pub fn install(format: Format) -> Result<(), LogsError> {
    let lines = layer(format)?;
    tracing_subscriber::registry().with(lines).try_init().map_err(LogsError::Installed)
}

/// The same as a layer, for a program that stacks others on it, as that of traces.
///
/// # Errors
///
/// [`LogsError::Filter`].
pub fn layer(format: Format) -> Result<Box<dyn Layer<Registry> + Send + Sync>, LogsError> {
    let filter = filter(|variable| env::var(variable).ok())?;
    Ok(lines(format, io::stderr).with_filter(filter).boxed())
}

/// Lines of a format, wherever they go.
///
/// # Example
///
/// ```
/// use sexton_telemetry::logs::{Format, lines};
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(lines(Format::Human, std::io::sink));
/// tracing::subscriber::with_default(subscriber, || tracing::info!("nobody reads this"));
/// ```
pub fn lines<S, W>(format: Format, to: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_ansi(false).with_writer(to);
    match format {
        Format::Human => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    }
}

/// What the environment says; a variable that is empty says nothing.
fn filter(says: impl Fn(&str) -> Option<String>) -> Result<EnvFilter, LogsError> {
    let said = VARIABLES.into_iter().find_map(|variable| {
        says(variable).filter(|text| !text.trim().is_empty()).map(|text| (variable, text))
    });
    let (variable, text) = said.unwrap_or((VARIABLES[0], DEFAULT.to_owned()));
    EnvFilter::try_new(text).map_err(|source| LogsError::Filter { variable, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sexton: &str, rust: &str, expected: &str) {
        let of = |variable: &str| match variable {
            "SEXTON_LOG" => Some(sexton.to_owned()),
            "RUST_LOG" => Some(rust.to_owned()),
            _ => None,
        };
        let said = filter(of).map_or_else(|error| error.to_string(), |it| it.to_string());
        assert_eq!(said, expected);
    }

    /// Seen to fail: with the variables in the other order, and with an empty one that counted.
    #[test]
    fn sextons_variable_comes_before_that_of_all_and_info_is_what_nobody_changed() {
        check("", "", "info");
        check(" ", "warn", "warn");
        check("sexton=debug", "warn", "sexton=debug");
        check("sexton=loud", "warn", "SEXTON_LOG is not a filter of log lines");
        check("", "sexton=loud", "RUST_LOG is not a filter of log lines");
        assert_eq!(filter(|_| None).unwrap().to_string(), "info");
    }
}
