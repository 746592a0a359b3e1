//! What a person reads when a replay is over.

use std::io::{self, Write};

use crate::figures::{bytes, counted, decimal, duration, duration_ms, grouped, percent};
use crate::report::{Comparison, Counts, Report};

/// The width of the column of labels.
const LABEL: usize = 15;
/// The longest line. Chosen: fits a terminal of 100 columns.
const WIDTH: usize = 98;
/// The most leaks, broken promises and refused rows that are listed; the rest is counted.
const LISTED_MAX: usize = 10;

/// Whether a summary on the standard output should be in colour: only for a person who has not
/// said no (<https://no-color.org>).
pub fn wants_colour() -> bool {
    use std::io::IsTerminal;
    let has_no_color = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    io::stdout().is_terminal() && !has_no_color
}

/// Writes the summary: the verdict first, then what ran, what is left, and where it is.
///
/// # Errors
///
/// Whatever `out` answers.
pub fn write_summary(report: &Report, out: &mut impl Write, colour: bool) -> io::Result<()> {
    let mut page = Page { out, colour };
    page.verdict(report)?;
    page.trouble(report)?;
    page.ran(report)?;
    page.left(report)?;
    page.machines(report)?;
    page.places(report)
}

/// A page of labelled lines.
struct Page<'a, W> {
    out: &'a mut W,
    colour: bool,
}

