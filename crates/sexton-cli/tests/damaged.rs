//! What `sexton inspect` says about stores that are damaged.
//!
//! Goal: every question tells the damage, describes what can still be read, guesses nothing and
//! changes no byte. Method: copies of stores as a killed and as a closed run leave them, bent and
//! cut in many places; each question is asked of each.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser;
use serde_json::Value;
use sexton::key;
use sexton::{ActorId, Batch, Store, Write, codec};
use sexton_cli::args::{Args, Command as Asked};
use sexton_cli::inspect;
use sexton_store::{EmbeddedStore, IndexKind, Options};
use tempfile::TempDir;

const SEGMENT: &str = "journal/journal-0000000001";
/// What an orderly end leaves: nothing but its head.
const SHORT_SEGMENT: &str = "journal/journal-0000000002";
const ACTOR: &str = "owner/site-north";
const QUESTIONS: [&[&str]; 12] = [
    &[],
    &["actors"],
    &["show", ACTOR],
    &["explain", ACTOR],
    &["tree", ACTOR],
    &["plan-destroy", ACTOR],
    &["alarms"],
    &["debts"],
    &["stalled"],
    &["tombstones"],
    &["events"],
    &["verify"],
];

/// A store and what lies in it.
struct Place {
    directory: TempDir,
    whole: BTreeMap<PathBuf, Vec<u8>>,
}

/// What a question was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    code: u8,
    text: String,
}

fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).expect("readable");
            found.insert(path, content);
        }
    }
    found
}

