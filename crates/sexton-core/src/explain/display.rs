//! An explanation for people: one line an answer, the most urgent first.

use std::fmt::{self, Display};

use crate::event::{Event, What};

use super::{Counted, Explanation, Going, Living, Owing, Ring, Standing};

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.standing {
            Standing::Unknown => writeln!(f, "{} was never created", self.id)?,
            Standing::Buried(it) => {
                writeln!(f, "{}#{} was destroyed at {}", self.id, it.incarnation, it.at)?;
                writeln!(f, "  why       {} (asked by {})", it.why, it.by)?;
                writeln!(f, "  life      {} to {}, {} turns", it.created_at, it.at, it.turns)?;
                writeln!(f, "  status    {}", it.status)?;
            }
            Standing::Living(it) => {
                let status = it.status.as_deref().unwrap_or("unreadable");
                writeln!(
                    f,
                    "{}#{} is {status} since {}",
                    self.id, it.incarnation, it.status_since
                )?;
                living(f, it)?;
            }
        }
        list(f, "mail", &self.mail, |it| match &it.from {
            Some(from) => format!("{} from {from}, sent {}", it.name, it.sent_at),
            None => format!("{}, sent {}", it.name, it.sent_at),
        })?;
        if self.earlier_events > 0 {
            writeln!(f, "  event     ({} earlier ones)", self.earlier_events)?;
        }
        for event in &self.story {
            writeln!(f, "  event     {} {}", event.at, told(event))?;
        }
        Ok(())
    }
}

fn living(f: &mut fmt::Formatter<'_>, it: &Living) -> fmt::Result {
    if let Some(why) = &it.stalled {
        writeln!(f, "  stalled   {why}")?;
    }
    if let Some(why) = &it.unreadable {
        writeln!(f, "  unread    {why}")?;
    }
    if it.awake.is_empty() {
        writeln!(f, "  rests     nothing is due, owed or waiting")?;
    }
    for why in &it.awake {
        writeln!(f, "  awake     {why}")?;
    }
    if let Some(it) = &it.going {
        going(f, it)?;
    }
    list(f, "deadline", &it.rings, deadline)?;
    list(f, "debt", &it.debts, debt)?;
    if let Some(parent) = &it.parent {
        writeln!(f, "  parent    {parent}")?;
    }
    list(f, "child", &it.children, ToString::to_string)?;
    writeln!(f, "  life      since {}, {} turns", it.created_at, it.turns)?;
    writeln!(f, "  row       unchanged since {}", it.changed_at)?;
    match &it.state {
        Some(state) => writeln!(f, "  state     {state}"),
        None => Ok(()),
    }
}

fn going(f: &mut fmt::Formatter<'_>, it: &Going) -> fmt::Result {
    writeln!(f, "  going     since {}: {} (asked by {})", it.since, it.why, it.by)?;
    writeln!(f, "  stage     {:?}, {} children asked", it.stage, it.in_flight.count)?;
    for why in &it.blocks {
        writeln!(f, "  blocked   {why}")?;
    }
    Ok(())
}

fn deadline(it: &Ring) -> String {
    let failed = match &it.why {
        Some(why) => format!(", failed {} times: {why}", it.failures),
        None => String::new(),
    };
    format!("{} due {}, rings at {}{failed}", it.what, it.due, it.rings_at)
}

fn debt(it: &Owing) -> String {
    let failed = match &it.why {
        Some(why) => format!(", failed {} times: {}: {}", it.failures, why.class, why.message),
        None => String::new(),
    };
    let release = if it.is_release { ", releases what it holds" } else { "" };
    format!("{} {}, next at {}{release}{failed}", it.number, it.effect, it.next_at)
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    of: &Counted<T>,
    tell: impl Fn(&T) -> String,
) -> fmt::Result {
    for it in &of.first {
        writeln!(f, "  {name:<9} {}", tell(it))?;
    }
    let shown = u64::try_from(of.first.len()).unwrap_or(u64::MAX);
    match of.count.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(f, "  {name:<9} ({more} more)"),
    }
}

fn told(event: &Event) -> String {
    match &event.what {
        What::Created { status, parent: Some(parent) } => {
            format!("created {status}, child of {parent}")
        }
        What::Created { status, parent: None } => format!("created {status}"),
        What::Transition { from, to, cause } => format!("{from} -> {to} by {cause}"),
        What::Destroying { why, by } => format!("destroying: {why} (asked by {by})"),
        What::Destroyed { why, by, status } => {
            format!("destroyed as {status}: {why} (asked by {by})")
        }
        What::Stalled { why } => format!("stalled: {why}"),
        What::DeadLetter { from: Some(from), message, why } => {
            format!("dead letter {message} from {from}: {why}")
        }
        What::DeadLetter { from: None, message, why } => format!("dead letter {message}: {why}"),
        What::Abandoned { number, by, why } => {
            format!("effect {number} abandoned: {why} (asked by {by})")
        }
        What::Fact { name, text } => format!("{name}: {text}"),
    }
}
