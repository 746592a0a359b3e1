//! The page `report.html`: one file with its pictures in it, nothing fetched, nothing run.
//!
//! Colours are names (`var(--..)`) in the pictures too, so that one style sheet decides how the
//! page looks in light and in dark.

mod plot;
mod plots;
#[cfg(test)]
mod tests;

use std::io;

use crate::figures::{bytes, counted, decimal, duration, duration_ms, grouped, percent};
use crate::report::{Comparison, Counts, Report};
use crate::series::Series;
use plots::Figure;

/// The style sheet, with the palettes for light and dark.
const STYLE: &str = include_str!("html/style.css");
/// The most leaks, broken promises and refused rows on the page. Chosen: what a person looks
/// through; `report.json` has more.
const LISTED_MAX: usize = 20;

/// The whole page.
pub(crate) fn page(report: &Report, series: &Series) -> io::Result<String> {
    let figures = plots::all(report, series).map_err(io::Error::other)?;
    let figures: String = figures.iter().map(figure).collect();
    let verdict = escape(&report.verdict());
    let class = if report.is_clean() { "clean" } else { "unclean" };
    let (about, trouble) = (about(report), trouble(report));
    let (tables, refused) = (tables(report), refused(report));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{verdict}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header class=\"{class}\">\n<h1>{verdict}</h1>\n<p>{about}</p>\n</header>\n\
         {trouble}{figures}{tables}{refused}</body>\n</html>\n"
    ))
}

/// What was replayed, in a sentence.
fn about(report: &Report) -> String {
    let mut about = format!(
        "{} of {} replayed in {}: {} at {} turns/s.",
        escape(&duration(report.virtual_seconds)),
        escape(&report.traces.join(", ")),
        duration(report.wall_seconds),
        counted(report.turns, "turn", "turns"),
        decimal(report.turns_per_second, 0)
    );
    if let Some(net) = &report.without {
        about.push_str(&escape(&format!(" Without {net}.")));
    }
    if report.resumed {
        about.push_str(" Resumed from a used store; counts begin there.");
    }
    about
}

/// What spoiled the verdict, and what else to know.
fn trouble(report: &Report) -> String {
    let leaks: Vec<_> = report.leaks.iter().map(|it| format!("{}: {}", it.id, it.reason)).collect();
    let all = |lines: &[String]| u64::try_from(lines.len()).unwrap_or(u64::MAX);
    [
        list("Leaks", &leaks, all(&leaks)),
        list("Broken promises", &report.audit_violations, all(&report.audit_violations)),
        list("Notes", &report.notes, all(&report.notes)),
    ]
    .concat()
}

/// The rows that could not be played.
fn refused(report: &Report) -> String {
    let rows = &report.events_refused.rows;
    let rows: Vec<_> =
        rows.iter().map(|it| format!("{}, line {}: {}", it.file, it.line, it.reason)).collect();
    list("Refused rows", &rows, report.events_refused.count)
}

/// A headed list of the first few of `count` lines; nothing if there are none.
fn list(heading: &str, lines: &[String], count: u64) -> String {
    if count == 0 {
        return String::new();
    }
    let shown = &lines[..lines.len().min(LISTED_MAX)];
    let rest = count.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
    let mut items: Vec<_> = shown.iter().map(|it| format!("<li>{}</li>\n", escape(it))).collect();
    if rest > 0 {
        items.push(format!("<li>and {}</li>\n", counted(rest, "other", "others")));
    }
    let items = items.concat();
    format!("<section>\n<h2>{heading}</h2>\n<ul>\n{items}</ul>\n</section>\n")
}

/// A picture with its heading and the key to its colours.
fn figure(figure: &Figure) -> String {
    let item = |(colour, name): &(String, String)| {
        format!("<li><i style=\"background:{colour}\"></i>{}</li>\n", escape(name))
    };
    let key = figure.key.iter().map(item).collect::<Vec<_>>().concat();
    let key = if key.is_empty() || figure.pictures.is_empty() {
        String::new()
    } else {
        format!("<ul class=\"key\">\n{key}</ul>\n")
    };
    let pictures = if figure.pictures.is_empty() {
        "<p class=\"none\">Nothing to show: there was none in this run.</p>\n".to_owned()
    } else {
        figure.pictures.concat()
    };
    let title = escape(&figure.title);
    format!("<figure>\n<figcaption>{title}</figcaption>\n{key}{pictures}</figure>\n")
}

