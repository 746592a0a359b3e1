//! Goal: damage ends the reading at the right place, nonsense is refused and passed over.
//! Method: small files in a fresh directory, whole and then damaged in every way.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::{Entry, HEADER, LINE_BYTES_MAX, Place, Problem, TraceEvent, TraceKind, Traces};

/// A directory with files in it, gone with the test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory for a test's files"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("a file in the test's own directory");
        path
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// Every entry as one line, and the error that ended it without its directory.
fn read(paths: &[PathBuf]) -> (Vec<String>, Option<String>) {
    let shorten = |error: &dyn std::fmt::Display| {
        let text = error.to_string();
        text.rsplit_once('/').map_or(text.clone(), |(_, it)| it.to_owned())
    };
    let traces = match Traces::open(paths) {
        Ok(traces) => traces,
        Err(error) => return (Vec::new(), Some(shorten(&error))),
    };
    let mut lines = Vec::new();
    let mut last = None;
    for entry in traces {
        match entry {
            Ok(Entry::Row(row)) => {
                lines.push(format!("{} {} {} {}", row.at_ms, row.line, row.id, row.event));
            }
            Ok(Entry::Refused(it)) => lines.push(format!("{} {} {}", it.at_ms, it.line, it.reason)),
            Err(error) => last = Some(shorten(&error)),
        }
    }
    (lines, last)
}

fn check(rows: &str, expected: &str) {
    let files = Files::new();
    let path = files.write("t.csv", format!("{HEADER}\n{rows}").as_bytes());
    let (mut lines, error) = read(&[path]);
    lines.extend(error);
    assert_eq!(lines.join("\n"), expected, "{rows}");
}

#[test]
fn a_row_is_read_with_all_its_fields() {
    let files = Files::new();
    let text = format!("\u{feff}{HEADER}\r\n\r\n7,task,t-1,\"a,b\",start,limit_s=60;user=3\r\n");
    let path = files.write("t.csv", text.as_bytes());
    let entry = Traces::open(&[path]).unwrap().next().unwrap().unwrap();
    let Entry::Row(row) = entry else { panic!("refused: {entry:?}") };
    assert_eq!((row.line, row.at_ms, row.kind), (3, 7, TraceKind::Task));
    assert_eq!((row.id.as_str(), row.parent.as_deref()), ("t-1", Some("a,b")));
    assert_eq!((row.event, row.info.value("limit_s")), (TraceEvent::Start, Some("60")));
}

#[test]
fn a_carriage_return_within_a_line_ends_nothing_with_quotes_and_without() {
    let files = Files::new();
    for id in ["n", "\"n\""] {
        let text = format!("{HEADER}\n0,node,{id},,request,size=a\r;location=b\r\n");
        let path = files.write("t.csv", text.as_bytes());
        let first = Traces::open(&[path]).unwrap().next();
        let Some(Ok(Entry::Row(row))) = first else { panic!("{id}: {first:?}") };
        assert_eq!(row.info.value("location"), Some("b"), "{id}");
    }
}

#[test]
fn nonsense_is_refused_with_its_line_and_reading_goes_on() {
    check("1,planet,x,,request,\n2,node,n,,request,", "1 2 unknown kind `planet`\n2 3 n request");
    check("1,node,n,,explode,\n", "1 2 unknown event `explode`");
    check("1,node,n,,finish,\n", "1 2 a node has no event `finish`");
    check("1,workspace,w,,lost,\n", "1 2 a workspace has no event `lost`");
    check("1,task,,,start,\n", "1 2 the id is empty");
    check("1,task,a\tb,,start,\n", "1 2 the id has a control character");
    let long = "x".repeat(401);
    check(&format!("1,task,{long},,start,\n"), "1 2 the id has 401 bytes, more than 400");
    check(&format!("1,task,t,{long},start,\n"), "1 2 the parent has 401 bytes, more than 400");
}

#[test]
fn damage_ends_the_reading_and_names_the_line() {
    let good = "5,node,n,,request,\n";
    let cases = [
        ("6,node,n,,ready", "t.csv, line 3: 5 fields instead of 6"),
        ("6,node,n,,ready,,", "t.csv, line 3: 7 fields instead of 6"),
        ("6,node,n", "t.csv, line 3: 3 fields instead of 6"),
        ("soon,node,n,,ready,", "the time `soon` is not a whole number of milliseconds"),
        ("6.5,node,n,,ready,", "the time `6.5` is not a whole number of milliseconds"),
        (",node,n,,ready,", "the time `` is not a whole number of milliseconds"),
        ("-6,node,n,,ready,", "the time -6 is negative"),
        ("4,node,n,,ready,", "the time runs backwards, from 5 to 4"),
        ("4,planet,n,,ready,", "the time runs backwards, from 5 to 4"),
        (
            "1700000000000000,node,n,,ready,",
            "the time 1700000000000000 is absurd: more than 100 years",
        ),
        (
            "99999999999999999999,node,n,,ready,",
            "the time 99999999999999999999 is absurd: more than 100 years",
        ),
        ("6,node,\"n,,ready,", "a quote is not closed on its line"),
    ];
    for (row, expected) in cases {
        let expected = if expected.starts_with("t.csv") {
            expected.to_owned()
        } else {
            format!("t.csv, line 3: {expected}")
        };
        check(&format!("{good}{row}\n{good}"), &format!("5 2 n request\n{expected}"));
    }
}

