//! Where fuzzing begins: inputs that get far, made from what the runtime itself writes.
//!
//! `cargo run -p sexton-fuzz -- --seeds tests/fuzz/corpus` writes them anew, after an encoding has
//! changed. What lies there beside them, such as an input that once found a bug, stays.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use sexton::audit::Broken;
use sexton::key::{self, Parsed};
use sexton::sweep::Sweep;
use sexton::{
    ActorId, ActorRef, Answer, Batch, Debt, EffectId, Entry, Kinds, Limits, Mail, Missed, Owed,
    Query, Recurring, Sequence, Store, Timestamp, Write, codec,
};
use sexton_fleet::sim_cloud::SimCloud;
use sexton_sim::{Asked, Chance, Faults, Plan, Scenario, Scene, Seen, Took, run};
use sexton_store::{EmbeddedStore, MemoryStore, Options};

use crate::TARGETS;
use crate::input::pieces;
use crate::journal::{FRAME_BYTES, HEAD_BYTES};
use crate::records::READS;
use crate::states::KINDS;

/// The bytes of a record's envelope before its body.
const ENVELOPE_BYTES: usize = 5;
/// The most inputs of one sort. Chosen: a corpus that is read in a second.
const OF_A_SORT_MAX: usize = 2;
/// The longest record that is taken. Chosen: short inputs are changed more in the same time.
const BYTES_MAX: usize = 1_500;

/// Writes the seeds of every target into a directory each, beside what lies there.
///
/// # Errors
///
/// What the system says.
pub fn write(directory: &Path) -> io::Result<()> {
    for (name, _) in TARGETS {
        let place = directory.join(name);
        fs::create_dir_all(&place)?;
        for (number, seed) in seeds(name).iter().enumerate() {
            fs::write(place.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}

/// The seeds of a target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "keys" => keys(),
        "records" => records(&story()),
        "states" => states(&story()),
        "world" => worlds(&story()),
        "journal" => journals(),
        "index" => indexes(),
        "trace" => traces(),
        "catalog" => catalogs(),
        "recurring" => recurring(),
        "cloud" => clouds(),
        "options" => options(),
        "simulation" => random(60, 3),
        "stores" => random(80, 3),
        _ => Vec::new(),
    }
}

/// Everything that the fleet wrote in a simulation: records by their keys, and events.
struct Story {
    writes: Vec<(Parsed, Vec<u8>)>,
    events: Vec<Vec<u8>>,
}

/// The fleet, and what it writes.
struct Overheard {
    fleet: Box<dyn Scenario>,
    story: Story,
}

impl Scenario for Overheard {
    fn kinds(&self, version: u32) -> Kinds {
        self.fleet.kinds(version)
    }

    fn sweeps(&self) -> Vec<Box<dyn Sweep>> {
        self.fleet.sweeps()
    }

    fn limits(&self) -> Limits {
        self.fleet.limits()
    }

    fn ask(&mut self, chance: &mut Chance, scene: Scene<'_>) -> Option<Asked> {
        self.fleet.ask(chance, scene)
    }

    fn perform(&mut self, owed: &Owed, scene: Scene<'_>) -> Took {
        self.fleet.perform(owed, scene)
    }

    fn due(&mut self, now: Timestamp) -> Vec<(EffectId, Answer)> {
        self.fleet.due(now)
    }

    fn calls(&mut self, now: Timestamp) -> Vec<Asked> {
        self.fleet.calls(now)
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.fleet.next_due()
    }

    fn saw(&mut self, seen: &Seen<'_>) -> Result<(), Broken> {
        for write in seen.turned.batch.iter().flat_map(|batch| &batch.writes) {
            let body = write.value.as_ref().filter(|it| it.len() < BYTES_MAX);
            if let (Some(parsed), Some(record)) = (key::parse(&write.key), body) {
                self.story.writes.push((parsed, record.clone()));
            }
        }
        self.story.events.extend(seen.turned.batch.iter().flat_map(|batch| batch.events.clone()));
        self.fleet.saw(seen)
    }

    fn kept(&mut self) {
        self.fleet.kept();
    }

    fn lost(&mut self, n: u64) {
        self.fleet.lost(n);
    }

    fn calm(&self) -> Duration {
        self.fleet.calm()
    }

    fn heal(&mut self, scene: Scene<'_>) -> Vec<Asked> {
        self.fleet.heal(scene)
    }

    fn is_perpetual(&self, id: &ActorId) -> bool {
        self.fleet.is_perpetual(id)
    }

    fn patience(&self) -> Duration {
        self.fleet.patience()
    }

    fn end(&mut self, scene: Scene<'_>) -> Result<(), Broken> {
        self.fleet.end(scene)
    }
}

fn story() -> Story {
    let story = Story { writes: Vec::new(), events: Vec::new() };
    let mut overheard = Overheard { fleet: sexton_cli::sim::fleet(3), story };
    let plan = Plan { steps: 3_000, faults: Faults::NONE };
    let run = run(&mut overheard, 3, plan, &mut |_| ());
    assert!(run.is_clean(), "{:?}", run.failure);
    overheard.story
}

/// The last few of each sort: what a life has come to is more than how it began.
fn some<'a, T: ?Sized>(
    of: impl DoubleEndedIterator<Item = (String, &'a T)>,
) -> BTreeMap<String, Vec<&'a T>> {
    let mut sorts: BTreeMap<String, Vec<&T>> = BTreeMap::new();
    for (sort, it) in of.rev() {
        let sort = sorts.entry(sort).or_default();
        if sort.len() < OF_A_SORT_MAX {
            sort.push(it);
        }
    }
    sorts
}

