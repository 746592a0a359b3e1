//! Rules that no lint can see: every broken one at once, with file and line.
//!
//! Method: the workspace's own files are read as text. Each rule is a function of texts, and the
//! second half shows each fail once on a text that offends.

use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file without its inline tests (`docs/style.md`).
const FILE_LINES_MAX: usize = 600;
/// The most lines of an inline `mod tests` (`docs/style.md`).
const TESTS_LINES_MAX: usize = 150;
/// The most lines of the README (`docs/style.md`).
const README_LINES_MAX: usize = 120;
/// The number of promises.
const PROMISES: usize = 14;
/// Losers of the glossary: *alarm*, *destroy*, *turn* and *store* won.
const BANNED: [&str; 8] =
    ["timer", "kill", "delete", "remove", "transaction", "backend", "step", "tick"];
/// Identifiers of core that may keep such a word, and why.
const BANNED_ALLOWED: [(&str, &str); 2] = [
    ("remove", "the method of the standard library's collections"),
    ("step", "the closure that a turn runs: the part of the turn that is the handler's"),
];
/// Where the fence around clock, threads, randomness and configuration has a gate, and why.
const GATES: [(&str, &str); 5] = [
    ("crates/sexton/src/clock.rs", "time enters here"),
    ("crates/sexton/src/host.rs", "threads are started here"),
    ("crates/sexton-cli/src/main.rs", "configuration enters here"),
    ("crates/sexton-agent/src/clock.rs", "time enters the agent here: it runs without a host"),
    ("crates/sexton-telemetry/src/logs.rs", "which log lines are wanted is read here"),
];

/// A file of the workspace, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn is(&self, suffix: &str) -> bool {
        self.path.ends_with(suffix)
    }

    fn at(&self, index: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, index + 1)
    }
}

#[test]
fn the_house_is_tidy() {
    let sources = workspace();
    assert!(sources.len() > 50, "only {} texts were found", sources.len());
    let mut broken = Vec::new();
    for source in &sources {
        broken.extend(rules_of_a_file(source));
    }
    broken.extend(promises(&sources));
    broken.extend(rules_of_the_fleet(&sources));
    broken.extend(mentions(&sources));
    broken.extend(commands(&sources));
    broken.extend(example(&sources));
    assert!(broken.is_empty(), "{} broken rules:\n{}", broken.len(), broken.join("\n"));
}

fn rules_of_a_file(source: &Source) -> Vec<String> {
    let mut broken = machine_paths(source);
    if source.is(".rs") {
        broken.extend(opening(source));
        broken.extend(lengths(source));
        broken.extend(ascii(source));
        broken.extend(left_undone(source));
        broken.extend(gates(source));
        if source.path.starts_with("crates/sexton-core/src/") {
            broken.extend(glossary(source));
        }
    }
    if source.is("Cargo.toml") && source.path != "Cargo.toml" {
        broken.extend(lint_table(source));
    }
    if source.is("Cargo.toml") {
        broken.extend(dependencies(source));
    }
    if source.path == "README.md" && source.text.lines().count() > README_LINES_MAX {
        broken.push(source.at(README_LINES_MAX, "the README is too long"));
    }
    broken
}

/// Every file starts with its idea.
fn opening(source: &Source) -> Option<String> {
    let is_open = source.text.starts_with("//! ");
    (!is_open).then(|| source.at(0, "the file does not begin with `//!`"))
}

/// Files stay a few screens long, and so do the tests inside them.
fn lengths(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let begin = lines.iter().position(|line| *line == "mod tests {");
    let end = begin.and_then(|begin| lines.iter().skip(begin).position(|line| *line == "}"));
    let n_tests = end.map_or(0, |end| end + 1);
    let mut broken = Vec::new();
    if lines.len() - n_tests > FILE_LINES_MAX {
        broken.push(source.at(FILE_LINES_MAX, "the file is too long without its tests"));
    }
    if n_tests > TESTS_LINES_MAX {
        let what = format!("{n_tests} lines of inline tests: put them into a file");
        broken.push(source.at(begin.unwrap_or(0), &what));
    }
    broken
}

/// ASCII, but for text that a user sees: that stands in strings.
fn ascii(source: &Source) -> Vec<String> {
    let plain = blank(&source.text, Blank::Strings);
    // Examples in comments have strings, too.
    let unquoted = |line: &str| line.split('"').step_by(2).collect::<String>();
    let lines = plain.lines().enumerate().filter(|(_, line)| !unquoted(line).is_ascii());
    lines.map(|(index, _)| source.at(index, "not ASCII outside of a string")).collect()
}