/// The key figures.
fn tables(report: &Report) -> String {
    let effects = report.effects;
    let late = report.alarm_lateness_ms;
    let lateness = [late.p50, late.p99, late.max].map(duration_ms).join(" / ");
    let effects = [effects.performed, effects.retried, effects.open_at_end].map(grouped);
    let cost = format!("{} {}", decimal(report.cost.amount, 2), report.cost.currency);
    let busy = percent(report.busy_machine_hours, report.machine_hours);
    let rows = [
        ("Events read", grouped(report.events_read)),
        ("Events refused", grouped(report.events_refused.count)),
        ("Turns", grouped(report.turns)),
        ("Commits", grouped(report.commits)),
        ("Flushes", grouped(report.flushes)),
        ("Alarms rung", grouped(report.alarms_rung)),
        ("Lateness of alarms, p50 / p99 / at most", lateness),
        ("Effects performed / retried / open", effects.join(" / ")),
        ("Events published", grouped(report.events_published)),
        ("Machine-hours paid for", decimal(report.machine_hours, 1)),
        ("Machine-hours in use", decimal(report.busy_machine_hours, 1)),
        ("Use of what was paid for", busy),
        ("Cost", cost),
        ("Machines without a price", grouped(report.cost.unpriced)),
        ("Store", format!("{} ({})", report.store, bytes(report.store_bytes))),
        ("State hash", report.state_hash.clone()),
        ("Trace hash", report.trace_hash.clone().unwrap_or_else(|| "-".to_owned())),
        ("Seed", report.seed.to_string()),
    ];
    let rows = rows.map(|(name, value)| row(name, &[value])).concat();
    [
        format!("<section>\n<h2>Key figures</h2>\n<table>\n{rows}</table>\n</section>\n"),
        kinds(report),
        "<div class=\"columns\">\n".to_owned(),
        counts("Tasks by final status", &report.tasks),
        counts("Failed tasks by class", &report.task_failures),
        counts("Ends of machines by class", &report.machine_ends),
        counts("Sessions by final status", &report.sessions),
        "</div>\n".to_owned(),
        reopened(report),
        compared(&AT_WORK, &report.busy),
        compared(&METERED, &report.meter),
    ]
    .concat()
}

/// What became of workspaces that were opened again; nothing if there were none.
fn reopened(report: &Report) -> String {
    let it = &report.reopened;
    if it.rows + it.reborn == 0 {
        return String::new();
    }
    let rows = [
        ("Rows that open a workspace again", it.rows),
        ("The same workspace ran again", it.woken),
        ("Began under a new name", it.reborn),
        ("Found no place on its node", it.refused),
        ("Had no earlier life", it.anew),
    ];
    let rows = rows.map(|(name, count)| row(name, &[grouped(count)])).concat();
    let names = list("Under a new name", &it.reborn_names, it.reborn);
    format!(
        "<section>\n<h2>Workspaces opened again</h2>\n<table>\n{rows}</table>\n</section>\n{names}"
    )
}

/// How a comparison is worded.
struct Words {
    heading: &'static str,
    none: &'static str,
    lost: &'static str,
    thing: [&'static str; 2],
}

const AT_WORK: Words = Words {
    heading: "Time at work, by the trace and by the fleet",
    none: "Nothing to compare: the trace has no task with a length.",
    lost: "Not at work",
    thing: ["task", "tasks"],
};
const METERED: Words = Words {
    heading: "Time of sandboxes, by the trace and by their meters",
    none: "Nothing to meter: no sandbox was ready.",
    lost: "Not metered",
    thing: ["sandbox", "sandboxes"],
};

/// The trace's time against the fleet's.
fn compared(words: &Words, it: &Comparison) -> String {
    let heading = format!("<h2>{}</h2>", words.heading);
    if it.is_empty() {
        let none = words.none;
        return format!("<section>\n{heading}\n<p class=\"none\">{none}</p>\n</section>\n");
    }
    let things = |count: u64| counted(count, words.thing[0], words.thing[1]);
    let time = |name: &str, ms: u64, count: String| row(name, &[duration_ms(ms), count]);
    let mut rows = time("By the trace", it.trace_ms, String::new());
    rows.push_str(&time("By the fleet", it.metered_ms, String::new()));
    for cause in &it.explained {
        let what = if cause.ms < 0 { "Beyond the trace" } else { words.lost };
        let name = format!("{what}: it {}", cause.cause);
        rows.push_str(&time(&name, cause.ms.unsigned_abs(), things(cause.count)));
    }
    rows.push_str(&row("Unexplained", &[format!("{} ms", it.unexplained_ms), String::new()]));
    let open = things(it.open_at_end);
    rows.push_str(&row("Not seen to end", &["up to the last row".to_owned(), open]));
    format!("<section>\n{heading}\n<table>\n{rows}</table>\n</section>\n")
}

/// One line for each kind of actor.
fn kinds(report: &Report) -> String {
    let columns = [&report.created, &report.peak, &report.tombstones, &report.live_at_end];
    let kinds: std::collections::BTreeSet<&String> =
        columns.iter().flat_map(|it| it.keys()).collect();
    if kinds.is_empty() {
        return String::new();
    }
    let head = "<tr><th>Kind</th><th>Created</th><th>Most at once</th><th>Tombstones</th>\
                <th>Live at the end</th></tr>\n";
    let line =
        |kind: &&String| row(kind, &columns.map(|it| grouped(it.get(*kind).copied().unwrap_or(0))));
    let rows: String = kinds.iter().map(line).collect();
    format!("<section>\n<h2>Actors</h2>\n<table>\n{head}{rows}</table>\n</section>\n")
}

/// A table of counts; nothing if there are none.
fn counts(heading: &str, counts: &Counts) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let rows: String = counts.iter().map(|(name, &count)| row(name, &[grouped(count)])).collect();
    format!("<section>\n<h2>{heading}</h2>\n<table>\n{rows}</table>\n</section>\n")
}

fn row(name: &str, values: &[String]) -> String {
    // Hashes are long, and are read for being the same, not for what they say.
    let cell = |value: &String| match escape(value) {
        hash if hash.len() >= 32 && hash.chars().all(|it| it.is_ascii_hexdigit()) => {
            format!("<td><code>{hash}</code></td>")
        }
        value => format!("<td>{value}</td>"),
    };
    let values = values.iter().map(cell).collect::<Vec<_>>().concat();
    format!("<tr><th>{}</th>{values}</tr>\n", escape(name))
}

/// Text as it stands in HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