impl<W: Write> Page<'_, W> {
    fn verdict(&mut self, report: &Report) -> io::Result<()> {
        let code = if report.is_clean() { "1;32" } else { "1;31" };
        let verdict = self.painted(code, &report.verdict());
        writeln!(self.out, "{verdict}\n")
    }

    /// What spoiled the verdict, and what was refused.
    fn trouble(&mut self, report: &Report) -> io::Result<()> {
        let leaks = report.leaks.iter().map(|it| format!("{}: {}", it.id, it.reason)).collect();
        self.list("leaks", leaks)?;
        self.list("broken", report.audit_violations.clone())?;
        let refused = &report.events_refused;
        let rows = refused.rows.iter().take(LISTED_MAX);
        let mut lines: Vec<String> =
            rows.map(|it| format!("{}, line {}: {}", it.file, it.line, it.reason)).collect();
        let rest = refused.count.saturating_sub(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        if rest > 0 {
            lines.push(format!("and {}", counted(rest, "other", "others")));
        }
        self.lines("refused", &lines)
    }

    fn ran(&mut self, report: &Report) -> io::Result<()> {
        let read = counted(report.events_read, "event", "events");
        self.line("read", &format!("{read}, {} refused", grouped(report.events_refused.count)))?;
        if let Some(net) = &report.without {
            self.line("without", net)?;
        }
        if report.resumed {
            self.line("resumed", "from the store; what follows counts from there")?;
        }
        let ran = [
            counted(report.turns, "turn", "turns"),
            counted(report.commits, "commit", "commits"),
            counted(report.flushes, "flush", "flushes"),
            format!("{} turns/s", decimal(report.turns_per_second, 0)),
        ];
        self.line("ran", &ran.join(", "))?;
        let (virtual_time, wall_time) =
            (duration(report.virtual_seconds), duration(report.wall_seconds));
        self.line("time", &format!("{virtual_time} of virtual time in {wall_time}"))?;
        let late = report.alarm_lateness_ms;
        let mut alarms = format!("{} rung", grouped(report.alarms_rung));
        if report.alarms_rung > 0 {
            let late = [("p50", late.p50), ("p99", late.p99), ("at most", late.max)]
                .map(|(name, it)| format!("{name} {}", duration_ms(it)));
            alarms = format!("{alarms}; late: {}", late.join(", "));
        }
        self.line("alarms", &alarms)?;
        let effects = report.effects;
        let effects = [
            (effects.performed, "performed"),
            (effects.retried, "retried"),
            (effects.open_at_end, "open at the end"),
        ];
        let effects = effects.map(|(count, name)| format!("{} {name}", grouped(count)));
        self.line("effects", &effects.join(", "))?;
        self.line("events", &format!("{} published", grouped(report.events_published)))
    }

    fn left(&mut self, report: &Report) -> io::Result<()> {
        writeln!(self.out)?;
        self.counts("created", &report.created)?;
        self.counts("peak", &report.peak)?;
        self.counts("tombstones", &report.tombstones)?;
        self.counts("live at end", &report.live_at_end)?;
        self.counts("tasks", &report.tasks)?;
        if !report.task_failures.is_empty() {
            self.counts("task failures", &report.task_failures)?;
        }
        if !report.machine_ends.is_empty() {
            self.counts("machine ends", &report.machine_ends)?;
        }
        if !report.sessions.is_empty() {
            self.counts("sessions", &report.sessions)?;
        }
        self.reopened(report)?;
        let none = "nothing to compare: the trace has no task with a length";
        self.compared("at work", &report.busy, none)?;
        self.compared("metered", &report.meter, "nothing to meter: no sandbox was ready")
    }

    fn reopened(&mut self, report: &Report) -> io::Result<()> {
        let it = &report.reopened;
        if it.rows + it.reborn == 0 {
            return Ok(());
        }
        let counts = [
            (it.woken, "woken"),
            (it.reborn, "under a new name"),
            (it.refused, "without a place"),
            (it.anew, "without an earlier life"),
        ];
        let counts = counts.map(|(count, name)| format!("{} {name}", grouped(count)));
        self.line("reopened", &counts.join(", "))
    }

    /// The fleet's time of the trace's, and why it is not the same.
    fn compared(&mut self, label: &str, it: &Comparison, none: &str) -> io::Result<()> {
        if it.is_empty() {
            return self.line(label, none);
        }
        let mut line =
            vec![format!("{} of {}", duration_ms(it.metered_ms), duration_ms(it.trace_ms))];
        let causes = it.explained.iter().filter(|cause| cause.count > 0);
        line.extend(causes.map(|it| {
            let sign = if it.ms < 0 { "+" } else { "" };
            format!("{sign}{} {}", duration_ms(it.ms.unsigned_abs()), it.cause)
        }));
        line.push(format!("{} ms unexplained", it.unexplained_ms));
        self.line(label, &line.join(", "))
    }

    fn machines(&mut self, report: &Report) -> io::Result<()> {
        writeln!(self.out)?;
        let (busy, paid) = (report.busy_machine_hours, report.machine_hours);
        let share = percent(busy, paid);
        let hours = format!("{} paid, {} busy ({share})", decimal(paid, 1), decimal(busy, 1));
        self.line("machine hours", &hours)?;
        let cost = &report.cost;
        let mut line = format!("{} {}", decimal(cost.amount, 2), cost.currency);
        if cost.unpriced > 0 {
            let unpriced = counted(cost.unpriced, "machine", "machines");
            line = if cost.currency.is_empty() {
                format!("not known: {unpriced} without a price, and no list of prices (--catalog)")
            } else {
                format!("{}, {unpriced} without a price", line.trim_end())
            };
        }
        self.line("cost", line.trim_end())
    }

    fn places(&mut self, report: &Report) -> io::Result<()> {
        writeln!(self.out)?;
        self.line("state hash", &report.state_hash)?;
        if let Some(hash) = &report.trace_hash {
            self.line("trace hash", hash)?;
        }
        // Places stand whole on their line, however long, so that they can be copied.
        self.lines("store", &[format!("{} ({})", report.store, bytes(report.store_bytes))])?;
        if let Some(directory) = &report.directory {
            let directory = directory.trim_end_matches('/');
            let files = ["html", "json"].map(|it| format!("{directory}/report.{it}"));
            self.lines("report", &files)?;
        }
        self.list("notes", report.notes.clone())
    }

    /// Some lines, of which only the first few are shown.
    fn list(&mut self, label: &str, mut lines: Vec<String>) -> io::Result<()> {
        let rest = lines.len().saturating_sub(LISTED_MAX);
        lines.truncate(LISTED_MAX);
        if rest > 0 {
            let rest = u64::try_from(rest).unwrap_or(u64::MAX);
            lines.push(format!("and {}", counted(rest, "other", "others")));
        }
        self.lines(label, &lines)
    }

    fn counts(&mut self, label: &str, counts: &Counts) -> io::Result<()> {
        let counts: Vec<_> =
            counts.iter().map(|(name, &count)| format!("{} {name}", grouped(count))).collect();
        self.line(label, &if counts.is_empty() { "none".to_owned() } else { counts.join(", ") })
    }

    /// A labelled text, broken after a comma where it is too long: a count stays with its word.
    fn line(&mut self, label: &str, text: &str) -> io::Result<()> {
        let mut lines = vec![String::new()];
        for part in text.split_inclusive(", ") {
            let last = lines.last_mut().expect("there is always a line");
            if last.is_empty() || LABEL + last.len() + part.trim_end().len() <= WIDTH {
                last.push_str(part);
            } else {
                last.truncate(last.trim_end().len());
                lines.push(part.to_owned());
            }
        }
        self.lines(label, &lines)
    }

    /// Lines of which the first is labelled.
    fn lines(&mut self, label: &str, lines: &[String]) -> io::Result<()> {
        for (index, line) in lines.iter().enumerate() {
            let label = format!("{:LABEL$}", if index == 0 { label } else { "" });
            let label = self.painted("2", &label);
            writeln!(self.out, "{label}{line}")?;
        }
        Ok(())
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests;
