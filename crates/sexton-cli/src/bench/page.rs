//! The table of `docs/performance.md`: between two marks, so that the words around it stay.

use sexton_bench::Measured;

use super::{Bench, figure, verdict, wanted};
use crate::figures::decimal;

const BEGIN: &str = "<!-- measured: written by `sexton bench --docs docs` -->";
const END: &str = "<!-- end of what is measured -->";

/// The page with another table; without marks it comes at the end.
pub(super) fn with_table(page: &str, bench: &Bench) -> String {
    let table = table(bench);
    let inner = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = inner.unwrap_or((page, "\n"));
    format!("{before}{BEGIN}\n\n{table}\n{END}{after}")
}

/// A table in Markdown.
fn table(bench: &Bench) -> String {
    let Bench { cores, machine, runs, part, .. } = bench;
    let size = if *part == 1 { String::new() } else { format!(", sizes divided by {part}") };
    let mut lines = vec![
        format!("{machine}, {cores} cores, medians of {runs} runs{size}.\n"),
        "| case | | ours | baseline | ratio | target | |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(bench.cases.iter().map(row));
    let also: Vec<String> = bench.cases.iter().filter_map(also).collect();
    if !also.is_empty() {
        lines.push("\nAlso seen:\n".to_owned());
        lines.extend(also);
    }
    lines.join("\n") + "\n"
}

fn row(case: &Measured) -> String {
    let (ours, baseline) = (figure(case.ours, case.unit), figure(case.held_against, case.unit));
    let (name, what, of) = (&case.name, &case.what, &case.baseline);
    let (ratio, target, verdict) =
        (decimal(case.ratio, 2), wanted(case.target, case.unit), verdict(case));
    format!("| `{name}` | {what} | {ours} | {baseline}: {of} | {ratio} | {target} | {verdict} |")
}

/// What else was seen of a case, as an entry of a list.
fn also(case: &Measured) -> Option<String> {
    let seen = case.also();
    let seen: Vec<String> =
        seen.iter().map(|it| format!("{} {}", it.name, decimal(it.value, 1))).collect();
    (!seen.is_empty()).then(|| format!("* `{}`: {}", case.name, seen.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_around_a_table_stay() {
        let bench = Bench { cores: 2, machine: "here".into(), runs: 5, part: 1, cases: Vec::new() };
        let first = with_table("# Page\n\nWords.\n\n", &bench);
        assert!(first.starts_with("# Page\n\nWords.\n\n<!-- measured"), "{first}");
        let first = first.replace("-->\n", "-->\nold figures\n") + "\nAfter.\n";
        let second = with_table(&first, &bench);
        assert!(!second.split(END).next().unwrap().contains("old figures"), "{second}");
        assert!(second.ends_with("After.\n"), "{second}");
    }
}