/// The number of a type among those that are read, as a first byte.
fn of_type(name: &str) -> u8 {
    let at = READS.iter().position(|(known, _)| *known == name).expect("a type that is read");
    u8::try_from(at).expect("few")
}

/// The number of a kind among the fleet's, as a first byte.
fn of_kind(name: &str) -> u8 {
    let at = KINDS.iter().position(|kind| kind.name == name).expect("a kind of the fleet");
    u8::try_from(at).expect("few")
}

fn sort_of(of: &(Parsed, Vec<u8>)) -> (String, &(Parsed, Vec<u8>)) {
    let sort = match &of.0 {
        Parsed::Actor(_) => match codec::open::<Entry>(&of.1) {
            Ok(Entry::Alive(record)) if record.destruction.is_some() => "going",
            Ok(Entry::Alive(_)) => "entry",
            Ok(Entry::Tombstone(_)) | Err(_) => "tombstone",
        },
        Parsed::Debt(..) => "debt",
        Parsed::Inbox(..) => "mail",
        Parsed::Row(..) => "row",
        Parsed::Child(..) | Parsed::Event(_) | Parsed::Alarm(..) => "none",
    };
    (sort.to_owned(), of)
}

fn records(story: &Story) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (sort, of) in some(story.writes.iter().map(sort_of)) {
        let name = match sort.as_str() {
            "none" => continue,
            "going" | "tombstone" => "entry",
            name => name,
        };
        seeds.extend(of.iter().map(|it| [&[of_type(name)], &it.1[ENVELOPE_BYTES..]].concat()));
    }
    let event = |it: &Vec<u8>| [&[of_type("event")], &it[ENVELOPE_BYTES..]].concat();
    seeds.extend(story.events.iter().step_by(story.events.len() / 6).map(event));
    let (at, missed) = (Timestamp::from_millis(5_000), Missed::Each);
    let nightly = Recurring::cron("0 3 * * *", "Europe/Berlin", at, missed).expect("an expression");
    let query = Query::of("node").status("warm").owner("ada").created_from(at).text("size", "cx33");
    let life = ActorRef { id: ActorId::new("node", "n").expect("a name"), incarnation: 3 };
    let owner = key::actor(&life.id);
    let writes = vec![Write { key: owner, value: Some(vec![1]) }];
    let shard = life.id.shard();
    let (epoch, expected) = (sexton::Epoch(2), Sequence(4));
    let batch = Batch { shard, epoch, expected, at, order: 9, writes, events: vec![vec![2]] };
    for (name, bytes) in [
        ("recurring", codec::encode(&nightly)),
        ("query", codec::encode(&query)),
        ("effect", codec::encode(&EffectId { actor: life, number: 5 })),
        ("batch", codec::encode(&batch)),
        ("moment", codec::encode(&at)),
    ] {
        seeds.push([vec![of_type(name)], bytes.expect("small")].concat());
    }
    seeds
}

