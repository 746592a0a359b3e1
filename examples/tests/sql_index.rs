//! A host and a follower that are really killed, again and again, in any order.
//!
//! Goal: however often either of them dies, the SQL table ends as the store itself. Method: this
//! binary starts itself as the host, which works and serves its log on a loopback port, and as
//! the follower, which keeps the table; after some progress that chance chooses one of them is
//! killed by its id and started again.
#![expect(
    clippy::disallowed_methods,
    reason = "the host of the test serves each follower in a thread"
)]

#[path = "../sql_index/library.rs"]
mod library;
#[path = "../sql_index/table.rs"]
mod table;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use sexton::log::Log;
use sexton::{Cursor, Event, Host, codec};
use sexton_store::{EmbeddedStore, Options, ReadOnlyStore};
use table::{Table, rows_of};

/// How often one of the two is killed.
const KILLS: u64 = 12;
/// How many days a host works: more than all lines of progress need, and soon followed.
const DAYS: u64 = 40;
/// How many lines of progress may pass between two kills.
const LINES_MAX: u64 = 12;

/// The host or the follower, if this binary was started as one.
#[test]
fn role() {
    let arguments: Vec<String> = std::env::args().skip_while(|it| it != "--role").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--role", "host", path, work] => be_host(Path::new(path), work == "work"),
        ["--role", "follower", path, port] => be_follower(Path::new(path), port),
        _ => {}
    }
}

/// A line for whoever started this process, which may be dead.
fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "said {line}").and_then(|()| out.flush()).expect("somebody reads");
}

fn be_host(path: &Path, is_working: bool) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let store = EmbeddedStore::open(path, &Options::default()).expect("opens");
        let host = Host::builder(library::kinds).store(Arc::new(store)).threads(2).open().await;
        let host = host.expect("opens");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        say(&format!("port {}", listener.local_addr().expect("bound").port()));
        let log = host.log();
        std::thread::spawn(move || {
            for follower in listener.incoming().flatten() {
                let log = log.clone();
                std::thread::spawn(move || serve(&log, follower));
            }
        });
        if is_working {
            // Each life takes names that no earlier one has.
            let first = host.log().bounds().expect("readable").end.0 * 100;
            for number in first..first + DAYS {
                library::day(&host, number).await.expect("a day");
            }
        } else {
            // Nothing happens any more, and what happened can still be followed.
            host.close().await.expect("closes");
            say(&format!("end {}", host.log().bounds().expect("readable").durable));
        }
    });
    loop {
        std::thread::park();
    }
}

/// Sends the events behind the cursor that a follower begins with, as long as it is there.
fn serve(log: &Log, mut follower: TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut cursor = [0; 8];
    if follower.read_exact(&mut cursor).is_err() {
        return;
    }
    let mut events = log.follow(Cursor(u64::from_le_bytes(cursor)));
    while let Ok(page) = runtime.block_on(events.next()) {
        let page = codec::encode(&page).expect("events can be encoded");
        let length = u32::try_from(page.len()).expect("a page is small").to_le_bytes();
        if follower.write_all(&length).and_then(|()| follower.write_all(&page)).is_err() {
            return;
        }
    }
}

fn be_follower(path: &Path, port: &str) {
    let mut table = Table::open(path).expect("opens");
    let mut host = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a host listens");
    let cursor = table.cursor().expect("readable");
    say(&format!("cursor {cursor}"));
    host.write_all(&cursor.0.to_le_bytes()).expect("the host reads");
    let mut length = [0; 4];
    // Until the host dies.
    while host.read_exact(&mut length).is_ok() {
        let mut page = vec![0; usize::try_from(u32::from_le_bytes(length)).expect("fits")];
        if host.read_exact(&mut page).is_err() {
            return;
        }
        let events: Vec<(Cursor, Event)> = codec::decode(&page).expect("events were encoded");
        // In small transactions, so that a kill falls between two of one page as well.
        for part in events.chunks(3) {
            table.apply(part).expect("applied");
            say(&format!("cursor {}", part[part.len() - 1].0));
        }
    }
}

/// A process that this one started.
struct Started {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Started {
    fn new(role: &str, path: &Path, last: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "role", "--nocapture", "--", "--role", role])
            .args([path.as_os_str(), last.as_ref()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// The next line that it says with this word in front; `None` if it ended.
    fn next(&mut self, word: &str) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).expect("text") == 0 {
                return None;
            }
            // The harness may have begun the line.
            let said = line.split_once("said ").map(|(_, said)| said.trim());
            if let Some(rest) = said.and_then(|it| it.strip_prefix(word)) {
                return Some(rest.trim().to_owned());
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().expect("it is a child of this process");
        self.child.wait().expect("it is a child of this process");
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Killed already, unless the test failed.
        drop((self.child.kill(), self.child.wait()));
    }
}

#[test]
fn a_table_that_follows_the_log_never_drifts_whoever_is_killed() {
    let place = tempfile::tempdir().expect("a place");
    let (store, database) = (place.path().join("store"), place.path().join("index.sqlite"));
    let start_host = |work| {
        let mut host = Started::new("host", &store, work);
        let port = host.next("port").expect("the host opens");
        (host, port)
    };
    let (mut host, mut port) = start_host("work");
    let mut follower = Started::new("follower", &database, &port);
    let mut seed = 3_u64;
    let mut chance = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..KILLS {
        for _ in 0..=chance(LINES_MAX) {
            follower.next("cursor").expect("the host works, so the follower does");
        }
        match chance(3) {
            0 => {
                follower.kill();
                follower = Started::new("follower", &database, &port);
            }
            1 => {
                host.kill();
                (host, port) = start_host("work");
                while follower.next("cursor").is_some() {}
                follower = Started::new("follower", &database, &port);
            }
            _ => {
                follower.kill();
                host.kill();
                (host, port) = start_host("work");
                follower = Started::new("follower", &database, &port);
            }
        }
    }
    follower.kill();
    host.kill();
    let (mut host, port) = start_host("rest");
    let end: u64 = host.next("end").expect("a host that works no more").parse().expect("a number");
    let mut follower = Started::new("follower", &database, &port);
    while follower.next("cursor").expect("it comes to the end").parse() != Ok(end) {}
    follower.kill();
    host.kill();

    let rows = rows_of(&ReadOnlyStore::open(&store).expect("killed, and whole")).expect("readable");
    let table = Table::open(&database).expect("opens");
    assert_eq!(table.cursor().expect("readable"), Cursor(end));
    assert_eq!(table.rows().expect("readable"), rows);
    assert!(rows.len() > 20 && rows.iter().any(|(_, shown)| shown.is_none()), "{}", rows.len());
    let first = library::shelf(0);
    assert!(rows.iter().any(|(id, _)| id == first.as_str()), "the first day is in it");
    assert!(table.count("lent").expect("readable") > 0);
}
