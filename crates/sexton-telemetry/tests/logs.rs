//! What a host says while it works: lines and spans under the names that the page has for them, and nothing of
//! what actors hold, are told, answer or refuse with.
//!
//! Method: one subscriber for the process, at the lowest level, that keeps every line in both
//! formats, and beside it a layer that keeps names and fields.

#[path = "telemetry/support.rs"]
#[expect(dead_code, reason = "the other tests measure what this one only listens to")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, Mutex};

use sexton_telemetry::logs::{Format, lines};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use self::support::{SECRET, soon, stage, until};

const PAGE: &str = include_str!("../../../docs/observability.md");

/// Text that is written by many threads.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    fn read(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("lines are text")
    }
}

impl io::Write for Text {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Text {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// A line's message or a span's name, its level, and its fields.
type Said = (String, String, BTreeSet<String>);

/// Keeps what was said, and every value as it was.
#[derive(Clone, Default)]
struct Seen {
    said: Arc<Mutex<BTreeSet<Said>>>,
    values: Text,
}

/// Reads the fields of one line.
struct Fields<'a> {
    message: String,
    names: BTreeSet<String>,
    values: &'a Text,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        writeln!(text, "{value:?}").expect("a string takes it");
        io::Write::write_all(&mut self.values.clone(), text.as_bytes()).expect("memory");
        if field.name() == "message" {
            text.trim_end().clone_into(&mut self.message);
        } else {
            self.names.insert(field.name().to_owned());
        }
    }
}

impl Seen {
    fn keep(&self, name: &str, level: tracing::Level, names: BTreeSet<String>) {
        let level = level.as_str().to_ascii_lowercase();
        self.said.lock().expect("no panic").insert((name.to_owned(), level, names));
    }

    fn fields(&self) -> Fields<'_> {
        Fields { message: String::new(), names: BTreeSet::new(), values: &self.values }
    }
}

impl<S: Subscriber> Layer<S> for Seen {
    fn on_new_span(&self, attrs: &Attributes<'_>, _id: &Id, _ctx: Context<'_, S>) {
        let of = attrs.metadata();
        if of.target() == "sexton" {
            let names = of.fields().iter().map(|field| field.name().to_owned()).collect();
            self.keep(of.name(), *of.level(), names);
        }
        attrs.record(&mut self.fields());
    }

    fn on_record(&self, _span: &Id, values: &tracing::span::Record<'_>, _ctx: Context<'_, S>) {
        values.record(&mut self.fields());
    }

    fn on_event(&self, event: &Event<'_>, _ctx: Context<'_, S>) {
        let mut fields = self.fields();
        event.record(&mut fields);
        if event.metadata().target() == "sexton" {
            self.keep(&fields.message, *event.metadata().level(), fields.names);
        }
    }
}

/// What a table of the page has: messages or names of spans, with level and fields.
fn table(of: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let begin = format!("| {of} | level | fields |");
    let lines = PAGE.lines().skip_while(|line| !line.starts_with(&begin)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line[1..line.len() - 1].split('|').map(str::trim).collect();
        let fields = cells[2].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), fields))
    });
    let rows: BTreeMap<_, _> = rows.collect();
    assert!(rows.len() > 2, "the page has no table of {of}s");
    rows
}

/// The host's own code, as one text: messages stand in it as they are said.
fn sources() -> String {
    let mut text = String::new();
    let mut dirs = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sexton/src")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                text.push_str(&std::fs::read_to_string(path).expect("a text"));
            }
        }
    }
    text
}

/// Seen to fail: with the reason of a stall in its line, with events in the span of a turn, with the
/// failure in the span of an effect; with a line that the page does not have, with one at another
/// level, and with a row of the page that nobody says.
#[tokio::test]
async fn lines_and_spans_are_those_of_the_page_and_nothing_confidential_stands_in_them() {
    let (human, json, seen) = (Text::default(), Text::default(), Seen::default());
    tracing_subscriber::registry()
        .with(lines(Format::Human, human.clone()))
        .with(lines(Format::Json, json.clone()))
        .with(seen.clone())
        .try_init()
        .expect("the only one of this process");
    let stage = stage().await;
    stage.work().await;
    soon(stage.host.close()).await.unwrap();
    // The last word is said a moment after `close` has returned.
    until(async || human.read().contains(" closed")).await;

    let (human, json, values) = (human.read(), json.read(), seen.values.read());
    for line in json.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("an object a line");
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    for text in [&human, &json, &values] {
        assert!(text.contains("parcel/d"), "{text}");
        let line = text.lines().find(|line| line.contains(SECRET));
        assert_eq!(line, None);
    }

    let (messages, spans) = (table("message"), table("span"));
    let said = seen.said.lock().unwrap().clone();
    for (name, level, fields) in &said {
        let row = messages.get(name).or_else(|| spans.get(name));
        assert_eq!(row, Some(&(level.clone(), fields.clone())), "{name}");
    }
    let said: BTreeSet<&str> = said.iter().map(|(name, ..)| name.as_str()).collect();
    let work = ["opened", "pass", "stalled", "closed", "destroy: the tombstone is durable"];
    for name in spans.keys().map(String::as_str).chain(work) {
        assert!(said.contains(name), "nobody said {name}: {said:?}");
    }
    let sources = sources();
    for message in messages.keys() {
        assert!(sources.contains(&format!("\"{message}\"")), "nobody says {message}");
    }
}