/// A life's state behind the numbers of its kind and of how it is read.
fn states(story: &Story) -> Vec<Vec<u8>> {
    let lives = story.writes.iter().filter_map(|(parsed, record)| {
        let Parsed::Actor(id) = parsed else { return None };
        let Ok(Entry::Alive(life)) = codec::open(record) else { return None };
        Some((id.kind().to_owned(), life.state))
    });
    let lives: Vec<(String, Vec<u8>)> = lives.collect();
    let debts = story.writes.iter().filter_map(|(parsed, record)| {
        let Parsed::Debt(id, _) = parsed else { return None };
        let debt: Debt = codec::open(record).ok()?;
        Some((id.kind().to_owned(), debt.effect))
    });
    let debts: Vec<(String, Vec<u8>)> = debts.collect();
    let mut seeds = Vec::new();
    for (how, of) in [(0, &lives), (2, &debts)] {
        for (kind, bytes) in some(of.iter().map(|(kind, bytes)| (kind.clone(), bytes.as_slice()))) {
            seeds.extend(bytes.iter().map(|it| [&[of_kind(&kind), how], *it].concat()));
        }
    }
    seeds
}

/// Stores of three records: a life, a mail to it, and something else.
fn worlds(story: &Story) -> Vec<Vec<u8>> {
    let body = |record: &[u8]| pieces([&record[ENVELOPE_BYTES..]]);
    let mut seeds = Vec::new();
    let of_kinds = story.writes.iter().map(|it| {
        let kind = match &it.0 {
            Parsed::Actor(id) | Parsed::Inbox(id, _) | Parsed::Debt(id, _) | Parsed::Row(id, _) => {
                id.kind()
            }
            Parsed::Child(..) | Parsed::Event(_) | Parsed::Alarm(..) => "none",
        };
        (format!("{kind} {}", sort_of(it).0), it)
    });
    for (sort, of) in some(of_kinds) {
        let Some((kind, what)) = sort.split_once(' ') else { continue };
        if kind == "none" {
            continue;
        }
        let (kind, at) = (of_kind(kind), [9, 0, 1]);
        for (_, record) in of.into_iter().take(1) {
            let said = match what {
                "debt" => [&[kind, 0, 5], at.as_slice(), &body(record)].concat(),
                "mail" => [&[kind, 0, 3], at.as_slice(), &body(record)].concat(),
                "row" => [&[kind, 0, 7], at.as_slice(), &[0], &body(record)].concat(),
                _ => [&[kind, 0, 1], at.as_slice(), &body(record)].concat(),
            };
            seeds.push(said);
        }
    }
    // A message for each life, and what it begins with, as the engine reads them.
    let mails = story.writes.iter().filter_map(|(parsed, record)| {
        let Parsed::Inbox(to, _) = parsed else { return None };
        let mail: Mail = codec::open(record).ok()?;
        let (which, bytes) = match mail.body {
            sexton::Body::Message { name, bytes } => {
                let kinds = sexton_fleet::sweeps::kinds();
                let at = kinds.messages(to.kind()).position(|known| known == name)?;
                (at, bytes)
            }
            sexton::Body::Create { init } => {
                (sexton_fleet::sweeps::kinds().messages(to.kind()).count(), init)
            }
            sexton::Body::Destroy { .. } | sexton::Body::Advance | sexton::Body::Gone { .. } => {
                return None;
            }
        };
        let kind = of_kind(to.kind());
        let head = [kind, 0, 4, 9, 0, 1, u8::try_from(which).ok()?];
        Some((format!("{kind} {which}"), [head.as_slice(), &pieces([bytes.as_slice()])].concat()))
    });
    let mails: Vec<(String, Vec<u8>)> = mails.collect();
    for of in some(mails.iter().map(|(sort, mail)| (sort.clone(), mail))).into_values() {
        seeds.extend(of.into_iter().take(1).cloned());
    }
    // Some of them together.
    let together: Vec<Vec<u8>> = seeds.chunks(5).map(<[Vec<u8>]>::concat).collect();
    seeds.extend(together);
    seeds
}

