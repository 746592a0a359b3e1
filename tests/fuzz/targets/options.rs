//! What people type: arguments of the command, and the settings of the environment.

use clap::Parser;
use sexton_cli::args::{Args, Command, StoreSpec};
use sexton_fleet::policy::Policy;

use crate::input::{Input, says_why};

/// Reads the bytes as a command line, or as values of settings.
pub fn options(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    match input.byte() % 3 {
        0 => command(input.rest()),
        1 => policy(&mut input),
        _ => std::str::from_utf8(input.rest()).is_ok_and(store),
    }
}

/// Arguments, one a line.
fn command(lines: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(lines) else { return false };
    match Args::try_parse_from(std::iter::once("sexton").chain(text.lines())) {
        Ok(args) => {
            if let Command::Replay(args) = &args.command
                && let Some(spec) = &args.store
            {
                assert_eq!(spec.to_string().parse().as_ref(), Ok(spec));
            }
            assert!(!format!("{args:?}").is_empty());
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

fn store(text: &str) -> bool {
    match text.parse::<StoreSpec>() {
        Ok(spec) => {
            assert_eq!(spec.to_string().parse().as_ref(), Ok(&spec));
            true
        }
        Err(why) => {
            assert!(!why.is_empty());
            false
        }
    }
}

/// Values of settings, each behind the number of its setting.
fn policy(input: &mut Input<'_>) -> bool {
    let names = Policy::variables();
    let mut values = std::collections::BTreeMap::new();
    while !input.is_empty() {
        let name = &names[usize::from(input.byte()) % names.len()];
        let value = String::from_utf8_lossy(input.piece()).into_owned();
        values.insert(name.clone(), value);
    }
    match Policy::from_env(|name| values.get(name).cloned()) {
        Ok(policy) => {
            policy.check().expect("what was read is within its range");
            !values.is_empty()
        }
        Err(error) => {
            says_why(&error);
            assert!(names.contains(&error.variable), "{} is no setting", error.variable);
            assert!(error.to_string().contains(&error.variable));
            false
        }
    }
}