/// What promises less than it should.
fn left_undone(source: &Source) -> Vec<String> {
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore"),
        concat!("#[should_", "panic"),
    ];
    find(source, &marks, "left undone or switched off")
}

/// No path of the machine on which it was written.
fn machine_paths(source: &Source) -> Vec<String> {
    let marks = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    find(source, &marks, "a path of one machine")
}

fn find(source: &Source, marks: &[&str], what: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for mark in marks.iter().filter(|mark| line.contains(**mark)) {
            broken.push(source.at(index, &format!("{what}: {mark}")));
        }
    }
    broken
}

/// Time, threads, randomness and configuration enter through their gates only.
fn gates(source: &Source) -> Vec<String> {
    let is_test = source.path.contains("/tests/")
        || source.path.starts_with("tests/")
        || source.is("/tests.rs")
        || source.path.contains("/examples/");
    if is_test || GATES.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    let code = blank(&source.text, Blank::StringsAndComments);
    let is_gate = |line: &str| line.contains("clippy::disallowed_");
    let lines = code.lines().enumerate().filter(|(_, line)| is_gate(line));
    lines.map(|(index, _)| source.at(index, "a gate in the fence that is not listed")).collect()
}

/// One word per idea: the losers are not in the names of core.
fn glossary(source: &Source) -> Vec<String> {
    let code = blank(&source.text, Blank::StringsAndComments);
    let mut broken = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let names = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in names.filter(|name| !name.is_empty()) {
            let is_allowed = BANNED_ALLOWED.iter().any(|(allowed, _)| *allowed == name);
            let is_banned = words(name).iter().any(|word| BANNED.contains(&word.as_str()));
            if is_banned && !is_allowed {
                broken.push(source.at(index, &format!("`{name}` is not of the glossary")));
            }
        }
    }
    broken
}

/// The words of an identifier, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        let is_new = c == '_' || c.is_ascii_uppercase();
        if is_new && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c != '_') {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}

/// Every member has the workspace's lints.
fn lint_table(source: &Source) -> Option<String> {
    let is_there = source.text.contains("[lints]\nworkspace = true");
    (!is_there).then(|| source.at(0, "no `[lints] workspace = true`"))
}

/// Every dependency from outside says why it is there: on its line, or above it.
fn dependencies(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    let (mut is_inside, mut is_explained) = (false, false);
    for (index, line) in source.text.lines().enumerate() {
        if line.starts_with('[') {
            is_inside = line.contains("dependencies]");
        }
        if line.is_empty() || line.starts_with('[') {
            is_explained = false;
        } else if line.starts_with('#') {
            is_explained = true;
        } else if is_inside {
            let is_ours = line.starts_with("sexton");
            // What the workspace hands on is explained where its version stands.
            let is_handed_on = line.contains("workspace = true") && source.path != "Cargo.toml";
            if !(is_ours || is_explained || is_handed_on || line.contains('#')) {
                broken.push(source.at(index, "a dependency that does not say why"));
            }
        }
    }
    broken
}

/// Every promise has its sentence, its code, its check and its test.
fn promises(sources: &[Source]) -> Vec<String> {
    let path = "docs/guarantees.md";
    let Some(page) = sources.iter().find(|source| source.path == path) else {
        return vec![format!("{path}: missing")];
    };
    let code: Vec<&Source> = sources.iter().filter(|source| source.is(".rs")).collect();
    let mut broken = Vec::new();
    for number in 1..=PROMISES {
        let heading = format!("## G{number} ");
        let Some(line) = page.text.lines().position(|line| line.starts_with(&heading)) else {
            broken.push(page.at(0, &format!("G{number} has no chapter")));
            continue;
        };
        let chapter: Vec<(usize, &str)> = page
            .text
            .lines()
            .enumerate()
            .skip(line + 1)
            .take_while(|(_, line)| !line.starts_with("## "))
            .collect();
        for (label, what) in [("Kept in", "code"), ("Checked in", "check"), ("Tested in", "test")] {
            let entry = chapter.iter().find(|(_, line)| line.starts_with(&format!("- {label}: ")));
            let Some((at, entry)) = entry else {
                broken.push(page.at(line, &format!("G{number} names no {what}")));
                continue;
            };
            broken.extend(named(page, (*at, entry), number, &code));
        }
    }
    broken
}