#[test]
fn a_file_that_is_no_event_list_is_named() {
    let files = Files::new();
    let open = |name: &str, bytes: &[u8]| read(&[files.write(name, bytes)]).1.unwrap();
    assert_eq!(
        open("a.csv", b""),
        format!("a.csv: the file is empty, not even a header `{HEADER}`")
    );
    let no_header = "1,node,n,,request,";
    assert_eq!(
        open("b.csv", no_header.as_bytes()),
        format!("b.csv, line 1: the header is not `{HEADER}` but `{no_header}`")
    );
    assert_eq!(open("c.csv", b"\xff\xfe"), "c.csv, line 1: not UTF-8");
    let endless = vec![b'x'; usize::try_from(2 * LINE_BYTES_MAX).unwrap()];
    assert_eq!(open("d.csv", &endless), "d.csv, line 1: longer than 65536 bytes");
    assert_eq!(read(&[files.0.path().join("none.csv")]).1.unwrap(), "none.csv: cannot be opened");
    assert!(read(&[files.0.path().to_owned()]).1.unwrap().contains("cannot be"));
    let (lines, error) = read(&[
        files.write("e.csv", format!("{HEADER}\n1,task,t,,start,\n2,task,\u{e9}").as_bytes())
    ]);
    assert_eq!((lines.len(), error.unwrap().as_str()), (1, "e.csv, line 3: 3 fields instead of 6"));
}

fn some_rows(from: u64, count: u64) -> String {
    let mut text = String::new();
    for at_ms in from..from + count {
        writeln!(text, "{at_ms},task,t-{at_ms},site,start,user={}", at_ms * 7919 % 1000).unwrap();
    }
    text
}

#[test]
fn a_list_packed_in_several_members_is_one_list() {
    let files = Files::new();
    let mut packed = gzip(format!("{HEADER}\n{}", some_rows(0, 10)).as_bytes());
    packed.extend(gzip(some_rows(10, 10).as_bytes()));
    let path = files.write("named_as_if_plain.csv", &packed);
    let (lines, error) = read(std::slice::from_ref(&path));
    assert_eq!((lines.len(), error), (20, None));
    let mut traces = Traces::open(&[path]).unwrap();
    assert_eq!(traces.by_ref().count(), 20);
    let bytes = u64::try_from(packed.len()).unwrap();
    assert_eq!((traces.bytes_read(), traces.bytes_total()), (bytes, bytes));
}

#[test]
fn a_packed_list_cut_anywhere_is_never_taken_for_whole() {
    let files = Files::new();
    let first = gzip(format!("{HEADER}\n{}", some_rows(0, 300)).as_bytes());
    let mut packed = first.clone();
    packed.extend(gzip(some_rows(300, 10).as_bytes()));
    for length in 2..packed.len() {
        // Between two members nothing is missing that anybody could see.
        if length == first.len() {
            continue;
        }
        let path = files.write("t.csv.gz", &packed[..length]);
        let (lines, error) = read(&[path]);
        let error = error.unwrap_or_else(|| panic!("{length} of {} bytes", packed.len()));
        let last =
            if lines.is_empty() && error.contains("after line 0") { 0 } else { lines.len() + 1 };
        assert_eq!(error, format!("t.csv.gz, after line {last}: the gzip data is cut short"));
    }
}

#[test]
fn a_flipped_byte_in_packed_data_is_an_error_with_a_place() {
    let files = Files::new();
    let packed = gzip(format!("{HEADER}\n{}", some_rows(0, 300)).as_bytes());
    for index in (12..packed.len()).step_by(17) {
        let mut damaged = packed.clone();
        damaged[index] ^= 0x10;
        let (_, error) = read(&[files.write("t.csv.gz", &damaged)]);
        assert!(error.as_deref().is_some_and(|it| it.contains("line")), "byte {index}: {error:?}");
    }
}

#[test]
fn several_lists_are_merged_by_time_and_then_by_their_order() {
    let files = Files::new();
    let write = |name: &str, rows: &str| files.write(name, format!("{HEADER}\n{rows}").as_bytes());
    let a = write("a.csv", "1,task,a1,,start,\n5,task,a2,,start,\n5,task,a3,,start,\n");
    let b = write("b.csv", "0,task,b1,,start,\n5,task,b2,,start,\n9,task,b3,,start,\n");
    let none = write("none.csv", "");
    let (lines, error) = read(&[a, none, b]);
    let expected = [
        "0 2 b1 start",
        "1 2 a1 start",
        "5 3 a2 start",
        "5 4 a3 start",
        "5 3 b2 start",
        "9 4 b3 start",
    ];
    assert_eq!((lines, error), (expected.map(str::to_owned).to_vec(), None));
}

#[test]
fn after_an_error_nothing_more_is_yielded() {
    let files = Files::new();
    let text = format!("{HEADER}\n1,task,t,,start,\nx\n2,task,t,,finish,\n");
    let mut traces = Traces::open(&[files.write("t.csv", text.as_bytes())]).unwrap();
    assert!(matches!(traces.next(), Some(Ok(_))));
    let error = traces.next().unwrap().unwrap_err();
    assert!(matches!(error.problem, Problem::Fields(1)) && error.at == Place::Line(3));
    assert!(traces.next().is_none());
}
