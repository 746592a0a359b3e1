//! The table of `docs/performance.md`: between two marks, so that the words around it stay.

use sexton_bench::{Effort, Measured, cases};

use super::{Bench, figure, verdict, wanted};
use crate::figures::decimal;

const USUAL: &str = "<!-- measured: written by `sexton bench --docs docs` -->";
const LARGE: &str = "<!-- measured: large cases, written by `sexton bench --large --docs docs` -->";
const END: &str = "<!-- end of what is measured -->";

/// The page with other tables of what was measured, one of usual cases and one of large ones: who
/// measures the ones keeps the figures of the others.
pub(super) fn with_tables(page: &str, bench: &Bench) -> String {
    let (large, usual) = halves(bench);
    let page = if usual.cases.is_empty() { page.to_owned() } else { with(page, USUAL, &usual) };
    if large.cases.is_empty() { page } else { with(&page, LARGE, &large) }
}

/// What was measured of large cases, and of the others.
pub(super) fn halves(bench: &Bench) -> (Bench, Bench) {
    let all = cases();
    let is_large =
        |it: &Measured| all.iter().any(|case| case.effort == Effort::Large && case.name == it.name);
    let (large, usual) = bench.cases.iter().cloned().partition(is_large);
    let with = |cases| Bench { cases, machine: bench.machine.clone(), ..*bench };
    (with(large), with(usual))
}

/// The page with another table behind a mark; without the mark both come at the end.
fn with(page: &str, begin: &str, bench: &Bench) -> String {
    let table = table(bench);
    let inner = page.split_once(begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = inner.unwrap_or((page, "\n"));
    format!("{before}{begin}\n\n{table}\n{END}{after}")
}

/// A table in Markdown.
fn table(bench: &Bench) -> String {
    let Bench { cores, machine, runs, part, .. } = bench;
    let runs = if *runs == 1 { "one run".to_owned() } else { format!("medians of {runs} runs") };
    let size = if *part == 1 { String::new() } else { format!(", sizes divided by {part}") };
    let mut lines = vec![
        format!("{machine}, {cores} cores, {runs}{size}.\n"),
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
    use sexton_bench::Pair;

    use super::*;

    fn bench(names: &[&str], runs: u32) -> Bench {
        let measured = |name: &&str| {
            let case = *cases().iter().find(|case| case.name == *name).unwrap();
            Measured::new(&case, vec![Pair::new(1.0, 2.0, Vec::new())])
        };
        let cases = names.iter().map(measured).collect();
        Bench { cores: 2, machine: "here".into(), runs, part: 1, cases }
    }

    #[test]
    fn the_words_around_a_table_stay() {
        let bench = bench(&["inc-1-1"], 5);
        let first = with_tables("# Page\n\nWords.\n\n", &bench);
        assert!(first.starts_with("# Page\n\nWords.\n\n<!-- measured"), "{first}");
        let first = first.replace("-->\n", "-->\nold figures\n") + "\nAfter.\n";
        let second = with_tables(&first, &bench);
        assert!(!second.split(END).next().unwrap().contains("old figures"), "{second}");
        assert!(second.ends_with("After.\n"), "{second}");
    }

    #[test]
    fn who_measures_large_cases_keeps_the_figures_of_the_others() {
        let page = with_tables("", &bench(&["inc-1-1", "growth-inc-1m"], 5));
        let both = with_tables(&page, &bench(&["growth-inc-10m", "opening-10m"], 1));
        assert!(both.starts_with(&page) && both.contains("cores, one run"), "{both}");
        let anew = with_tables(&both, &bench(&["inc-1-64"], 3));
        assert!(!anew.contains("`inc-1-1`") && anew.contains("medians of 3 runs"), "{anew}");
        assert!(anew.contains("`growth-inc-10m`") && anew.contains("cores, one run"), "{anew}");
    }
}
