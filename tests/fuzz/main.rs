//! One target under libFuzzer; or, built as any program, on single files.
//!
//! ```text
//! sexton-fuzz TARGET FILE...     gives each file to the target: how a crash is repeated
//! sexton-fuzz --seeds DIR        writes inputs that get far, a directory each target
//! sexton-fuzz --list             names the targets
//! ```
//!
//! Built with `--cfg fuzzing` it is libFuzzer's loop around the target that `SEXTON_FUZZ` names.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod under_libfuzzer {
    use std::sync::OnceLock;

    use sexton_fuzz::{Target, target};

    fn chosen() -> Target {
        static CHOSEN: OnceLock<Target> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "which target: libFuzzer has the arguments"
            )]
            let name = std::env::var("SEXTON_FUZZ").unwrap_or_default();
            // libFuzzer ends the process at any panic, also one that is caught where it belongs:
            // in the index over a damaged file, in an actor's handler.
            std::panic::set_hook(Box::new(|_| ()));
            target(&name).expect("SEXTON_FUZZ names a target: see --list")
        })
    }

    libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
        let target = chosen();
        if let Err(panic) = std::panic::catch_unwind(|| target(bytes)) {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            eprintln!("\n{why}");
            std::process::abort();
        }
    });
}

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            // If even this cannot be said, the exit status still can.
            drop(std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{why}\n")));
            std::process::ExitCode::from(2)
        }
    }
}

#[cfg(not(fuzzing))]
fn run(arguments: &[String]) -> Result<(), String> {
    let say = |line: &str| {
        std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{line}\n"))
            .map_err(|error| error.to_string())
    };
    match arguments {
        [list] if list == "--list" => {
            sexton_fuzz::TARGETS.iter().try_for_each(|(name, _)| say(name))
        }
        [seeds, directory] if seeds == "--seeds" => {
            sexton_fuzz::seeds::write(directory.as_ref()).map_err(|error| error.to_string())
        }
        [name, files @ ..] if !files.is_empty() => {
            let target =
                sexton_fuzz::target(name).ok_or_else(|| format!("no target is named {name}"))?;
            for file in files {
                let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
                let is_read = target(&bytes);
                say(&format!("{file}: {}", if is_read { "read" } else { "refused" }))?;
            }
            Ok(())
        }
        _ => Err("sexton-fuzz TARGET FILE... | --seeds DIR | --list".to_owned()),
    }
}