fn keys() -> Vec<Vec<u8>> {
    let id = ActorId::new("node", "a/b").expect("a name");
    let order = key::MailOrder { at: Timestamp::ZERO, order: 3, from: id.shard(), index: 1 };
    let row = key::row(&id, "warm");
    let digit = |number: u8| char::from_digit(u32::from(number), 16).expect("below 16");
    let digits = row.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    let cursor: String = digits.collect();
    let mut seeds = vec![
        key::actor(&id),
        key::child(&id, &id),
        key::debt(&id, 7),
        key::event(9),
        key::mail(&id, order),
        key::alarm(&id, Timestamp::from_millis(70)),
        row,
        cursor.into_bytes(),
    ];
    let texts = ["node/a/b", "0123456789abcdef", "ask 7\nbegin 0 late 5\nswitch alarms-off\nwait"];
    seeds.extend(texts.map(|text| text.as_bytes().to_vec()));
    seeds
}

/// Segments as a store writes them, without the zeros behind their frames.
fn journals() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for n_batches in [0, 1, 3, 12] {
        let place = tempfile::tempdir().expect("a place");
        let path = place.path().join("store");
        let options = Options { sizes: crate::journal::sizes(), ..Options::default() };
        let store = EmbeddedStore::open(&path, &options).expect("an empty place");
        let (shard, fence) = store.claim().expect("a disk")[5];
        for number in 0..n_batches {
            let take_away = Write { key: b"key-0".to_vec(), value: None };
            let put =
                Write { key: format!("key-{number}").into_bytes(), value: Some(vec![7; 300]) };
            let (expected, events) = (Sequence(number), vec![vec![1, 2], vec![3]]);
            let (at, epoch, order) = (Timestamp::ZERO, fence.epoch, number);
            let writes = vec![put, take_away];
            store
                .submit(Batch { shard, epoch, expected, at, order, writes, events })
                .expect("ours");
            if number % 2 == 0 {
                store.flush().expect("a disk");
            }
        }
        if n_batches > 1 {
            store.trim_log(sexton::Cursor(1)).expect("there");
        }
        drop(store);
        let mut segments = Vec::new();
        for generation in 1..5 {
            let file = path.join(format!("journal/journal-{generation:010}"));
            segments.extend(fs::read(file).ok().map(without_zeros));
        }
        for mode in [1, 3] {
            let segments = pieces(segments.iter().map(Vec::as_slice));
            seeds.push([&[mode], segments.as_slice()].concat());
        }
    }
    seeds
}

fn without_zeros(mut segment: Vec<u8>) -> Vec<u8> {
    while segment.last() == Some(&0) && segment.len() > HEAD_BYTES + FRAME_BYTES {
        segment.pop();
    }
    segment.resize(segment.len().next_multiple_of(8), 0);
    segment
}