impl Place {
    /// A store as a process leaves it that was killed: everything is in the journal.
    fn killed(index: &str) -> Self {
        let directory = tempfile::tempdir().expect("works");
        let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/shipped.csv");
        let spec = format!("{index}{}", directory.path().join("store").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_sexton"));
        command.arg("replay").arg(trace).args(["--store", &spec, "--stop-after", "300"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(!command.status().expect("works").success(), "it was stopped");
        Self::of(directory)
    }

    /// The same with everything in the index.
    fn closed(kind: IndexKind) -> Self {
        let index = if kind == IndexKind::Sled { "sled:" } else { "" };
        let place = Self::killed(index);
        let options = Options { index: kind, ..Options::default() };
        let store = EmbeddedStore::open(place.path(), &options).expect("whole");
        store.close().expect("works");
        drop(store);
        Self::of(place.directory)
    }

    fn of(directory: TempDir) -> Self {
        let whole = files(&directory.path().join("store"));
        Self { directory, whole }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Turns a bit over.
    fn flip(&self, file: &Path, at: usize, bit: u32) {
        let content = &self.whole[file];
        let byte = [content[at] ^ (1 << bit)];
        let file = fs::OpenOptions::new().write(true).open(file).expect("works");
        file.write_all_at(&byte, u64::try_from(at).expect("small")).expect("works");
    }

    fn mend(&self, file: &Path) {
        fs::write(file, &self.whole[file]).expect("works");
    }

    /// Asks in this process, and makes sure that no byte is changed by it.
    fn ask(&self, question: &[&str]) -> Answered {
        let before = files(&self.path());
        let path = self.path().display().to_string();
        let line = [&["sexton", "inspect", &path], question].concat();
        let asked = Args::try_parse_from(line).expect("a question").command;
        let args = match asked {
            Asked::Inspect(args) => Some(args),
            Asked::Replay(_)
            | Asked::Check(_)
            | Asked::Sim(_)
            | Asked::Bench(_)
            | Asked::Generate(_) => None,
        };
        let args = args.expect("a question");
        let mut out = Vec::new();
        let answered = inspect::run(&args, &mut out, false);
        let mut text = String::from_utf8(out).expect("text");
        let code = match answered {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(error) => {
                text.push_str(&error.to_string());
                2
            }
        };
        assert!(files(&self.path()) == before, "{question:?} changed {path}");
        Answered { code, text }
    }

    fn json(&self, question: &[&str]) -> Value {
        let answered = self.ask(&[&["--json"], question].concat());
        serde_json::from_str(&answered.text).expect("JSON")
    }

    /// Asks everything, and demands that each answer tells the damage in these words.
    fn demand(&self, says: &str) {
        for question in QUESTIONS {
            let answered = self.ask(question);
            let text = &answered.text;
            assert_eq!(answered.code, 1, "{question:?}: {text}");
            assert!(text.contains("DAMAGED in ") && text.contains(says), "{question:?}: {text}");
            assert!(!text.contains("never created") && !text.contains("sound"), "{text}");
            let json = self.json(question);
            let damaged = json["damaged"].as_array().expect("a list").iter();
            let told: Vec<String> = damaged
                .filter_map(|it| {
                    Some(format!("{}: {}", it["place"].as_str()?, it["why"].as_str()?))
                })
                .collect();
            let is_told = told.iter().any(|it| it.contains(says));
            assert!(is_told && json["notes"].is_array(), "{question:?}: {json}");
        }
    }
}

#[test]
fn a_whole_store_says_of_every_answer_that_nothing_is_damaged() {
    let place = Place::killed("");
    for question in QUESTIONS {
        let json = place.json(question);
        assert_eq!((&json["damaged"], &json["notes"]), (&Value::from([0; 0]), &[0; 0].into()));
        assert_eq!(place.ask(question).code, 0, "{question:?}");
    }
}

#[test]
fn every_answer_tells_that_the_journal_is_gone_cut_short_or_bent() {
    let place = Place::killed("");
    let segment = place.file(SEGMENT);
    fs::remove_file(&segment).expect("works");
    place.demand("holds no segment");
    let gone = place.ask(&["show", ACTOR]);
    assert!(gone.text.contains("is not among what can be read of"), "{}", gone.text);
    assert!(place.ask(&["alarms"]).text.starts_with("no alarm is armed among what can be read"));
    for length in [64, 100_000] {
        fs::write(&segment, &place.whole[&segment][..length]).expect("works");
        place.demand(&format!("byte {length}: it ends there, and was made 8388608 bytes long"));
    }
    place.mend(&segment);
    // In the middle of what was written.
    let used = place.whole[&segment].iter().rposition(|byte| *byte != 0).expect("used");
    place.flip(&segment, used / 2, 3);
    place.demand("no frame checks there, and one stands later at byte");
    let plan = place.ask(&["plan-destroy", ACTOR]);
    assert!(plan.text.contains("of what can be read of it, and has no fingerprint"), "{plan:?}");
    assert!(!plan.text.contains("plan 0") && place.json(&["plan-destroy", ACTOR])["id"].is_null());
}

#[test]
fn a_last_frame_that_does_not_check_is_noted_and_no_more() {
    let place = Place::killed("");
    let segment = place.file(SEGMENT);
    let used = place.whole[&segment].iter().rposition(|byte| *byte != 0).expect("used");
    place.flip(&segment, used - 20, 3);
    for question in QUESTIONS {
        let answered = place.ask(question);
        let says = "stands something that is no whole frame: a write that was never acknowledged";
        assert!(answered.code == 0 && answered.text.contains(says), "{question:?}: {answered:?}");
        assert_eq!(place.json(question)["notes"].as_array().map(Vec::len), Some(1));
    }
    assert!(place.ask(&["verify"]).text.starts_with("sound but for what is noted: "));
}

#[test]
fn every_damaged_record_is_named_and_the_others_are_read() {
    let place = Place::closed(IndexKind::Redb);
    let index = place.file("index.redb");
    let id = ActorId::parse(ACTOR).expect("an id");
    let whole = place.json(&["verify"])["records"].as_u64().expect("a number");
    let find = |bytes: &[u8]| {
        let content = &place.whole[&index];
        let at = content.windows(bytes.len()).position(|it| it == bytes);
        at.unwrap_or_else(|| panic!("no {}", bytes.escape_ascii()))
    };
    // The keys of a leaf lie behind one another: what is damaged is damaged in its key.
    let (event, entry) = (find(&key::event(9)), find(&key::actor(&id)));
    place.flip(&index, event + 10, 5);
    place.flip(&index, entry + 6, 1);
    let verified = place.ask(&["verify"]);
    assert_eq!(verified.code, 1);
    let says = ["event 41 of the log", "its key is damaged", "pages that do not check", "G9 at"];
    for says in says {
        assert!(verified.text.contains(says), "{says}: {}", verified.text);
    }
    let json = place.json(&["verify"]);
    assert_eq!(json["records"], whole - 2);
    assert_eq!(json["unchecked"], Value::Null);
    place.demand("event 41 of the log, in ");
    // What is far away is told with its story, whatever else is damaged.
    place.mend(&index);
    place.flip(&index, event + 10, 5);
    let shown = place.ask(&["show", ACTOR]).text;
    assert!(shown.contains("  state\n") && shown.contains("  event "), "{shown}");
    assert!(place.ask(&["events", "--limit", "1"]).text.contains("go on with --from 1"));
    assert!(place.ask(&["show", "node/never"]).text.contains("not among what can be read"));
}

#[test]
fn verify_tells_records_that_lie_where_nobody_looks_for_them() {
    let place = Place::killed("");
    let store = EmbeddedStore::open(place.path(), &Options::default()).expect("whole");
    let (id, nobody) = (ActorId::parse(ACTOR), ActorId::parse("owner/nobody"));
    let (id, nobody) = (id.expect("an id"), nobody.expect("an id"));
    let mut elsewhere = key::actor(&id);
    let entry = store.get(&elsewhere).expect("readable");
    assert!(entry.is_some(), "{id} lives");
    elsewhere[1] ^= 1;
    let writes = vec![
        Write { key: elsewhere, value: entry },
        Write { key: key::child(&nobody, &id), value: codec::seal(&()).ok() },
    ];
    let (shard, fence) = store.claim().expect("works")[0];
    let (epoch, expected, at) = (fence.epoch, fence.sequence, fence.at);
    let events = Vec::new();
    let batch = Batch { shard, epoch, expected, at, order: fence.order + 1, writes, events };
    store.submit(batch).expect("taken");
    store.flush().expect("works");
    drop(store);
    let verified = place.ask(&["verify"]);
    assert_eq!(verified.code, 1);
    for says in [
        "the record of owner/site-north: it lies under another key than its name says: key ",
        "G7 at owner/nobody: it has a child owner/site-north and was never born",
    ] {
        assert!(verified.text.contains(says), "{says}: {}", verified.text);
    }
}

#[test]
fn an_index_that_is_empty_or_none_and_a_journal_that_is_gone_are_told_alike_by_all() {
    let place = Place::closed(IndexKind::Redb);
    let index = place.file("index.redb");
    for (content, says) in [("", "index.redb is empty"), ("none", "index.redb")] {
        fs::write(&index, content).expect("works");
        place.demand(says);
        let found = place.json(&["verify"])["damaged"].as_array().map(Vec::len);
        assert_eq!(found, Some(1), "{}", place.ask(&["verify"]).text);
    }
    place.mend(&index);
    fs::remove_dir_all(place.file("journal")).expect("works");
    place.demand("journal");
    let sled = Place::closed(IndexKind::Sled);
    let conf = sled.file("index.sled/conf");
    sled.flip(&conf, sled.whole[&conf].len() / 2, 3);
    let told = sled.ask(&["verify"]);
    assert!(told.code == 1 && !told.text.contains("sexton-sled-"), "{told:?}");
}

#[test]
fn a_list_that_was_cut_to_nothing_is_not_called_empty() {
    let place = Place::killed("");
    for (question, nothing) in [
        (["actors", "--limit", "0"], "no actor"),
        (["alarms", "--next", "0"], "no alarm"),
        (["events", "--limit", "0"], "no events"),
    ] {
        let answered = place.ask(&question);
        assert!(answered.code == 0 && !answered.text.contains(nothing), "{answered:?}");
    }
    assert_eq!(place.json(&["events", "--limit", "0"])["next"], 0);
}

#[test]
fn what_was_never_there_and_what_is_not_a_name_is_told() {
    let place = Place::killed("");
    let life = format!("{ACTOR}#1");
    let cases: [(&[&str], &str); 4] = [
        (&["debts", "node/zzz"], "node/zzz is not in"),
        (&["events", "--of", "node/zzz"], "node/zzz is not in"),
        (&["events", "--from", "999999"], "the log ends with cursor"),
        (&["show", &life], "is one life of owner/site-north: ask for owner/site-north"),
    ];
    for (question, says) in cases {
        let answered = place.ask(question);
        assert!(answered.code == 2 && answered.text.contains(says), "{answered:?}");
    }
}

/// An answer without how many bytes the files have: one may be cut where nothing lies any more.
fn said(answered: &Answered) -> Vec<&str> {
    answered.text.lines().filter(|line| !line.contains(" commits, ")).collect()
}

/// Bends and cuts files in places by chance, each in so many; some of the questions are asked at
/// each place, and all of them in turn.
fn bend(place: &Place, files: &[(&str, usize)], least: u32) {
    quiet_panics();
    let whole: Vec<Answered> = QUESTIONS.iter().map(|it| place.ask(it)).collect();
    let mut turn = QUESTIONS.iter().zip(&whole).cycle();
    let (mut seed, mut n_told) = (11_u64, 0);
    for (name, n_places) in files {
        let file = place.file(name);
        let content = &place.whole[&file];
        let end = content.iter().rposition(|byte| *byte != 0).expect("used");
        for number in 0..*n_places {
            let at = loop {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(seed >> 33).expect("fits") % (end + 1);
                if content[at] != 0 {
                    break at;
                }
            };
            if number % 5 == 4 {
                fs::write(&file, &content[..at]).expect("works");
            } else {
                place.flip(&file, at, u32::from(content[at]) % 8);
            }
            for (question, whole) in turn.by_ref().take(QUESTIONS.len() / 2 - 1) {
                let answered = &place.ask(question);
                let case = format!("{question:?}, {name} at {at}: {answered:?}");
                let is_same = said(answered) == said(whole) || answered.text.contains("note: ");
                assert!(answered.code != 0 || is_same, "{case}");
                assert!(answered.code <= 2 && !answered.text.is_empty(), "{case}");
                n_told += u32::from(answered.code != 0);
            }
            place.mend(&file);
        }
    }
    assert!(n_told >= least, "only {n_told} told it");
}

/// Panics of an index over a damaged file are caught; what they print costs more than they do.
fn quiet_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |it| {
        if it.location().is_none_or(|at| !at.file().contains(".cargo")) {
            print(it);
        }
    }));
}

#[test]
fn a_bent_journal_never_gives_another_answer_in_silence() {
    bend(&Place::killed(""), &[(SEGMENT, 20), ("sexton-store", 3), ("index.redb", 3)], 30);
}

#[test]
fn a_bent_index_never_gives_another_answer_in_silence() {
    bend(&Place::closed(IndexKind::Redb), &[("index.redb", 20), (SHORT_SEGMENT, 3)], 20);
}

#[test]
fn a_bent_sled_index_never_gives_another_answer_in_silence() {
    bend(&Place::closed(IndexKind::Sled), &[("index.sled/db", 8), ("index.sled/conf", 2)], 5);
}

#[test]
fn a_directory_that_may_not_be_read_is_not_called_empty() {
    let place = Place::killed("");
    // Whoever runs the test may be root, who may read everything: somebody else asks.
    let sexton = place.directory.path().join("sexton");
    fs::copy(env!("CARGO_BIN_EXE_sexton"), &sexton).expect("works");
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("works");
    };
    allow(place.directory.path(), 0o755);
    let ask = |path: &Path| {
        allow(path, 0o000);
        let is_root = fs::read_dir("/proc/1/fd").is_ok();
        let mut command = Command::new(&sexton);
        command.arg("inspect").arg(place.path()).arg("verify").stdin(Stdio::null());
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().expect("works");
        allow(path, 0o755);
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    for path in ["", "journal", SEGMENT, "index.redb", "sexton-store"] {
        let path = if path.is_empty() { place.path() } else { place.file(path) };
        let (code, error) = ask(&path);
        let says = format!("no permission to read {}", path.display());
        assert!(code == Some(2) && error.contains(&says), "{path:?} {code:?} {error}");
    }
}