/// What an entry of a promise's chapter names must be there: files that say so, functions.
fn named(page: &Source, at: (usize, &str), number: usize, code: &[&Source]) -> Vec<String> {
    let (index, entry) = at;
    let names: Vec<&str> = entry.split('`').skip(1).step_by(2).collect();
    let mut broken = Vec::new();
    if names.is_empty() {
        broken.push(page.at(index, &format!("G{number}: an entry that names nothing")));
    }
    for name in names {
        let is_there = if name.contains('/') {
            let file = code.iter().find(|source| source.path == name);
            file.is_some_and(|file| !entry.starts_with("- Kept") || says_kept(&file.text, number))
        } else {
            let function = name.rsplit("::").next().unwrap_or(name);
            let begins = [format!("fn {function}("), format!("fn {function}<")];
            code.iter().any(|source| begins.iter().any(|begin| source.text.contains(begin)))
        };
        if !is_there {
            let what =
                format!("G{number}: `{name}` is not there, or does not say that it keeps it");
            broken.push(page.at(index, &what));
        }
    }
    broken
}

/// Every rule of the fleet's page has tests, and they are there.
fn rules_of_the_fleet(sources: &[Source]) -> Vec<String> {
    let path = "docs/fleet.md";
    let Some(page) = sources.iter().find(|source| source.path == path) else {
        return vec![format!("{path}: missing")];
    };
    let code = sources.iter().filter(|source| source.path.starts_with("crates/sexton-fleet/src/"));
    let code: Vec<&Source> = code.collect();
    let (mut broken, mut is_inside) = (Vec::new(), false);
    for (index, line) in page.text.lines().enumerate() {
        is_inside = line == "| rule | test |" || (is_inside && line.starts_with('|'));
        let Some((_, tests)) = line.trim_end_matches(" |").rsplit_once(" | ") else { continue };
        if !is_inside || line == "| rule | test |" {
            continue;
        }
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            broken.push(page.at(index, "a rule without a test"));
        }
        for name in names.iter().filter(|name| !is_function(name, &code)) {
            broken.push(page.at(index, &format!("`{name}` is not there")));
        }
    }
    broken
}

/// Whether a function stands in a file that its modules lead to.
fn is_function(name: &str, code: &[&Source]) -> bool {
    let (modules, function) = name.rsplit_once("::").unwrap_or(("", name));
    let begin = format!("fn {function}(");
    let leads = |path: &str| modules.split("::").all(|it| it == "tests" || path.contains(it));
    code.iter().any(|source| leads(&source.path) && source.text.contains(&begin))
}

/// Whether a comment says "Keeps Gn", alone or among others ("Keeps G7 and G8").
fn says_kept(text: &str, number: usize) -> bool {
    let wanted = format!("G{number}");
    let places = text.match_indices("eeps G").map(|(at, _)| &text[at + "eeps ".len()..]);
    let mut lists = places.map(|rest| rest.split([':', '.', ')', '\n']).next().unwrap_or(rest));
    lists.any(|list| list.split([' ', ',']).any(|word| word == wanted))
}

/// A page that is mentioned is there.
fn mentions(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            for (at, mark) in line.match_indices(concat!("do", "cs/")) {
                let is_inside =
                    line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.' || c == '/');
                let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
                let rest = &line[at + mark.len()..];
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                let path = format!("{mark}{}", rest[..end].trim_end_matches('.'));
                let is_there = sources.iter().any(|other| other.path.starts_with(&path));
                if !is_inside && !is_there {
                    broken.push(source.at(index, &format!("{path} is not there")));
                }
            }
        }
    }
    broken
}

/// The README's commands are those that are run before a change lands, to the letter.
fn commands(sources: &[Source]) -> Vec<String> {
    let text = |path: &str| sources.iter().find(|it| it.path == path).map(|it| it.text.as_str());
    let (readme, run) = (text("README.md").unwrap_or(""), text(".ci/run").unwrap_or(""));
    let is_command = |line: &&str| line.starts_with("cargo ");
    let commands: Vec<&str> = readme.lines().filter(is_command).collect();
    let mut broken: Vec<String> = commands
        .iter()
        .filter(|command| !run.contains(**command))
        .map(|command| format!(".ci/run: does not run `{command}`"))
        .collect();
    if commands.len() != 2 {
        broken.push(format!("README.md: {} commands and not two", commands.len()));
    }
    broken
}