fn indexes() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![0], vec![0, 0, 1, 0, 3, 64], vec![3, 1, 9, 9, 9, 1, 7, 7, 7, 128]];
    let markers = [
        "sexton store\nformat: 2\nindex: redb\nshards: 4096\n",
        "sexton store\nformat: 1\nindex: sled\nshards: 4096\n",
        "sexton store\nformat: 2\nindex: tree\nshards: 16\n",
    ];
    seeds.extend(markers.map(|text| [&[7], text.as_bytes()].concat()));
    // Position, generation, epoch, begin and end of the log, one shard.
    let checkpoint = (61_u64, 1_u64, 1_u64, 0_u64, 0_u64, vec![(0_u16, 60_u64, 0_i64, 59_u64)]);
    let checkpoint = codec::encode(&checkpoint).expect("small");
    seeds.push([&[10], checkpoint.as_slice()].concat());
    let record = pieces([b"key-001".as_slice(), b"another value"]);
    seeds.push([&[13, 0], record.as_slice()].concat());
    seeds.push([&[13, 1], record.as_slice()].concat());
    seeds
}

fn traces() -> Vec<Vec<u8>> {
    let shipped = include_str!("../../crates/sexton-cli/traces/shipped.csv");
    let lines: Vec<&str> = shipped.lines().collect();
    let begin = lines[..12].join("\n");
    let later = lines[lines.len() - 12..].join("\n");
    let quoted =
        "0,node,\"a \"\"b\"\"\",,request,\"size=1,5;location=x\"\n9,task,t,\"w,1\",lost,oom";
    let nonsense = "0,moon,m,,request,\n1,node,,,up,\n2,node,n,,finish,\n";
    vec![
        [b"\0", begin.as_bytes()].concat(),
        [b"\x01", later.as_bytes()].concat(),
        [b"\x01", quoted.as_bytes()].concat(),
        [b"\x01", nonsense.as_bytes()].concat(),
        [b"\x02", begin.as_bytes()].concat(),
        vec![3, 30, 0, 9],
        vec![3, 200, 0, 40],
    ]
}

fn catalogs() -> Vec<Vec<u8>> {
    let hetzner = br#"{"server_types": [{"name": "cx32", "cores": 4, "memory": 8.0, "disk": 80,
        "prices": [{"location": "fsn1", "price_hourly": {"net": "0.0105000000"},
        "price_monthly": {"net": "6.3000000000"}}]}]}"#;
    let csv =
        b"name,vcpu,memory_mib,local_nvme_gib,usd_per_hour\na1,1,2048,,0.0255\nb2,64,9,100,\n";
    vec![[b"\0", hetzner.as_slice()].concat(), [b"\x01", csv.as_slice()].concat()]
}

fn recurring() -> Vec<Vec<u8>> {
    let day = 86_400_000_u64;
    // In the four years in which most moments of an input lie.
    let moments = [10 * day, 90 * day, 400 * day].map(|ms| (ms << 1 | 2).to_le_bytes());
    let moments = moments.concat();
    let mut seeds = Vec::new();
    for (which, (expression, zone)) in [
        ("0 3 * * *", "Europe/Berlin"),
        ("*/15 * * * *", "America/New_York"),
        ("30 2 29 2 *", "UTC"),
        ("0 0 L * FRI#2", "Pacific/Apia"),
        ("@daily", "Australia/Lord_Howe"),
        ("5 0 9 15W JAN-JUN MON 2030", "Asia/Kolkata"),
    ]
    .into_iter()
    .enumerate()
    {
        let texts = pieces([expression.as_bytes(), zone.as_bytes()]);
        let head = [u8::try_from(which % 3).expect("small"), 2];
        let from = (20_u64 << 1 | 2).to_le_bytes();
        let late = [100, 0];
        seeds.push([head.as_slice(), &from, &texts, &late, &moments].concat());
    }
    let every = [[0, 0].as_slice(), &[2; 8], &(3 * day).to_le_bytes(), &[1, 1], &moments].concat();
    seeds.push(every);
    let hourly = Recurring::every(Duration::from_secs(3_600), Timestamp::ZERO, Missed::Skip);
    let bytes = codec::encode(&hourly).expect("small");
    let decoded = pieces([bytes.as_slice()]);
    seeds.push([[2, 1].as_slice(), &[2; 8], &decoded, &[1, 1], &moments].concat());
    seeds
}

