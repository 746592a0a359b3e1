//! Event lists, plain and packed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use sexton_cli::trace::{
    Entry, HEADER, ID_BYTES_MAX, LINE_BYTES_MAX, Place, Row, TIME_MS_MAX, TraceError, Traces,
};
use tempfile::TempDir;

use crate::input::{Input, says_why};

/// Reads the bytes as an event list: as they are, packed, or as changes of a packed one.
pub fn trace(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let place = tempfile::tempdir().expect("a place");
    match input.byte() % 4 {
        0 => is_read(&read(&file(&place, "list", input.rest()))),
        1 => {
            let list = [HEADER.as_bytes(), b"\n", input.rest()].concat();
            let found = read(&file(&place, "list", &list));
            found.0.iter().for_each(|entry| says(entry, &list));
            is_read(&found)
        }
        // What begins with the mark of packed files is no plain list.
        2 if !input.rest().starts_with(&[0x1f, 0x8b]) => {
            let plain = read(&file(&place, "list", input.rest()));
            let packed = read(&file(&place, "list", &pack(input.rest())));
            assert_eq!(plain.0, packed.0, "packed it is another list");
            let told = |result: Option<TraceError>| result.map(|error| error.to_string());
            assert_eq!(told(plain.1), told(packed.1));
            !plain.0.is_empty()
        }
        _ => bent(&place, input),
    }
}

fn file(place: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = place.path().join(name);
    fs::write(&path, bytes).expect("a place");
    path
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).expect("in memory");
    packer.finish().expect("in memory")
}

/// A packed list with some of its bytes changed, or cut: the same rows, or an error.
fn bent(place: &TempDir, mut input: Input<'_>) -> bool {
    const LIST: &str = "t_ms,kind,id,parent,event,info\n0,node,n1,hetzner,request,size=cx33\n\
                        5,node,n1,hetzner,boot,\n9,workspace,w1,n1,create,\n70,node,n1,,delete,\n";
    let whole = pack(LIST.as_bytes());
    let (expected, error) = read(&file(place, "list", &whole));
    assert!(error.is_none() && expected.len() == 4);
    let mut changed = whole.clone();
    let length = changed.len();
    while !input.is_empty() {
        let at = usize::from(input.short()) % (length + 8);
        match changed.get_mut(at) {
            Some(byte) => *byte = input.byte(),
            None => changed.truncate(usize::from(input.byte())),
        }
    }
    let (rows, error) = read(&file(place, "list", &changed));
    // What the header of the packed file says beside its mark is not checked by anybody.
    if error.is_none() {
        assert!(rows == expected || !changed.starts_with(&whole[..3]), "{changed:?}: {rows:?}");
    }
    !rows.is_empty()
}

/// A row says what its line says, all of it.
fn says(entry: &Entry, list: &[u8]) {
    let Entry::Row(row) = entry else { return };
    let at = usize::try_from(row.line).expect("a line") - 1;
    let line = list.split(|byte| *byte == b'\n').nth(at).expect("a line that is there");
    let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).expect("text");
    let parent = row.parent.as_deref().unwrap_or("");
    let said = [row.kind.name(), &row.id, parent, row.event.name(), row.info.as_str()];
    assert_eq!(fields(line)[1..], said, "in {line:?}");
}

/// The fields of a line: in quotes there may be commas, and quotes that stand twice.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    let mut is_begin = true;
    while let Some(c) = chars.next() {
        match c {
            '"' if is_begin => is_quoted = true,
            '"' if is_quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' if is_quoted => is_quoted = false,
            ',' if !is_quoted => {
                fields.push(std::mem::take(&mut field));
                is_begin = true;
                continue;
            }
            c => field.push(c),
        }
        is_begin = false;
    }
    fields.push(field);
    fields
}

fn is_read(result: &(Vec<Entry>, Option<TraceError>)) -> bool {
    result.0.iter().any(|entry| matches!(entry, Entry::Row(_)))
}

/// Every entry up to the first error; what holds of each is asserted.
fn read(path: &Path) -> (Vec<Entry>, Option<TraceError>) {
    let mut traces = match Traces::open(&[path]) {
        Ok(traces) => traces,
        Err(error) => return (Vec::new(), Some(told(error, path))),
    };
    let (mut entries, mut failure) = (Vec::new(), None);
    let mut before = (0, 1);
    for entry in traces.by_ref() {
        match entry {
            Ok(entry) => {
                let at = (entry.at_ms(), line(&entry));
                assert!(at.0 >= before.0 && at.1 > before.1, "{at:?} after {before:?}");
                assert!((0..=TIME_MS_MAX).contains(&at.0));
                before = at;
                entries.push(entry);
            }
            Err(error) => failure = Some(told(error, path)),
        }
    }
    assert!(traces.next().is_none(), "it goes on behind its end");
    assert!(traces.bytes_read() <= traces.bytes_total());
    let rows = entries.iter().filter_map(|entry| match entry {
        Entry::Row(row) => Some(row),
        Entry::Refused(refused) => {
            says_why(&refused.reason);
            None
        }
    });
    for row in rows {
        again(row, path);
    }
    (entries, failure)
}

fn line(entry: &Entry) -> u64 {
    match entry {
        Entry::Row(row) => row.line,
        Entry::Refused(refused) => refused.line,
    }
}

/// An error names its file, and a line that is there.
fn told(error: TraceError, path: &Path) -> TraceError {
    says_why(&error);
    let text = error.to_string();
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    assert!(text.len() < 1_000, "an error of {} bytes", text.len());
    if let Place::Line(line) = error.at {
        assert!(line > 0);
    }
    error
}

/// A row that was read, written and read again, is the same row.
fn again(row: &Row, path: &Path) {
    assert!(!row.id.is_empty() && row.id.len() <= ID_BYTES_MAX, "{row:?}");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let parent = row.parent.as_deref().unwrap_or("");
    let fields = [row.kind.name(), &row.id, parent, row.event.name(), row.info.as_str()];
    let fields: Vec<String> = fields.into_iter().map(quoted).collect();
    let written = format!("{HEADER}\n{},{}\n", row.at_ms, fields.join(","));
    // With all its quotes it may be too long for a line.
    if u64::try_from(written.len()).is_ok_and(|bytes| bytes > LINE_BYTES_MAX) {
        return;
    }
    let copy = path.with_extension("again");
    fs::write(&copy, &written).expect("a place");
    let mut read = Traces::open(&[&copy]).expect("a header");
    let Some(Ok(Entry::Row(copied))) = read.next() else {
        panic_over(&written);
        return;
    };
    let same = Row { file: Arc::clone(&row.file), line: row.line, ..copied };
    assert_eq!(&same, row, "written as {written:?}");
}

fn panic_over(written: &str) {
    assert!(written.is_empty(), "a row that was read is none when it is written: {written:?}");
}