/// The README's example is the core of the first one, below its `use` lines.
fn example(sources: &[Source]) -> Option<String> {
    let text = |path: &str| sources.iter().find(|it| it.path == path).map(|it| it.text.as_str());
    let first = text("examples/first_actor.rs").unwrap_or("");
    let block = text("README.md")?.split("```").nth(1)?;
    let (_, core) = block.split_once("\n\n")?;
    let is_same = first.contains(core.trim_end());
    (!is_same).then(|| "README.md: its example is not in examples/first_actor.rs".to_owned())
}

/// What is written over with spaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blank {
    Strings,
    StringsAndComments,
}

/// The text of a Rust file with its strings, and its comments if asked, written over by spaces.
fn blank(text: &str, what: Blank) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (length, is_kept) = token(rest, c, what);
        let (taken, after) = rest.split_at(length);
        if is_kept {
            plain.push_str(taken);
        } else {
            plain.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    plain
}

/// How long the token at the beginning of `rest` is, and whether it is kept.
fn token(rest: &str, c: char, what: Blank) -> (usize, bool) {
    let until = |end: &str, from: usize| {
        rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        let length = rest.find('\n').unwrap_or(rest.len());
        return (length, what == Blank::Strings);
    }
    if rest.starts_with("/*") {
        return (until("*/", 2), what == Blank::Strings);
    }
    if let Some(raw) = rest.strip_prefix('r').or_else(|| rest.strip_prefix("br")) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let from = rest.len() - raw.len() + hashes + 1;
            return (until(&format!("\"{}", "#".repeat(hashes)), from), false);
        }
    }
    if c.is_alphanumeric() || c == '_' {
        // A whole word at once, so that an `r` at its end does not open a raw string.
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        return (end.unwrap_or(rest.len()), true);
    }
    if c == '"' {
        return (quoted(rest, '"'), false);
    }
    let is_char = c == '\'' && (rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\''));
    if is_char { (quoted(rest, '\''), false) } else { (c.len_utf8(), true) }
}