/// The file of a cloud that has made machines, and the same as bodies of frames.
fn clouds() -> Vec<Vec<u8>> {
    let place = tempfile::tempdir().expect("a place");
    let path = place.path().join("cloud");
    let mut cloud = SimCloud::open(Some(&path), 7).expect("a new file");
    let store = MemoryStore::new();
    let story = story();
    let debts = story.writes.iter().filter_map(|(parsed, record)| {
        let Parsed::Debt(id, number) = parsed else { return None };
        Some((id.kind().to_owned(), (id.clone(), *number, codec::open::<Debt>(record).ok()?)))
    });
    let debts: Vec<_> = debts.collect();
    for (_, of) in some(debts.iter().map(|(kind, it)| (kind.clone(), it))) {
        for (id, number, debt) in of {
            let actor = ActorRef { id: id.clone(), incarnation: 1 };
            let owed = Owed {
                id: EffectId { actor, number: *number },
                effect: debt.effect.clone(),
                failures: 0,
                recorded_at: Timestamp::ZERO,
            };
            // One that needs another actor answers that it is not there.
            drop(cloud.perform(Timestamp::from_millis(500), &owed, &store));
        }
    }
    drop(cloud);
    let file = fs::read(&path).expect("there");
    let mut bodies = Vec::new();
    let mut rest = file.as_slice();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).expect("short");
        bodies.push(&behind[ENVELOPE_BYTES..length]);
        rest = &behind[length..];
    }
    let mut seeds = vec![[b"\0", file.as_slice()].concat(), vec![3, 9, 0, 1, 1, 1, 2, 3]];
    seeds.push([vec![2], pieces(bodies.iter().copied())].concat());
    seeds.extend(bodies.iter().skip(1).take(8).map(|body| [vec![1], pieces([*body])].concat()));
    seeds
}

fn options() -> Vec<Vec<u8>> {
    let lines = [
        "replay\na.csv\nb.csv.gz\n--store\nsled:place\n--seed\n7\n--without\nalarms\n--stop-after\n9",
        "sim\n--scenario\nfleet\n--minutes\n1.5\n--steps\n30\n--json",
        "inspect\nplace\nactors\n--kind\nnode\n--older-than\n15m\n--has\na=b\n--limit\n3",
        "inspect\nplace\nexplain\nnode/n1",
        "inspect\nplace\nevents\n--from\n7\n--of\nnode/n1",
        "check\nnode\n--diagram\nplace",
        "generate\n--seed\n3\n--out\nfile",
    ];
    let mut seeds: Vec<Vec<u8>> =
        lines.iter().map(|line| [b"\0", line.as_bytes()].concat()).collect();
    for text in ["90s", "30m", "7d", "3", "word"] {
        let values =
            (0..9).map(|which| [&[which * 5], pieces([text.as_bytes()]).as_slice()].concat());
        seeds.push([vec![1], values.collect::<Vec<_>>().concat()].concat());
    }
    for text in ["memory", "sled:place", "place"] {
        seeds.push([b"\x02", text.as_bytes()].concat());
    }
    seeds
}

/// Bytes by chance: for what is done with them any will do.
fn random(length: usize, count: u64) -> Vec<Vec<u8>> {
    let bytes = |seed| {
        let mut chance = Chance::new(seed);
        (0..length).map(|_| u8::try_from(chance.below(256)).expect("a byte")).collect()
    };
    (1..=count * 4).map(bytes).collect()
}
