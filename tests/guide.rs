//! The guide keeps its word: how few lines its actor takes, and that its page shows that actor.
//!
//! Method: `examples/guide.rs` and `docs/guide.md` are read as text. Broken once by a blank enum
//! in the actor, and by a change of a line on the page.

use std::fs;
use std::path::Path;

/// The most lines of the guide's actor: lifecycle, state, messages, handlers.
const ACTOR_LINES_MAX: usize = 59;
/// The most lines of the guide's sweep, with the message by which it asks.
const SWEEP_LINES_MAX: usize = 29;

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).expect("the file is there")
}

/// What stands between the two marks of a part.
fn part(name: &str) -> String {
    let source = text("examples/guide.rs");
    let (_, rest) = source.split_once(&format!("// -- the {name} begins\n")).expect("a mark");
    let (part, _) = rest.split_once(&format!("// -- the {name} ends\n")).expect("a mark");
    part.trim().to_owned()
}

/// Lines of code: neither blank nor only a comment.
fn lines_of_code(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn an_actor_with_two_deadlines_an_effect_and_children_takes_less_than_60_lines() {
    let n_lines = lines_of_code(&part("actor"));
    assert!((40..=ACTOR_LINES_MAX).contains(&n_lines), "{n_lines} lines");
}

#[test]
fn its_sweep_takes_less_than_30_lines() {
    let n_lines = lines_of_code(&part("sweep"));
    assert!((20..=SWEEP_LINES_MAX).contains(&n_lines), "{n_lines} lines");
}

#[test]
fn the_page_shows_the_actor_the_sweep_and_the_performer_that_run() {
    let (page, source) = (text("docs/guide.md"), text("examples/guide.rs"));
    let sweep = part("sweep");
    let (message, sweep) = sweep.split_once("\n\npub struct").expect("the sweep's own type");
    let (_, performer) = source.split_once("impl Performer<Preview>").expect("a performer");
    let (performer, _) = performer.split_once("\n}\n").expect("its end");
    for shown in [part("actor").as_str(), message, sweep, performer] {
        let first = shown.lines().next().unwrap_or("");
        assert!(page.contains(shown), "not on the page as it is in the example: {first}");
    }
}