/// The length of what stands between two `quote`s, with both, where `\` escapes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Every text file of the workspace, in order of paths.
fn workspace() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member has a parent");
    let mut sources = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("the workspace can be read") {
            let path = entry.expect("the workspace can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    open.push(path);
                }
            } else if is_text(&name) {
                let text = fs::read_to_string(&path).expect("a text can be read");
                let path = path.strip_prefix(root).expect("it is inside").display().to_string();
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn is_text(name: &str) -> bool {
    let is_known = |suffix: &str| name.ends_with(suffix);
    name == "run" || [".rs", ".toml", ".md", ".txt", ".sh"].into_iter().any(is_known)
}

/// Each rule, broken once on purpose.
mod offences {
    use super::*;

    fn check(rule: impl Fn(&Source) -> Vec<String>, bad: &str, good: &str) {
        let path = "crates/sexton-core/src/made_up.rs";
        assert_eq!(rule(&Source::new(path, bad)).len(), 1, "not noticed: {bad}");
        assert_eq!(rule(&Source::new(path, good)), Vec::<String>::new(), "{good}");
    }

    #[test]
    fn a_file_without_its_idea() {
        check(|it| Vec::from_iter(opening(it)), "use std::fs;\n", "//! Idea.\nuse std::fs;\n");
    }

    #[test]
    fn a_file_and_its_tests_that_are_too_long() {
        let tests = |n: usize| format!("mod tests {{\n{}}}\n", "    //\n".repeat(n));
        check(lengths, &"//\n".repeat(601), &format!("{}{}", "//\n".repeat(600), tests(148)));
        check(lengths, &tests(149), &tests(148));
    }

    #[test]
    fn letters_that_are_not_ascii_outside_of_strings() {
        check(ascii, "// caf\u{e9}\n", "let s = \"caf\u{e9}\"; let c = '\u{e9}';\n");
        check(ascii, "let s = \"\\\"\"; // \u{e9}\n", "let s = r#\"\"\u{e9}\"#;\n");
        check(ascii, "/// \u{e9} \"e\"\n", "/// see(\"\u{e9}\");\n");
    }

    #[test]
    fn things_left_undone() {
        check(left_undone, concat!("to", "do!()\n"), "// to do\n");
        check(left_undone, concat!("// FIX", "ME\n"), "// fixed\n");
        check(left_undone, concat!("#[ig", "nore]\n"), "#[test]\n");
        check(machine_paths, concat!("let p = \"/wo", "rk/x\";\n"), "let p = \"work/x\";\n");
    }

    #[test]
    fn a_gate_that_is_not_listed() {
        let gate = "#![expect(clippy::disallowed_methods, reason = \"x\")]\n";
        check(gates, gate, "// clippy::disallowed_methods\n");
        assert!(gates(&Source::new("crates/sexton/src/clock.rs", gate)).is_empty());
        assert!(gates(&Source::new("crates/sexton/tests/host.rs", gate)).is_empty());
    }

    #[test]
    fn a_word_that_lost() {
        check(glossary, "fn set_timer() {}\n", "fn set_alarm() {} // no timer\n");
        check(glossary, "struct DeleteAll;\n", "let _ = \"delete\"; map.remove(&1);\n");
    }

    #[test]
    fn a_member_without_lints_and_a_dependency_without_reason() {
        let rule = |it: &Source| Vec::from_iter(lint_table(it));
        check(rule, "[package]\n", "[package]\n\n[lints]\nworkspace = true\n");
        let bare = "[dependencies]\nleft = \"1\"\n";
        check(dependencies, bare, "[dependencies]\n# Left.\nleft = \"1\"\nsexton = \"1\"\n");
        check(dependencies, bare, "[dependencies]\nleft = { workspace = true }\n");
        let of_root = Source::new("Cargo.toml", "[workspace.dependencies]\nleft = \"1\"\n");
        assert_eq!(dependencies(&of_root).len(), 1);
    }

    #[test]
    fn a_promise_that_nobody_keeps_checks_or_tests() {
        let chapter = |n: usize| {
            format!("## G{n} X\n- Kept in: `a.rs/b.rs`\n- Checked in: `c`\n- Tested in: `t::d`\n")
        };
        let page: String = (1..=PROMISES).map(chapter).collect();
        let keep = |n: usize| format!("// Keeps G{n}: x\n");
        let keeps: String = (1..=PROMISES).map(keep).collect();
        let house = |page: &str, code: &str| {
            promises(&[
                Source::new("docs/guarantees.md", page),
                Source::new("a.rs/b.rs", &format!("{code}fn c() {{}}\nfn d() {{}}\n")),
            ])
        };
        assert_eq!(house(&page, &keeps), Vec::<String>::new());
        assert_eq!(house(&page.replace("## G3 ", "## X3 "), &keeps).len(), 1);
        assert_eq!(house(&page, &keeps.replace("G14", "G15")).len(), 1);
        assert_eq!(house(&page.replacen("t::d", "t::e", 1), &keeps).len(), 1);
        assert_eq!(house(&page.replacen("- Checked in: `c`\n", "", 1), &keeps).len(), 1);
        assert!(says_kept("// (keeps G7 and G8).", 8) && !says_kept("// Keeps G14: x", 1));
    }

    #[test]
    fn a_rule_of_the_fleet_that_no_test_holds() {
        let code = "fn held() {}\n";
        let rules = |row: &str| {
            let page = format!("| rule | test |\n|---|---|\n{row}\n\n| a | b |\n");
            let file = Source::new("crates/sexton-fleet/src/tests/a.rs", code);
            rules_of_the_fleet(&[Source::new("docs/fleet.md", &page), file]).len()
        };
        assert_eq!(rules("| x | `tests::a::held` |"), 0);
        assert_eq!(rules("| x | `tests::a::held`, `tests::a::gone` |"), 1);
        assert_eq!(rules("| x | `tests::b::held` |"), 1);
        assert_eq!(rules("| x | by hand |"), 1);
    }

    #[test]
    fn a_page_and_a_command_that_are_not_there() {
        let mention = |path: &str| Source::new("a.rs", &format!("// see {}{path}.\n", "docs/"));
        let page = || Source::new(&format!("{}decisions/0003-x.md", "docs/"), "");
        assert!(mentions(&[mention("decisions/0003"), page()]).is_empty());
        assert_eq!(mentions(&[mention("decisions/0004"), page()]).len(), 1);
        let house = |readme: &str| {
            let readme = format!("{readme}\ncargo test\n");
            commands(&[
                Source::new("README.md", &readme),
                Source::new(".ci/run", "cargo run\ncargo test\n"),
            ])
        };
        let readme = |code: &str| {
            let text = format!("```rust\nuse a;\n\n{code}\n```\n");
            let first = Source::new("examples/first_actor.rs", "use b;\n\nfn c() {}\n");
            example(&[Source::new("README.md", &text), first])
        };
        assert!(readme("fn c() {}").is_none() && readme("fn d() {}").is_some());
        assert!(house("cargo run").is_empty());
        assert_eq!(house("cargo build").len(), 1);
        assert_eq!(house("").len(), 1);
    }
}
